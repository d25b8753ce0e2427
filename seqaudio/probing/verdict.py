"""Judge a curve of gradient norms against lags: vanishing, exploding, or carries."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

Curve = npt.NDArray[np.float64]  # [K + 1]: g at the lags 0..K

FADED = 1 / math.e  # share of the peak below which a gradient has faded
VANISHED = 0.01  # share of the peak below which a gradient has vanished
EXPLODED = 10.0  # a gradient explodes where g(K) is more than this times g(0)
SMALLEST = float(np.finfo(np.float32).tiny)  # below it single precision loses digits, which would distort a slope


class Verdict(NamedTuple):
    """`vanishing`: from some lag up to K, g stays under VANISHED of its peak. `exploding`: g is not finite, or g(K) is
    more than EXPLODED times g(0). `carries`: neither, over K lags."""

    kind: Literal["vanishing", "exploding", "carries"]
    reason: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.reason}"


def judge(curve: Curve) -> Verdict:
    """The verdict on a curve g(0..K)."""
    longest = len(curve) - 1
    if not np.isfinite(curve).all():
        first = int(np.argmin(np.isfinite(curve)))
        return Verdict("exploding", f"not finite from lag {first} on")
    if curve.max() == 0:
        return Verdict("vanishing", "no gradient reaches the state at all")
    if curve[-1] > EXPLODED * curve[0]:
        factor = f"{curve[-1] / curve[0]:.2g} times" if curve[0] > 0 else "from nothing"
        return Verdict("exploding", f"grows {factor} over {longest} steps, {slope(curve):.3g} a step")
    if (gone := lag_under(curve, VANISHED)) is not None:
        return Verdict("vanishing", f"no gradient beyond {gone - 1} step{'s' if gone != 2 else ''}")
    left = 100 * curve[-1] / curve.max()
    return Verdict("carries", f"{left:.0f} % of the peak left after {longest} steps")


def lag_under(curve: Curve, share: float) -> int | None:
    """The lag from which on, up to K, g stays under `share` of its peak; None where there is none."""
    if not np.isfinite(curve).all():
        return None
    above = np.flatnonzero(curve >= share * curve.max()) if curve.max() > 0 else np.array([], dtype=np.int64)
    last = int(above[-1]) if len(above) else -1
    return last + 1 if last < len(curve) - 1 else None


def slope(curve: Curve) -> float:
    """The factor by which g changes a step: exp of the least-squares slope of log g over the lags from 1 on.

    NaN where fewer than two lags have a gradient.
    """
    lags = np.arange(len(curve))
    usable = (lags > 0) & np.isfinite(curve) & (curve > SMALLEST)
    if usable.sum() < 2:
        return math.nan
    x, y = lags[usable] - lags[usable].mean(), np.log(curve[usable])
    return float(np.exp((x * y).sum() / (x * x).sum()))
