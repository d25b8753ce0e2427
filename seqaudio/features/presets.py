"""Feature settings by name, for `--features NAME`."""

from __future__ import annotations

from dataclasses import replace

from seqaudio.features.settings import FeatureSettings
from seqaudio.registry import Registry

PRESETS: Registry[FeatureSettings] = Registry("feature preset")

PRESETS.register("default")(FeatureSettings())
PRESETS.register("log_mel")(FeatureSettings(kind="log_mel"))
# long frames, half as many: words cost half the time to learn, and lose nothing that tells them apart
PRESETS.register("keywords")(FeatureSettings(frame_length=0.04, frame_shift=0.02, coefficients=20))


def feature_settings(preset: str, sample_rate: int | None = None) -> FeatureSettings:
    """The settings of a preset, at another sample rate (hertz) where one is given.

    Raises:
        OptionError: no such preset, or a rate at which its frames are not whole numbers of samples.
    """
    settings = PRESETS[preset]
    return settings if sample_rate is None else replace(settings, sample_rate=sample_rate)
