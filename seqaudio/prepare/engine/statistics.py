"""Sums of frames and of their squares, for the mean and deviation of normalisation. In float64, row after row."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from seqaudio.store import Normalisation

MIN_VARIANCE = 1e-10  # for a feature that never changes


class FrameStatistics(NamedTuple):
    """Number and sums of the frames of a row."""

    frames: int
    sums: np.ndarray  # [2, F] float64: of the values, and of their squares

    def flat(self) -> np.ndarray:
        """One vector [1 + 2 F] float64, as in the column of a store."""
        values = np.empty(1 + self.sums.size)
        values[0] = self.frames
        values[1:] = self.sums.reshape(-1)
        return values

    @classmethod
    def from_flat(cls, values: np.ndarray) -> FrameStatistics:
        """The inverse of `flat`."""
        return cls(int(values[0]), values[1:].reshape(2, -1))


def statistics_of(frames: np.ndarray) -> FrameStatistics:
    """Statistics of frames [T, F]. They depend on these frames alone, not on the rows before or after.

    Raises ValueError for samples or ids, which are not frames of features.
    """
    if frames.ndim != 2:
        raise ValueError(f"a sequence of shape {list(frames.shape)}, expected frames [T, F], or a row with statistics")
    (statistics,) = statistics_of_each(frames[None])
    return statistics


def statistics_of_each(frames: np.ndarray) -> list[FrameStatistics]:
    """Statistics of several rows at once, [B, T, F], each bit for bit as `statistics_of` gives it alone."""
    sums = np.add.reduce(frames, axis=1, dtype=np.float64)
    squares = np.multiply(frames, frames, dtype=np.float64).sum(axis=1)
    return [FrameStatistics(frames.shape[1], row_sums) for row_sums in np.stack([sums, squares], axis=1)]


class RunningStatistics:
    """Statistics of all rows so far.

    Rows are added in their order, so the sums do not depend, not in a single bit, on how many are added at once.
    """

    def __init__(self) -> None:
        self._sums = np.zeros(0)  # [1 + 2 F] after the first row

    def add(self, rows: np.ndarray) -> None:
        """Add the flat statistics of rows, [N, 1 + 2 F]."""
        before = self._sums if len(self._sums) else np.zeros(rows.shape[1])
        # cumsum adds in sequence by definition; np.sum may add pairwise
        self._sums = np.cumsum(np.vstack([before, rows]), axis=0)[-1]

    def normalisation(self) -> Normalisation | None:
        """Mean and standard deviation over all frames; None without frames."""
        if not len(self._sums) or not self._sums[0]:
            return None
        frames, sums = FrameStatistics.from_flat(self._sums)
        totals, squares = sums
        mean = totals / frames
        variance = np.maximum(squares / frames - mean**2, MIN_VARIANCE)
        return Normalisation(tuple(mean.tolist()), tuple(np.sqrt(variance).tolist()), frames)
