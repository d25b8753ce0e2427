"""Where a generated piece comes from, for comments in its files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seqaudio.files import sha256_of
from seqaudio.version import __version__

if TYPE_CHECKING:
    from seqaudio.run_folder import RunFolder


def describe_model(run: RunFolder) -> str:
    """Version and hash of the weights, for a text event in the MIDI file."""
    digest = sha256_of(run.path / "model.safetensors")[:16] if (run.path / "model.safetensors").is_file() else "none"
    return f"seqaudio {__version__}; model {digest}"
