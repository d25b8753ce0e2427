"""Samples in, frames out: one module for preparation, training, streaming and export."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqaudio.features.mel import mel_filters
from seqaudio.features.mfcc import dct_matrix
from seqaudio.features.settings import FeatureSettings


class FeatureExtractor(nn.Module):
    """Mel-frequency cepstra, or log-mel energies, of one recording or of a batch.

        S = |rfft(window * frame)|^2                     power spectrum, K bins
        E = log(max(S @ filters, floor))                 M log-mel energies, natural logarithm
        C = E @ dct                                      C cepstra, where settings.kind is "mfcc"

    The result of a recording does not depend on what else is in the batch.

    Args:
        settings: what to compute.
        dtype: of samples and result. Window, filters and DCT are made in float64 and rounded once.

    Source: Davis & Mermelstein (1980).
    """

    window: Tensor  # [W]
    filters: Tensor  # [K, M]
    dct: Tensor  # [M, C], of cepstra only

    def __init__(self, settings: FeatureSettings, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.settings = settings
        periodic = settings.window == "hann"
        window = torch.hann_window(settings.window_samples, periodic=periodic, dtype=torch.float64)
        # settings make these again: they do not belong into a saved model
        self.register_buffer("window", window.to(dtype), persistent=False)
        self.register_buffer("filters", torch.from_numpy(mel_filters(settings)).to(dtype), persistent=False)
        if settings.kind == "mfcc":
            dct = torch.from_numpy(dct_matrix(settings.mels, settings.coefficients))
            self.register_buffer("dct", dct.to(dtype), persistent=False)

    def forward(self, samples: Tensor) -> Tensor:
        """Frames of samples, full scale -1..1 at `settings.sample_rate`.

        Args:
            samples: [N], or [B, N] for recordings of one length or padded at their ends.
        Returns:
            [T, F], or [T, B, F], with T = 1 + (N - W) // H. Of a padded row the first `settings.frames(n)` count.
        Raises:
            ValueError: N < W, another number of dimensions, or samples of another type than the extractor's.
        """
        settings = self.settings
        if samples.dim() not in (1, 2):
            raise ValueError(f"samples of shape {list(samples.shape)}, expected [N] or [B, N]")
        if samples.dtype != self.window.dtype:
            raise ValueError(
                f"samples are {samples.dtype}, the extractor computes in {self.window.dtype}; "
                f"convert them, or make it with dtype={samples.dtype}"
            )
        if samples.shape[-1] < settings.window_samples:
            raise ValueError(
                f"{samples.shape[-1]} samples are fewer than one frame of {settings.window_samples} "
                f"({settings.frame_length} s at {settings.sample_rate} Hz)"
            )
        frames = samples.unfold(-1, settings.window_samples, settings.hop_samples)  # [..., T, W]
        spectrum = torch.fft.rfft(frames * self.window, n=settings.fft_size)
        power = spectrum.real.square() + spectrum.imag.square()  # abs() would take a root only to square it again
        features: Tensor = (power @ self.filters).clamp(min=settings.floor).log()
        if settings.kind == "mfcc":
            features = features @ self.dct
        return features if features.dim() == 2 else features.transpose(0, 1)

    def extra_repr(self) -> str:
        s = self.settings
        return f"{s.kind}, {s.size} values of {s.frame_length} s every {s.frame_shift} s at {s.sample_rate} Hz"
