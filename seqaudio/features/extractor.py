"""Compute frames of samples: one torch module for preparation, training, streaming and export."""

from __future__ import annotations

import functools
import importlib
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from seqaudio import jit
from seqaudio.features.deltas import with_deltas
from seqaudio.features.framing import cut_frames, window_function
from seqaudio.features.mfcc import cepstral_matrix, mel_filters
from seqaudio.features.normalisation import normalise_sliding, normalise_utterance
from seqaudio.features.settings import FeatureSettings
from seqaudio.progress import say

if TYPE_CHECKING:
    from seqaudio.features.compiled.energies import FilterEnergies

BLOCK = 400  # frames that torch works on at once: long recordings take no more memory
DECIBELS_PER_NEPER = 4.342944819032518  # 10 / ln 10


class FeatureExtractor(nn.Module):
    """Mel-frequency cepstra, or log-mel energies, of one recording or of several.

        S = |rfft(window * frame)|^2                     power spectrum, K bins
        E = log(max(S @ filters, floor))                 M log-mel energies, natural logarithm
        C = E @ dct                                      C cepstra, where settings.kind is "mfcc"

    and what else the settings ask for: pre-emphasis before the window, a lifter within the DCT, deltas after it.
    On the CPU, of any processor and with or without numba, the bits of a recording's result do not depend on what else
    is in the batch: compiled code works on frames one by one, and what rounds by its shape (torch's and NumPy's
    products do) works on each recording by itself. They do depend on the processor, the number of threads, and on
    whether numba is there. On a GPU a whole batch is one product, and the last bits may differ with its size.

    Args:
        settings: what to compute.
        dtype: of samples and result. Window, filters and DCT are made in float64 and rounded once.

    Source: Davis & Mermelstein (1980).
    """

    window: Tensor  # [W]
    filters: Tensor  # [K, M]
    dct: Tensor  # [M, C], or [M + 1, C] where the frame's energy is the last of the energies; of cepstra only

    def __init__(self, settings: FeatureSettings, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.settings = settings
        window = torch.from_numpy(window_function(settings.window, settings.window_samples)) * settings.full_scale
        # settings make these again: they do not belong into a saved model
        self.register_buffer("window", window.to(dtype), persistent=False)
        self.register_buffer("filters", torch.from_numpy(mel_filters(settings)).to(dtype), persistent=False)
        self._compiled: FilterEnergies | None = None  # made when first asked for
        if settings.kind == "mfcc":
            dct = torch.from_numpy(cepstral_matrix(settings))
            if settings.energy:
                instead = functional.one_hot(torch.tensor([0]), settings.coefficients)
                dct = torch.cat([dct * (1 - instead), instead])
            if settings.decibels:
                dct = dct * DECIBELS_PER_NEPER
            self.register_buffer("dct", dct.to(dtype), persistent=False)

    def forward(self, samples: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Frames of samples, full scale -1..1 at `settings.sample_rate`.

        Args:
            samples: [N], or [B, N] for recordings of one length or padded at their ends.
            lengths: [B] samples of each padded recording; needed where a frame sees more than its own samples
                (deltas, edges, top_db, normalise), and none shorter than one frame.
        Returns:
            [T, F], or [T, B, F], with T = settings.frames(N). Beyond the frames of a row's length there are zeros;
            without lengths the first `settings.frames(n)` of a padded row count.
        Raises:
            ValueError: too few samples for a frame, another number of dimensions, or samples of another type than the
                extractor's.
        """
        if samples.dim() not in (1, 2):
            raise ValueError(f"samples of shape {list(samples.shape)}, expected [N] or [B, N]")
        if samples.dtype != self.window.dtype:
            raise ValueError(
                f"samples are {samples.dtype}, the extractor computes in {self.window.dtype}; "
                f"convert them, or make it with dtype={samples.dtype}"
            )
        counts = [samples.shape[-1]] if lengths is None else [int(length) for length in lengths]
        self._check_counts(counts)
        if lengths is None:
            # sums round by where samples lie: side by side, however the batch was put together
            rows = (samples if samples.dim() == 2 else samples[None]).contiguous()
            features = self._with_context(self.static(cut_frames(rows, self.settings)))
            return features.transpose(0, 1) if samples.dim() == 2 else features[0]
        whole = (row[None, :count] for row, count in zip(samples, counts, strict=True))
        return nn.utils.rnn.pad_sequence([self(recording)[:, 0] for recording in whole])

    def static(self, frames: Tensor) -> Tensor:
        """Cut frames [B, T, W] -> [B, T, C] cepstra or [B, T, M] log-mel energies, without deltas."""
        settings = self.settings
        gradients = torch.is_grad_enabled() and frames.requires_grad
        compiled = compiled_serves(frames) and not gradients
        in_one_pass = compiled and settings.fft_size >= 4 and settings.fft_size.bit_count() == 1
        if in_one_pass:
            logarithms = self._logarithms_by_numba(frames)
        else:
            # one by one on the CPU: how a product rounds depends on its shape, so on the recording alone
            parts = torch.split(frames, 1) if frames.device.type == "cpu" else (frames,)
            logarithms = torch.cat([self._logarithms_by_torch(part) for part in parts])
        if settings.top_db is not None:
            loudest = logarithms.amax(dim=(1, 2), keepdim=True)
            logarithms = logarithms.maximum(loudest - settings.top_db / DECIBELS_PER_NEPER)
        if settings.kind == "mfcc":
            if compiled:
                return self._cepstra_by_numba(logarithms)
            # one by one: the rounding of a product of matrices depends on their size
            return torch.stack([recording @ self.dct for recording in logarithms])
        return logarithms * DECIBELS_PER_NEPER if settings.decibels else logarithms

    def extra_repr(self) -> str:
        s = self.settings
        return f"{s.kind}, {s.size} values of {s.frame_length} s every {s.frame_shift} s at {s.sample_rate} Hz"

    def _with_context(self, static: Tensor) -> Tensor:
        """Whole recordings [B, T, S], their deltas added and normalised where the settings say so: [B, T, F]."""
        settings = self.settings
        if not settings.deltas and settings.normalise == "none":
            return static
        recordings = []
        for frames in static:
            features = with_deltas(frames, settings.deltas, settings.delta_width)
            if settings.normalise == "utterance":
                features = normalise_utterance(features)
            elif settings.normalise == "sliding":
                features = normalise_sliding(features, features[:0], settings.normalise_frames)
            recordings.append(features)
        return torch.stack(recordings)

    def _logarithms_by_torch(self, frames: Tensor) -> Tensor:
        """Frames [B, T, W] -> [B, T, M] log energies of the filters, [B, T, M + 1] where the frame's is asked."""
        blocks = []
        for block in torch.split(frames, BLOCK, dim=1):
            centred = self._centred(block)
            sums = self._mel_energies(self._emphasised(centred) * self.window)
            if self.settings.energy:
                sums = torch.cat([sums, self._energy(centred)[..., None]], dim=-1)
            blocks.append(sums.clamp(min=self.settings.floor).log())
        return torch.cat(blocks, dim=1)

    def _mel_energies(self, windowed: Tensor) -> Tensor:
        """Windowed frames [B, T, W] -> [B, T, M] sums of the spectrum under the filters."""
        spectrum = torch.fft.rfft(windowed, n=self.settings.fft_size)
        power = spectrum.real.square() + spectrum.imag.square()  # abs() would take a root only to square it again
        energies: Tensor = (power.sqrt() if self.settings.spectrum == "magnitude" else power) @ self.filters
        return energies

    def _logarithms_by_numba(self, frames: Tensor) -> Tensor:
        """The same, in one pass over the frames."""
        from seqaudio.features.compiled.energies import FilterEnergies

        window, filters = self.window.numpy(), self.filters.numpy()
        if self._compiled is None or self._compiled.dtype != window.dtype:
            self._compiled = FilterEnergies(self.settings, window, filters)
        energies = self._compiled((frames if frames.stride(-1) == 1 else frames.contiguous()).numpy())
        np.log(energies, out=energies)
        return torch.from_numpy(energies).view(*frames.shape[:2], -1)

    def _cepstra_by_numba(self, logarithms: Tensor) -> Tensor:
        """Log-mel energies [B, T, M] -> cepstra [B, T, C], a frame by itself."""
        from seqaudio.features.compiled.products import row_products

        rows = logarithms.contiguous().flatten(0, 1).numpy()
        return torch.from_numpy(row_products(rows, self.dct.numpy())).view(*logarithms.shape[:2], -1)

    def _centred(self, frames: Tensor) -> Tensor:
        return frames - frames.mean(dim=-1, keepdim=True) if self.settings.remove_mean else frames

    def _emphasised(self, frames: Tensor) -> Tensor:
        if not self.settings.pre_emphasis:
            return frames
        before = torch.cat([frames[..., :1], frames[..., :-1]], dim=-1)
        return frames - self.settings.pre_emphasis * before

    def _energy(self, frames: Tensor) -> Tensor:
        """Frames [..., W] before pre-emphasis and window -> their energies [...]."""
        return frames.square().sum(dim=-1) * self.settings.full_scale**2

    def _check_counts(self, counts: list[int]) -> None:
        settings = self.settings
        shortest = min(counts)
        if not settings.frames(shortest):
            raise ValueError(
                f"{shortest} samples are fewer than one frame of {settings.min_samples} "
                f"({settings.frame_length} s at {settings.sample_rate} Hz, edges {settings.edges})"
            )


@functools.cache
def compiled_is_there() -> bool:
    """Whether the folder `compiled/` and numba can be imported; says so once where one cannot."""
    try:
        importlib.import_module("seqaudio.features.compiled.energies")
    except ImportError as error:
        remedy = "" if (error.name or "").startswith("seqaudio") else "; pip install numba"
        say(f"features are made by torch operations, at a third of the speed: {error}{remedy}")
        return False
    return True


def compiled_serves(samples: Tensor) -> bool:
    """Whether the compiled code takes samples of this device and type. Torch cannot trace it, so not while tracing."""
    return jit.takes(samples) and compiled_is_there()
