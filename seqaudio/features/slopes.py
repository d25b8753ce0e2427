"""Slopes of lines fitted to a frame and its neighbours, for NumPy arrays and tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

Array = TypeVar("Array", np.ndarray, "Tensor")


def slopes(frames: Array, width: int) -> Array:
    """Slope at each frame of [T, F] with `width` neighbours on both sides, [T - 2 width, F].

        d[t] = sum_n n (c[t + n] - c[t - n]) / (2 sum_n n^2)      n = 1 .. width

    Source: Furui (1986), as in HTK.
    """
    T = len(frames) - 2 * width
    total: Array = frames[width + 1 : width + 1 + T] - frames[width - 1 : width - 1 + T]
    for n in range(2, width + 1):
        total = total + n * (frames[width + n : width + n + T] - frames[width - n : width - n + T])
    slope: Array = total / (2 * sum(n * n for n in range(1, width + 1)))
    return slope
