"""A transform of waveforms in the layout of torchaudio, for pipelines that are built of such modules."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqaudio.errors import OptionError
from seqaudio.features.extractor import FeatureExtractor
from seqaudio.features.presets import feature_settings
from seqaudio.features.settings import FeatureSettings


class FeatureTransform(nn.Module):
    """Features of waveforms [..., N] as [..., F, T], as `torchaudio.transforms.MFCC` has them; no state, no weights.

    Each waveform gives what it gives alone, whatever is beside it in the batch. `FeatureExtractor` computes them, and
    is better where rows differ in length. Gradients reach the samples.

    Args:
        features: a preset with changes, such as "torchaudio", "asr+deltas=1", or settings.
        sample_rate: hertz, for a preset; None keeps that of the preset.
        dtype: of samples and result.
    Raises:
        OptionError: no such preset or setting; a rate beside settings, which have one.
    """

    def __init__(
        self,
        features: str | FeatureSettings = "default",
        sample_rate: int | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        if isinstance(features, FeatureSettings):
            if sample_rate not in (None, features.sample_rate):
                raise OptionError(f"got {sample_rate} Hz, and settings for {features.sample_rate} Hz; give one of them")
            settings = features
        else:
            settings = feature_settings(features, sample_rate)
        self.extractor = FeatureExtractor(settings, dtype)

    @property
    def settings(self) -> FeatureSettings:
        """Settings of the features."""
        return self.extractor.settings

    def forward(self, waveform: Tensor) -> Tensor:
        """Samples [..., N], full scale -1..1 at `settings.sample_rate`, to [..., F, T].

        Raises ValueError for too few samples, no dimension, or samples of another type.
        """
        if not waveform.dim():
            raise ValueError("got a waveform without dimensions, expected [..., samples]")
        rows = waveform.reshape(-1, waveform.shape[-1])
        if not len(rows):
            frames = waveform.new_zeros(self.settings.frames(waveform.shape[-1]), 0, self.settings.size)
        else:
            frames = self.extractor(rows)  # [T, B, F]
        return frames.permute(1, 2, 0).reshape(*waveform.shape[:-1], self.settings.size, len(frames))
