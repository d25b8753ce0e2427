"""Recurrent networks for speech and music: data preparation, cells, BPTT trainers, decoding, evaluation.

Importing the package imports nothing heavy; torch is loaded by the rooms that compute.
"""

from typing import TYPE_CHECKING, Any

from seqaudio.version import __version__

if TYPE_CHECKING:
    from seqaudio.probing import probe

__all__ = ["__version__", "probe"]


def __getattr__(name: str) -> Any:
    """`seqaudio.probe`, which brings torch along, when it is first asked for."""
    if name == "probe":
        from seqaudio.probing import probe

        return probe
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
