"""Decode the outputs of trained models: keywords of recordings and streams, text, new notes.

Torch is imported at the first use of what samples; keywords are decoded by NumPy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from seqaudio.decoding.recognition import Recognition, StreamRecognizer
from seqaudio.decoding.spotting import Hit, Spotter, Spotting

if TYPE_CHECKING:
    from seqaudio.decoding.sampling import StepModel, Stream, sample, sample_many, sample_roll

__all__ = [
    "Hit",
    "Recognition",
    "Spotter",
    "Spotting",
    "StepModel",
    "Stream",
    "StreamRecognizer",
    "sample",
    "sample_many",
    "sample_roll",
]

_OF_SAMPLING = ("StepModel", "Stream", "sample", "sample_many", "sample_roll")


def __getattr__(name: str) -> Any:
    if name in _OF_SAMPLING:
        return getattr(importlib.import_module("seqaudio.decoding.sampling"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
