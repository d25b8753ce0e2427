"""Feature settings by name, for `--features NAME`."""

from __future__ import annotations

from dataclasses import replace

from seqaudio.features.settings import FeatureSettings
from seqaudio.registry import Registry

PRESETS: Registry[FeatureSettings] = Registry("feature preset")

PRESETS.register("default")(FeatureSettings())
PRESETS.register("log_mel")(FeatureSettings(kind="log_mel"))


def feature_settings(preset: str, sample_rate: int | None = None) -> FeatureSettings:
    """The settings of a preset, at another sample rate (hertz) where one is given.

    Raises:
        OptionError: no such preset, or a rate at which its frames are not whole numbers of samples.
    """
    settings = PRESETS[preset]
    return settings if sample_rate is None else replace(settings, sample_rate=sample_rate)
