"""Compute the filter energies of frames in one pass, compiled by numba: few frames at a time, to stay in the cache.

    work [N, L]             samples of L frames, eight or sixteen, overwritten by their spectra
    power [N / 2 + 1, L]    power of each bin

A real transform of N points is a complex one of N / 2 points z[n] = x[2n] + i x[2n + 1], which need not be moved in
memory. It runs in place with radix 4, from large steps to small ones; `Transform.place` tells where each bin ends up.
Importing this module imports numba.

Source: Cooley & Tukey (1965), decimation in frequency with radix 4; Sorensen et al. (1987) for real sequences.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from llvmlite import binding

from seqaudio.features.settings import FeatureSettings
from seqaudio.jit import compiled
from seqaudio.vectors import SIZE, WIDE, lanes, load, load_as, spread, spread_as, spread_wide, store, store_across

# sixteen frames at a time pay where the processor has registers for them, and `work` stays in its first-level cache
AVX_512 = bool(binding.get_host_cpu_features().get("avx512f"))
WORK_BYTES = 1 << 15


class Transform(NamedTuple):
    """Tables of a real Fourier transform of N points, M = N / 2."""

    twiddles: np.ndarray  # w^p, w^2p, w^3p as cosine and sine, for each p of each radix-4 step, large steps first
    place: np.ndarray  # [M] int64: where bin k of the complex transform ends up
    halves: np.ndarray  # [M / 2 + 1, 2] cosine and sine of -2 pi k / N

    @classmethod
    def of(cls, points: int, dtype: np.dtype[Any]) -> Transform:
        """The tables for a number of points, computed in float64 and rounded once."""
        M = points // 2
        twiddles = [np.zeros(0)]
        length = M
        while length > 4:
            angles = -2 * np.pi / length * np.outer(np.arange(length // 4), (1, 2, 3))
            twiddles.append(np.stack([np.cos(angles), np.sin(angles)], axis=-1).reshape(-1))
            length //= 4
        half = -2 * np.pi / points * np.arange(M // 2 + 1)
        return cls(
            np.concatenate(twiddles).astype(dtype),
            np.argsort(_bins(M)),
            np.stack([np.cos(half), np.sin(half)], axis=-1).astype(dtype),
        )


def _bins(length: int) -> np.ndarray:
    """The bin that ends up at each place."""
    if length == 1:
        return np.zeros(1, dtype=np.int64)
    radix = 4 if length >= 4 else 2
    part = _bins(length // radix)
    return np.concatenate([radix * part + k for k in range(radix)])


@compiled
def _four(work: np.ndarray, a: int, side: int, like: Any) -> Any:
    """The transform of four numbers that lie `side` apart, as alternating real and imaginary parts."""
    L = lanes(like)
    b, c, d = a + side, a + 2 * side, a + 3 * side
    ar, ai, br, bi = (
        load_as(like, work, a),
        load_as(like, work, a + L),
        load_as(like, work, b),
        load_as(like, work, b + L),
    )
    cr, ci, dr, di = (
        load_as(like, work, c),
        load_as(like, work, c + L),
        load_as(like, work, d),
        load_as(like, work, d + L),
    )
    er, ei, fr, fi = ar + cr, ai + ci, ar - cr, ai - ci
    gr, gi, hr, hi = br + dr, bi + di, bi - di, dr - br  # h = -i (b - d)
    return er + gr, ei + gi, fr + hr, fi + hi, er - gr, ei - gi, fr - hr, fi - hi


@compiled
def _put(work: np.ndarray, place: int, real: Any, imaginary: Any) -> None:
    store(work, place, real)
    store(work, place + lanes(real), imaginary)


@compiled
def _transform(work: np.ndarray, M: int, twiddles: np.ndarray, like: Any) -> None:
    """The complex transform of M numbers, in place."""
    L = lanes(like)
    length, begin = M, 0
    while length > 4:
        quarter = length // 4
        side = 2 * L * quarter
        for p in range(quarter):
            t = begin + 6 * p
            c1, s1 = spread_as(like, twiddles[t]), spread_as(like, twiddles[t + 1])
            c2, s2 = spread_as(like, twiddles[t + 2]), spread_as(like, twiddles[t + 3])
            c3, s3 = spread_as(like, twiddles[t + 4]), spread_as(like, twiddles[t + 5])
            for a in range(2 * L * p, 2 * L * M, 2 * L * length):
                ar, ai, br, bi, cr, ci, dr, di = _four(work, a, side, like)
                _put(work, a, ar, ai)
                _put(work, a + side, br * c1 - bi * s1, br * s1 + bi * c1)
                _put(work, a + 2 * side, cr * c2 - ci * s2, cr * s2 + ci * c2)
                _put(work, a + 3 * side, dr * c3 - di * s3, dr * s3 + di * c3)
        begin += 6 * quarter
        length = quarter
    side = 2 * L
    if length == 4:
        for a in range(0, side * M, 4 * side):
            ar, ai, br, bi, cr, ci, dr, di = _four(work, a, side, like)
            _put(work, a, ar, ai)
            _put(work, a + side, br, bi)
            _put(work, a + 2 * side, cr, ci)
            _put(work, a + 3 * side, dr, di)
    elif length == 2:
        for a in range(0, side * M, 2 * side):
            b = a + side
            ar, ai, br, bi = (
                load_as(like, work, a),
                load_as(like, work, a + L),
                load_as(like, work, b),
                load_as(like, work, b + L),
            )
            _put(work, a, ar + br, ai + bi)
            _put(work, b, ar - br, ai - bi)


@compiled
def _powers(work: np.ndarray, M: int, place: np.ndarray, halves: np.ndarray, power: np.ndarray, like: Any) -> None:
    """|X|^2 of the M + 1 bins of the real transform of 2 M samples."""
    L = lanes(like)
    for k in range(M // 2 + 1):
        a, b = 2 * L * place[k], 2 * L * place[(M - k) % M]
        zr, zi, yr, yi = (
            load_as(like, work, a),
            load_as(like, work, a + L),
            load_as(like, work, b),
            load_as(like, work, b + L),
        )
        evenr, eveni = zr + yr, zi - yi  # of the even samples: (Z[k] + conj Z[M - k])
        oddr, oddi = zi + yi, yr - zr  # of the odd ones: (Z[k] - conj Z[M - k]) / i
        c, s = spread_as(like, halves[k, 0]), spread_as(like, halves[k, 1])
        turnr, turni = oddr * c - oddi * s, oddr * s + oddi * c
        xr, xi, wr, wi = evenr + turnr, eveni + turni, evenr - turnr, eveni - turni
        store(power, L * k, xr * xr + xi * xi)
        store(power, L * (M - k), wr * wr + wi * wi)


@compiled
def _gathered(
    frames: np.ndarray, first: int, taper: np.ndarray, places: np.ndarray, work: np.ndarray, like: Any
) -> None:
    """Write L frames of [B, T, W] from `first` on, times a taper [W], into `work`; the last one repeats at the end."""
    L = lanes(like)
    B, T, W = frames.shape
    size = frames.itemsize
    rows, step = frames.strides[0] // size, frames.strides[1] // size
    for k in range(L):
        n = min(first + k, B * T - 1)
        places[k] = n // T * rows + n % T * step
        for sample in range(W - W % SIZE, W):
            work[L * sample + k] = frames[n // T, n % T, sample] * taper[sample]
    for eight in range(0, L, SIZE):
        a, b, c, d = places[eight], places[eight + 1], places[eight + 2], places[eight + 3]
        e, f, g, h = places[eight + 4], places[eight + 5], places[eight + 6], places[eight + 7]
        for n in range(0, W - SIZE + 1, SIZE):
            part = load(taper, n)
            store_across(
                work,
                L * n + eight,
                L,
                load(frames, a + n) * part,
                load(frames, b + n) * part,
                load(frames, c + n) * part,
                load(frames, d + n) * part,
                load(frames, e + n) * part,
                load(frames, f + n) * part,
                load(frames, g + n) * part,
                load(frames, h + n) * part,
            )
    nothing = spread_as(like, taper.dtype.type(0))
    for n in range(L * W, len(work), L):
        store(work, n, nothing)


@compiled
def _conditioned(
    work: np.ndarray, window: np.ndarray, remove_mean: bool, pre_emphasis: float, energy: np.ndarray, like: Any
) -> None:
    """Subtract the means of L frames, write their energies [L], then apply pre-emphasis and window."""
    L = lanes(like)
    W = len(window)
    if remove_mean:
        mean = spread_as(like, window.dtype.type(0))
        for n in range(W):
            mean = mean + load_as(like, work, L * n)
        mean = mean * spread_as(like, window.dtype.type(1 / W))
        for n in range(W):
            store(work, L * n, load_as(like, work, L * n) - mean)
    if len(energy):
        total = spread_as(like, window.dtype.type(0))
        for n in range(W):
            total = total + load_as(like, work, L * n) * load_as(like, work, L * n)
        store(energy, 0, total)
    share = spread_as(like, window.dtype.type(pre_emphasis))
    for n in range(W - 1, -1, -1):
        emphasised = load_as(like, work, L * n) - share * load_as(like, work, L * max(n - 1, 0))
        store(work, L * n, emphasised * spread_as(like, window[n]))


@compiled
def _energies(
    like: Any,
    frames: np.ndarray,
    window: np.ndarray,
    remove_mean: bool,
    pre_emphasis: float,
    magnitude: bool,
    transform: Transform,
    bands: Bands,
    loudness: float,
    floor: float,
    result: np.ndarray,
) -> None:
    """Write the energies of the filters into `result`, as many frames at a time as the vector `like` has numbers."""
    L = lanes(like)
    B, T, W = frames.shape
    M, mels = len(transform.place), len(bands.first)
    work, power = np.empty(2 * L * M, frames.dtype), np.empty(L * (M + 1), frames.dtype)
    places, totals = np.empty(L, np.int64), np.empty(L, frames.dtype)
    with_energy = result.shape[1] > mels
    energy = np.empty(L if with_energy else 0, frames.dtype)
    conditioned = remove_mean or pre_emphasis != 0 or with_energy
    taper = np.ones(W, frames.dtype) if conditioned else window
    for begin in range(0, B * T, L):
        count = min(L, B * T - begin)
        _gathered(frames, begin, taper, places, work, like)
        if conditioned:
            _conditioned(work, window, remove_mean, pre_emphasis, energy, like)
        _transform(work, M, transform.twiddles, like)
        _powers(work, M, transform.place, transform.halves, power, like)
        if magnitude:
            for n in range(len(power)):
                power[n] = np.sqrt(power[n])
        w = 0
        for m in range(mels):
            total = spread_as(like, frames.dtype.type(0))
            for k in range(bands.first[m], bands.last[m]):
                total = total + load_as(like, power, L * k) * spread_as(like, bands.weights[w])
                w += 1
            store(totals, 0, total)
            for k in range(count):
                result[begin + k, m] = max(totals[k], floor)
        if with_energy:
            for k in range(count):
                result[begin + k, mels] = max(energy[k] * loudness, floor)


@compiled
def _eight_at_once(frames: np.ndarray, *others: Any) -> None:
    _energies(spread(frames.dtype.type(0)), frames, *others)


@compiled
def _sixteen_at_once(frames: np.ndarray, *others: Any) -> None:
    _energies(spread_wide(frames.dtype.type(0)), frames, *others)


class FilterEnergies:
    """Computes the filter energies of frames in one floating-point type.

    Args:
        settings: their `fft_size` must be a power of two, at least 4.
        window: [W], multiplied by the full scale.
        filters: [K, M].
    Raises:
        ValueError: another `fft_size`.
    """

    def __init__(self, settings: FeatureSettings, window: np.ndarray, filters: np.ndarray) -> None:
        if settings.fft_size < 4 or settings.fft_size.bit_count() != 1:
            raise ValueError(f"an FFT of {settings.fft_size} points, expected a power of two, at least 4")
        self.settings = settings
        self.dtype = dtype = window.dtype
        self._window = window * dtype.type(0.5)  # as `_powers` adds two halves without dividing by 2
        self._transform = Transform.of(settings.fft_size, dtype)
        self._bands = Bands.of(filters.astype(dtype))
        self._columns = filters.shape[1] + settings.energy
        fits = WIDE * settings.fft_size * dtype.itemsize <= WORK_BYTES
        self._compute = _sixteen_at_once if AVX_512 and fits else _eight_at_once

    def __call__(self, frames: np.ndarray) -> np.ndarray:
        """Frames [B, T, W] -> [B * T, M], or [B * T, M + 1] with the energy of the frame itself; at least the floor.

        Raises:
            ValueError: frames of another type or length, or whose samples are not contiguous, which the compiled code
                does not check.
        """
        settings, window = self.settings, self._window
        if frames.dtype != window.dtype or frames.shape[2:] != window.shape or frames.strides[2] != frames.itemsize:
            raise ValueError(
                f"frames {frames.dtype} {list(frames.shape)} with strides {frames.strides}, expected {window.dtype} "
                f"[B, T, {len(window)}], contiguous in the last dimension"
            )
        number = window.dtype.type
        result = np.empty((frames.shape[0] * frames.shape[1], self._columns), window.dtype)
        self._compute(
            frames,
            window,
            settings.remove_mean,
            number(settings.pre_emphasis),
            settings.spectrum == "magnitude",
            self._transform,
            self._bands,
            number(settings.full_scale**2),
            number(settings.floor),
            result,
        )
        return result


class Bands(NamedTuple):
    """Filters without their zeros: filter m has weights for the bins first[m] .. last[m] - 1, concatenated."""

    first: np.ndarray  # [M] int64
    last: np.ndarray  # [M] int64
    weights: np.ndarray  # float

    @classmethod
    def of(cls, filters: np.ndarray) -> Bands:
        """Filters [K, M] as bands; a filter that is 0 everywhere has no bins."""
        seen = filters != 0
        first = seen.argmax(axis=0)
        last = np.where(seen.any(axis=0), len(filters) - seen[::-1].argmax(axis=0), first)
        parts = [filters[start:stop, m] for m, (start, stop) in enumerate(zip(first, last, strict=True))]
        return cls(first, last, np.concatenate(parts))
