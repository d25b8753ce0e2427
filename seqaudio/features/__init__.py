"""From samples to frames: settings, MFCC and log-mel extraction, alone or in a stream, augmentation.

Torch is imported with the first use of `FeatureExtractor`, so that scripts can offer presets without it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from seqaudio.features.augmentation import Augmentation, augment
from seqaudio.features.presets import PRESETS, feature_settings
from seqaudio.features.settings import FeatureSettings

if TYPE_CHECKING:
    from seqaudio.features.extractor import FeatureExtractor
    from seqaudio.features.streaming import Latency, StreamingExtractor, StreamState
    from seqaudio.features.waveform_augmentation import WaveformAugmentation, WaveformAugmenter, WaveformChange

__all__ = [
    "PRESETS",
    "Augmentation",
    "FeatureExtractor",
    "FeatureSettings",
    "Latency",
    "StreamState",
    "StreamingExtractor",
    "WaveformAugmentation",
    "WaveformAugmenter",
    "WaveformChange",
    "augment",
    "feature_settings",
]

_LATER = {
    "FeatureExtractor": "extractor",
    "Latency": "streaming",
    "StreamState": "streaming",
    "StreamingExtractor": "streaming",
    "WaveformAugmentation": "waveform_augmentation",
    "WaveformAugmenter": "waveform_augmentation",
    "WaveformChange": "waveform_augmentation",
}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(importlib.import_module(f"seqaudio.features.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
