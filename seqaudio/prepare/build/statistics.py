"""Sums of frames and of their squares, from which normalisation is told. All in float64, row after row."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from seqaudio.store import Normalisation

MIN_VARIANCE = 1e-10  # of a feature that never changes


class Moments(NamedTuple):
    """Of the frames of a row."""

    frames: int
    sums: np.ndarray  # [2, F] float64: of the values, of their squares

    def flat(self) -> np.ndarray:
        """[1 + 2 F] float64, as a store keeps them."""
        return np.concatenate([[float(self.frames)], self.sums.reshape(-1)])

    @classmethod
    def from_flat(cls, values: np.ndarray) -> Moments:
        """The inverse of `flat`."""
        return cls(int(values[0]), values[1:].reshape(2, -1))


def moments_of(frames: np.ndarray) -> Moments:
    """Moments of frames [T, F]. They depend on these frames alone, whatever row comes before or after.

    Raises ValueError for samples or ids: those have no features to take a mean of.
    """
    if frames.ndim != 2:
        raise ValueError(f"a sequence of shape {list(frames.shape)} and no moments; expected frames [T, F], or both")
    (moments,) = moments_of_each(frames[None])
    return moments


def moments_of_each(frames: np.ndarray) -> list[Moments]:
    """The same of several rows at once, [B, T, F], each equal to the bit to those of it alone."""
    values = frames.astype(np.float64)
    sums = values.sum(axis=1)
    squares = np.square(values, out=values).sum(axis=1)
    return [Moments(frames.shape[1], both) for both in np.stack([sums, squares], axis=1)]


class RunningMoments:
    """Moments of rows that come one after the other.

    Rows are added in their order, so how many of them come at once changes no bit of the sums.
    """

    def __init__(self) -> None:
        self._sums = np.zeros(0)  # [1 + 2 F], once a row has come

    def add(self, rows: np.ndarray) -> None:
        """Add the flat moments of rows, [N, 1 + 2 F]."""
        before = self._sums if len(self._sums) else np.zeros(rows.shape[1])
        # a running sum is sequential by definition; a plain sum may be taken pairwise
        self._sums = np.cumsum(np.vstack([before, rows]), axis=0)[-1]

    def normalisation(self) -> Normalisation | None:
        """Mean and standard deviation over all frames; None where none has come."""
        if not len(self._sums) or not self._sums[0]:
            return None
        frames, sums = Moments.from_flat(self._sums)
        totals, squares = sums
        mean = totals / frames
        variance = np.maximum(squares / frames - mean**2, MIN_VARIANCE)
        return Normalisation(tuple(mean.tolist()), tuple(np.sqrt(variance).tolist()), frames)
