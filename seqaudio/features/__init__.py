"""Turn samples into frames of features: settings, MFCC and log-mel extraction, of whole recordings or of a stream.

    samples ── framing ──> frames ── extractor ──> log-mel energies or cepstra ── deltas, normalisation ──> features

settings.py, presets.py    what to compute, in seconds and hertz; named presets, those of other toolkits too
framing.py, mfcc.py, deltas.py, normalisation.py    one step each
extractor.py               FeatureExtractor: all steps, for whole recordings
streaming.py               StreamingExtractor: the same for samples that arrive in chunks
transform.py               FeatureTransform: the same in the layout of torchaudio, [..., F, T]
extraction.py              the NumPy interface that preparation and batching call, on one thread a process
compiled/                  a faster path for common settings; without this folder torch computes the same
drawing.py                 pictures of frames

Torch is imported at the first use of `FeatureExtractor`, so that scripts can offer presets without it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from seqaudio.features.presets import PRESETS, feature_settings
from seqaudio.features.settings import FeatureSettings

if TYPE_CHECKING:
    from seqaudio.features.extractor import FeatureExtractor
    from seqaudio.features.streaming import Latency, StreamingExtractor, StreamState
    from seqaudio.features.transform import FeatureTransform

__all__ = [
    "PRESETS",
    "FeatureExtractor",
    "FeatureSettings",
    "FeatureTransform",
    "Latency",
    "StreamState",
    "StreamingExtractor",
    "feature_settings",
]

_LATER = {
    "FeatureExtractor": "extractor",
    "FeatureTransform": "transform",
    "Latency": "streaming",
    "StreamState": "streaming",
    "StreamingExtractor": "streaming",
}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(importlib.import_module(f"seqaudio.features.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
