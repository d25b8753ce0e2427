"""Frames of a stream, a call at a time, in plain operations: what `StreamingExtractor` gives, for a graph."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from seqaudio.export.graph import Cosines
from seqaudio.features.extractor import DECIBELS_PER_NEPER, FeatureExtractor
from seqaudio.features.normalisation import MIN_DEVIATION
from seqaudio.features.settings import FeatureSettings
from seqaudio.features.slopes import slopes


class MatrixExtractor(FeatureExtractor):
    """`FeatureExtractor` with the Fourier transform as two products with small matrices.

        X[k + R j] = sum_n W_N^(n k) (sum_m x[C m + n] W_R^(m k)) W_C^(n j)     N = R C points, k < R, j < C

    Both together take N (2 R + 4 C / 2) multiply-adds and R^2 + C^2 numbers, one matrix N^2 of each. Source: Cooley &
    Tukey (1965).
    """

    def __init__(self, settings: FeatureSettings) -> None:
        super().__init__(settings)
        N, W = settings.fft_size, settings.window_samples
        R = max(size for size in range(1, math.isqrt(N) + 1) if N % size == 0)
        C = N // R
        used = np.flatnonzero(self.filters.numpy().any(axis=1))
        self.columns = (int(used[-1]) if len(used) else 0) // R + 1  # j below this hold all bins of the filters
        self.rows, self.width, self.height = R, C, -(-W // C)
        self.padding = self.height * C - W
        unit = 1 if N % 4 == 0 else 4  # a point is so many parts of a turn that a quarter is a whole number of them
        points, quarter = N * unit, N * unit // 4
        k, m, n, j = (unit * np.arange(count) for count in (R, self.height, C, self.columns))
        # exp(-i x) = cos x + i cos(x + quarter)
        signs = np.repeat([0, quarter], C)
        formulas = {
            "first": (_columns(m // unit, 1), _columns(np.tile(C * k, 2), np.repeat([0, quarter], R))),  # [m, 2 R]
            "cosines": (_columns(n // unit), _columns(k)),  # [C, R]
            "sines": (_columns(n // unit, 1), _columns(k, quarter)),
            "second": (
                _columns(np.tile(n // unit, 2), 1, -signs),
                _columns(np.tile(R * j, 2), np.repeat([0, quarter], len(j)), 1),
            ),  # [2 C, 2 j]
        }
        self.formulas = {name: Cosines(points, left, right.T) for name, (left, right) in formulas.items()}
        self.first, self.cosines, self.sines, self.second = (
            torch.from_numpy(formula.values()) for formula in self.formulas.values()
        )
        bins = np.zeros((self.columns * R, settings.mels))
        known = self.filters.numpy()[: len(bins)]
        bins[: len(known)] = known
        self.bins = torch.from_numpy(bins).float()  # [j R, M]

    def static(self, frames: Tensor) -> Tensor:
        settings = self.settings
        logarithms = self._logarithms_by_torch(frames)
        if settings.kind == "mfcc":
            return torch.stack([recording @ self.dct for recording in logarithms])
        return logarithms * DECIBELS_PER_NEPER if settings.decibels else logarithms

    def _mel_energies(self, windowed: Tensor) -> Tensor:
        T, R, C = windowed.shape[-2], self.rows, self.width
        frames = nn.functional.pad(windowed.reshape(T, -1), (0, self.padding)).view(T, self.height, C)
        inner = frames.transpose(1, 2).reshape(T * C, self.height) @ self.first
        real, imaginary = (part.reshape(T, C, R) for part in torch.split(inner, R, dim=1))
        turned = [real * self.cosines - imaginary * self.sines, real * self.sines + imaginary * self.cosines]
        outer = torch.cat(turned, dim=1).transpose(1, 2).reshape(T * R, 2 * C) @ self.second
        real, imaginary = torch.split(outer, self.columns, dim=1)
        power = real * real + imaginary * imaginary  # [T R, j]
        power = power.reshape(T, R, self.columns).transpose(1, 2).reshape(T, -1)
        power = power.sqrt() if self.settings.spectrum == "magnitude" else power
        energies: Tensor = (power @ self.bins).view(1, T, -1)
        return energies


class FrontEndState(NamedTuple):
    """The state between calls; zero before the first."""

    calls: Tensor  # [1, 1] calls so far, up to a number from which on nothing changes
    samples: Tensor  # [1, n] the last samples
    held: tuple[Tensor, ...]  # for each order of deltas, the last 2 w frames [1, 2 w, G]
    waiting: Tensor  # [1, d, F] frames that are complete, but not yet as many as a call gives
    last: Tensor  # [1, p, F] the last frames, of the sliding normalisation


class FrontEnd(nn.Module):
    """Samples [1, K H] and a state -> the next K frames [1, K, F], and the next state.

    The frames are those of `StreamingExtractor` from the first on; `warm_up` calls give frames that do not count.

    settings: of features for a stream. count: K, frames a call.
    """

    def __init__(self, settings: FeatureSettings, count: int = 1) -> None:
        super().__init__()
        settings.require_streaming("a model in another program")
        self.settings = settings
        self.count = count
        self.extractor = MatrixExtractor(settings)
        H, W = settings.hop_samples, settings.window_samples
        self.hop = count * H
        self.calls = -(-((count - 1) * H + W) // self.hop)  # whose samples hold K frames
        self.waiting = -settings.lookahead % count
        self.warm_up = self.calls - 1 + (settings.lookahead + self.waiting) // count
        self.sliding = settings.normalise_frames if settings.normalise == "sliding" else 0

    def matrices(self) -> list[tuple[Tensor, Cosines | None]]:
        """The constant matrices and their formulas: Fourier transform, mel filters and, for cepstra, the cosines."""
        made = self.extractor
        known: list[tuple[Tensor, Cosines | None]] = [(made.bins, None)]
        known += [(getattr(made, name), formula) for name, formula in made.formulas.items()]
        return known + ([(made.dct, None)] if self.settings.kind == "mfcc" else [])

    def initial_state(self) -> FrontEndState:
        """The state before the first sample."""
        settings, w = self.settings, self.settings.delta_width
        sizes = (settings.static_size * (1 + order) for order in range(settings.deltas))
        return FrontEndState(
            calls=torch.zeros(1, 1),
            samples=torch.zeros(1, (self.calls - 1) * self.hop),
            held=tuple(torch.zeros(1, 2 * w, size) for size in sizes),
            waiting=torch.zeros(1, self.waiting, settings.size),
            last=torch.zeros(1, max(0, self.sliding - 1), settings.size),
        )

    def forward(self, samples: Tensor, state: FrontEndState) -> tuple[Tensor, FrontEndState]:
        settings, S = self.settings, self.settings.static_size
        known = torch.cat([state.samples, samples], dim=1)
        spread = known[:, : (self.count - 1) * settings.hop_samples + settings.window_samples]
        static = self.extractor.static(spread.unfold(1, settings.window_samples, settings.hop_samples))
        before, held, last, frames = (state.calls - (self.calls - 1)) * self.count, list(state.held), state.last, []
        for place in range(self.count):
            number = before + place  # of the frame, below 0 before the first
            frame = static[:, place : place + 1]
            for order in range(settings.deltas):
                frame, held[order] = self._with_slopes(frame, held[order], number == 0, S)
                number = number - settings.delta_width
            if self.sliding:
                frame, last = self._normalised(frame, last, number)
            frames.append(frame)
        complete = torch.cat([state.waiting, *frames], dim=1)
        most = self.calls + self.warm_up + self.sliding + 1
        after = FrontEndState(
            calls=(state.calls + 1).clamp(max=float(most)),
            samples=known[:, self.hop :],
            held=tuple(held),
            waiting=complete[:, self.count :],
            last=last,
        )
        return complete[:, : self.count], after

    def _with_slopes(self, frame: Tensor, held: Tensor, is_first: Tensor, S: int) -> tuple[Tensor, Tensor]:
        """The frame [1, 1, G] of w calls before with its slopes [1, 1, G + S], and the frames held."""
        w = self.settings.delta_width
        start = torch.cat([held[:, :w], frame.expand(-1, w, -1)], dim=1)  # the first frame repeated before itself
        known = torch.cat([torch.where(is_first[..., None], start, held), frame], dim=1)[0]
        return torch.cat([known[w : w + 1], slopes(known[:, -S:], w)], dim=1)[None], known[None, 1:]

    def _normalised(self, frame: Tensor, last: Tensor, number: Tensor) -> tuple[Tensor, Tensor]:
        """A frame [1, 1, F] normalised over the last ones, and those that the next needs."""
        window = torch.cat([last, frame], dim=1)  # [1, p, F]
        count = (number + 1).clamp(1.0, float(self.sliding))[..., None]
        ages = torch.arange(self.sliding - 1, -1, -1, dtype=frame.dtype)[None, :, None]
        known = torch.where(ages < count, window, 0.0)
        mean = known.sum(dim=1, keepdim=True) / count
        apart = torch.where(ages < count, window - mean, 0.0)
        deviation = ((apart * apart).sum(dim=1, keepdim=True) / count).sqrt().clamp(min=MIN_DEVIATION)
        return (frame - mean) / deviation, window[:, 1:]


def _columns(*columns: Any) -> np.ndarray:
    """Columns of integers as [count, n]; a number is repeated."""
    return np.stack(np.broadcast_arrays(*columns), axis=1).astype(np.int32)
