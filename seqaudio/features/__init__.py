"""From samples to frames: settings, MFCC and log-mel extraction, augmentation.

Torch is imported with the first use of `FeatureExtractor`, so that scripts can offer presets without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from seqaudio.features.augmentation import Augmentation, augment
from seqaudio.features.presets import PRESETS, feature_settings
from seqaudio.features.settings import FeatureSettings

if TYPE_CHECKING:
    from seqaudio.features.extractor import FeatureExtractor

__all__ = ["PRESETS", "Augmentation", "FeatureExtractor", "FeatureSettings", "augment", "feature_settings"]


def __getattr__(name: str) -> Any:
    if name == "FeatureExtractor":
        from seqaudio.features.extractor import FeatureExtractor

        return FeatureExtractor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
