"""Energies of frames under filters in one pass, compiled by numba: eight frames at a time, which stay in the cache.

    room [N, 8]         samples of eight frames, row after row; in place of them their spectra
    power [N / 2 + 1, 8]    of each bin

A real transform of N points is a complex one of N / 2 of the samples in pairs, z[n] = x[2n] + i x[2n + 1]: their rows
need not be moved. It runs in place, by fours, from large steps to small ones; its bins end up in the order that
`Transform.place` tells. Importing this module imports numba.

Source: Cooley & Tukey (1965), decimation in frequency with radix 4; Sorensen et al. (1987) for real sequences.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from seqaudio.features.compiled.vectors import SIZE, load, spread, store, store_across
from seqaudio.features.settings import FeatureSettings
from seqaudio.jit import compiled


class Transform(NamedTuple):
    """Tables of a real Fourier transform of N points, M = N / 2."""

    turns: np.ndarray  # for each step by fours, from large to small, w^p, w^2p, w^3p as cosine and sine, p after p
    place: np.ndarray  # [M] int64: where bin k of the complex transform ends up
    halves: np.ndarray  # [M / 2 + 1, 2] cosine and sine of -2 pi k / N

    @classmethod
    def of(cls, points: int, dtype: np.dtype[Any]) -> Transform:
        """Made in float64 and rounded once."""
        M = points // 2
        turns = [np.zeros(0)]
        length = M
        while length > 4:
            angles = -2 * np.pi / length * np.outer(np.arange(length // 4), (1, 2, 3))
            turns.append(np.stack([np.cos(angles), np.sin(angles)], axis=-1).reshape(-1))
            length //= 4
        half = -2 * np.pi / points * np.arange(M // 2 + 1)
        return cls(
            np.concatenate(turns).astype(dtype),
            np.argsort(_bins(M)),
            np.stack([np.cos(half), np.sin(half)], axis=-1).astype(dtype),
        )


def _bins(length: int) -> np.ndarray:
    """The bin that ends up in each place."""
    if length == 1:
        return np.zeros(1, dtype=np.int64)
    radix = 4 if length >= 4 else 2
    part = _bins(length // radix)
    return np.concatenate([radix * part + k for k in range(radix)])


@compiled
def _four(room: np.ndarray, a: int, side: int) -> Any:
    """The transform of four numbers that lie `side` apart, real and imaginary parts in turn."""
    b, c, d = a + side, a + 2 * side, a + 3 * side
    ar, ai, br, bi = load(room, a), load(room, a + SIZE), load(room, b), load(room, b + SIZE)
    cr, ci, dr, di = load(room, c), load(room, c + SIZE), load(room, d), load(room, d + SIZE)
    er, ei, fr, fi = ar + cr, ai + ci, ar - cr, ai - ci
    gr, gi, hr, hi = br + dr, bi + di, bi - di, dr - br  # h = -i (b - d)
    return er + gr, ei + gi, fr + hr, fi + hi, er - gr, ei - gi, fr - hr, fi - hi


@compiled
def _put(room: np.ndarray, place: int, real: Any, imaginary: Any) -> None:
    store(room, place, real)
    store(room, place + SIZE, imaginary)


@compiled
def _transform(room: np.ndarray, M: int, turns: np.ndarray) -> None:
    """The complex transform of M numbers, in place."""
    length, begin = M, 0
    while length > 4:
        quarter = length // 4
        side = 2 * SIZE * quarter
        for p in range(quarter):
            t = begin + 6 * p
            c1, s1, c2, s2 = spread(turns[t]), spread(turns[t + 1]), spread(turns[t + 2]), spread(turns[t + 3])
            c3, s3 = spread(turns[t + 4]), spread(turns[t + 5])
            for a in range(2 * SIZE * p, 2 * SIZE * M, 2 * SIZE * length):
                ar, ai, br, bi, cr, ci, dr, di = _four(room, a, side)
                _put(room, a, ar, ai)
                _put(room, a + side, br * c1 - bi * s1, br * s1 + bi * c1)
                _put(room, a + 2 * side, cr * c2 - ci * s2, cr * s2 + ci * c2)
                _put(room, a + 3 * side, dr * c3 - di * s3, dr * s3 + di * c3)
        begin += 6 * quarter
        length = quarter
    side = 2 * SIZE
    if length == 4:
        for a in range(0, side * M, 4 * side):
            ar, ai, br, bi, cr, ci, dr, di = _four(room, a, side)
            _put(room, a, ar, ai)
            _put(room, a + side, br, bi)
            _put(room, a + 2 * side, cr, ci)
            _put(room, a + 3 * side, dr, di)
    elif length == 2:
        for a in range(0, side * M, 2 * side):
            b = a + side
            ar, ai, br, bi = load(room, a), load(room, a + SIZE), load(room, b), load(room, b + SIZE)
            _put(room, a, ar + br, ai + bi)
            _put(room, b, ar - br, ai - bi)


@compiled
def _powers(room: np.ndarray, M: int, place: np.ndarray, halves: np.ndarray, power: np.ndarray) -> None:
    """|X|^2 of the M + 1 bins of the real transform of twice the samples."""
    for k in range(M // 2 + 1):
        a, b = 2 * SIZE * place[k], 2 * SIZE * place[(M - k) % M]
        zr, zi, yr, yi = load(room, a), load(room, a + SIZE), load(room, b), load(room, b + SIZE)
        evenr, eveni = zr + yr, zi - yi  # of the even samples: (Z[k] + conj Z[M - k])
        oddr, oddi = zi + yi, yr - zr  # of the odd ones: (Z[k] - conj Z[M - k]) / i
        c, s = spread(halves[k, 0]), spread(halves[k, 1])
        turnr, turni = oddr * c - oddi * s, oddr * s + oddi * c
        xr, xi, wr, wi = evenr + turnr, eveni + turni, evenr - turnr, eveni - turni
        store(power, SIZE * k, xr * xr + xi * xi)
        store(power, SIZE * (M - k), wr * wr + wi * wi)


@compiled
def _gathered(frames: np.ndarray, first: int, taper: np.ndarray, places: np.ndarray, room: np.ndarray) -> None:
    """Write frames first .. first + 7 of [B, T, W], times a taper [W], into the rows; beyond the last, that again."""
    B, T, W = frames.shape
    size = frames.itemsize
    rows, step = frames.strides[0] // size, frames.strides[1] // size
    for k in range(SIZE):
        n = min(first + k, B * T - 1)
        places[k] = n // T * rows + n % T * step
        for sample in range(W - W % SIZE, W):
            room[SIZE * sample + k] = frames[n // T, n % T, sample] * taper[sample]
    a, b, c, d = places[0], places[1], places[2], places[3]
    e, f, g, h = places[4], places[5], places[6], places[7]
    for n in range(0, W - SIZE + 1, SIZE):
        part = load(taper, n)
        store_across(
            room,
            SIZE * n,
            load(frames, a + n) * part,
            load(frames, b + n) * part,
            load(frames, c + n) * part,
            load(frames, d + n) * part,
            load(frames, e + n) * part,
            load(frames, f + n) * part,
            load(frames, g + n) * part,
            load(frames, h + n) * part,
        )
    nothing = spread(taper.dtype.type(0))
    for n in range(SIZE * W, len(room), SIZE):
        store(room, n, nothing)


@compiled
def _conditioned(
    room: np.ndarray, window: np.ndarray, remove_mean: bool, pre_emphasis: float, energy: np.ndarray
) -> None:
    """Take the means of eight frames away, tell their energies [8], emphasise and window them."""
    W = len(window)
    if remove_mean:
        mean = spread(window.dtype.type(0))
        for n in range(W):
            mean = mean + load(room, SIZE * n)
        mean = mean * spread(window.dtype.type(1 / W))
        for n in range(W):
            store(room, SIZE * n, load(room, SIZE * n) - mean)
    if len(energy):
        total = spread(window.dtype.type(0))
        for n in range(W):
            total = total + load(room, SIZE * n) * load(room, SIZE * n)
        store(energy, 0, total)
    share = spread(window.dtype.type(pre_emphasis))
    for n in range(W - 1, -1, -1):
        emphasised = load(room, SIZE * n) - share * load(room, SIZE * max(n - 1, 0))
        store(room, SIZE * n, emphasised * spread(window[n]))


@compiled
def _energies(
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
    B, T, W = frames.shape
    M, mels = len(transform.place), len(bands.first)
    room, power = np.empty(2 * SIZE * M, frames.dtype), np.empty(SIZE * (M + 1), frames.dtype)
    places, eight = np.empty(SIZE, np.int64), np.empty(SIZE, frames.dtype)
    with_energy = result.shape[1] > mels
    energy = np.empty(SIZE if with_energy else 0, frames.dtype)
    conditioned = remove_mean or pre_emphasis != 0 or with_energy
    taper = np.ones(W, frames.dtype) if conditioned else window
    for begin in range(0, B * T, SIZE):
        count = min(SIZE, B * T - begin)
        _gathered(frames, begin, taper, places, room)
        if conditioned:
            _conditioned(room, window, remove_mean, pre_emphasis, energy)
        _transform(room, M, transform.turns)
        _powers(room, M, transform.place, transform.halves, power)
        if magnitude:
            for n in range(len(power)):
                power[n] = np.sqrt(power[n])
        w = 0
        for m in range(mels):
            total = spread(frames.dtype.type(0))
            for k in range(bands.first[m], bands.last[m]):
                total = total + load(power, SIZE * k) * spread(bands.weights[w])
                w += 1
            store(eight, 0, total)
            for k in range(count):
                result[begin + k, m] = max(eight[k], floor)
        if with_energy:
            for k in range(count):
                result[begin + k, mels] = max(energy[k] * loudness, floor)


class FilterEnergies:
    """The energies of frames under filters, of one type of numbers.

    Args:
        settings: of an `fft_size` that is a power of two, at least 4.
        window: [W], full scale in it.
        filters: [K, M].
    Raises:
        ValueError: another `fft_size`.
    """

    def __init__(self, settings: FeatureSettings, window: np.ndarray, filters: np.ndarray) -> None:
        if settings.fft_size < 4 or settings.fft_size.bit_count() != 1:
            raise ValueError(f"a transform of {settings.fft_size} points, expected a power of two, at least 4")
        self.settings = settings
        self.dtype = dtype = window.dtype
        self._window = window * dtype.type(0.5)  # a real spectrum is the sum of two halves
        self._transform = Transform.of(settings.fft_size, dtype)
        self._bands = Bands.of(filters.astype(dtype))
        self._columns = filters.shape[1] + settings.energy

    def __call__(self, frames: np.ndarray) -> np.ndarray:
        """Frames [B, T, W] -> [B * T, M], or [B * T, M + 1] with the energy of the frame itself; at least the floor.

        Raises:
            ValueError: frames of another type or length, or whose samples do not lie side by side; compiled code would
                not notice.
        """
        settings, window = self.settings, self._window
        if frames.dtype != window.dtype or frames.shape[2:] != window.shape or frames.strides[2] != frames.itemsize:
            raise ValueError(
                f"frames {frames.dtype} {list(frames.shape)} with strides {frames.strides}, expected {window.dtype} "
                f"[B, T, {len(window)}], samples side by side"
            )
        number = window.dtype.type
        result = np.empty((frames.shape[0] * frames.shape[1], self._columns), window.dtype)
        _energies(
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
    """Filters without their zeros: filter m has the weights of the bins first[m] .. last[m] - 1, one after another."""

    first: np.ndarray  # [M] int64
    last: np.ndarray  # [M] int64
    weights: np.ndarray  # float

    @classmethod
    def of(cls, filters: np.ndarray) -> Bands:
        """Filters [K, M] as bands; one that sees nothing has no bins."""
        seen = filters != 0
        first = seen.argmax(axis=0)
        last = np.where(seen.any(axis=0), len(filters) - seen[::-1].argmax(axis=0), first)
        parts = [filters[start:stop, m] for m, (start, stop) in enumerate(zip(first, last, strict=True))]
        return cls(first, last, np.concatenate(parts))
