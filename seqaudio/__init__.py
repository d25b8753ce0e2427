"""Recurrent networks for speech and music: data preparation, cells, BPTT trainers, decoding, evaluation.

    seqaudio.load("digits").recognize("x.wav")
    seqaudio.load("chorales").generate(seed=1).write("x.mid")

Importing the package imports nothing heavy; torch is loaded by the rooms that compute.
"""

from typing import TYPE_CHECKING, Any

from seqaudio.version import __version__

if TYPE_CHECKING:
    from seqaudio.api import load
    from seqaudio.probing import probe

__all__ = ["__version__", "load", "probe"]


def __getattr__(name: str) -> Any:
    """`seqaudio.load` and `seqaudio.probe`, which bring more along, when they are first asked for."""
    if name == "load":
        from seqaudio.api import load

        return load
    if name == "probe":
        from seqaudio.probing import probe

        return probe
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
