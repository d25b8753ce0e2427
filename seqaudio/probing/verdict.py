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
GROWS = 1.01  # or where it grows by more than this a step, which is 10 times in 231 steps
SMALLEST = float(np.finfo(np.float32).tiny)  # below it single precision loses digits, which would distort a slope


class Verdict(NamedTuple):
    """The kind of a curve g(0..K), and why.

    vanishing: from some lag up to K, g stays under VANISHED of its peak over the lags from 1 on. exploding: g is not
    finite, g(K) is more than EXPLODED times g(0), or g grows by more than GROWS a step, see `judge`. carries: neither.
    """

    kind: Literal["vanishing", "exploding", "carries"]
    reason: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.reason}"


def judge(curve: Curve, growth: float = math.nan) -> Verdict:
    """The verdict on a curve g(0..K).

    growth: the factor a step of the product of Jacobians; NaN where it is not known. g grows where this factor and its
    slopes, over all lags and over the later half of them, are more than GROWS: in a lower layer g may rise for a while
    without it, since ever more paths lead through the layers above.
    """
    longest = len(curve) - 1
    if not np.isfinite(curve).all():
        first = int(np.argmin(np.isfinite(curve)))
        return Verdict("exploding", f"not finite from lag {first} on")
    if curve.max() == 0:
        return Verdict("vanishing", "no gradient reaches the state at all")
    if curve[-1] > EXPLODED * curve[0]:
        factor = f"{curve[-1] / curve[0]:.2g} times" if curve[0] > 0 else "from nothing"
        return Verdict("exploding", f"grows {factor} over {_steps(longest)}, {slope(curve):.3g} a step")
    factors = [factor for factor in (slope(curve), slope(curve, (longest + 1) // 2), growth) if not math.isnan(factor)]
    if curve[-1] > 0 and min(factors, default=0) > GROWS:
        return Verdict("exploding", f"grows {factors[0]:.3g} times a step over {_steps(longest)}")
    if (last := memory(curve, VANISHED)) is not None:
        return Verdict("vanishing", f"no gradient beyond {_steps(last)}")
    left = 100 * curve[-1] / _recurrent(curve).max()
    return Verdict("carries", f"{left:.0f} % of the peak left after {_steps(longest)}")


def memory(curve: Curve, share: float) -> int | None:
    """Effective memory: the last lag at which g is at least `share` of its peak; None where g(K) still is.

    Both are over the lags from 1 on. At lag 0 the gradient has gone through the read-out alone, and that of an LSTM's
    output at lag 0 is several times what its memory passes from step to step. 0 where no gradient reaches lag 1.
    """
    if not np.isfinite(curve).all():
        return None
    later = _recurrent(curve)
    above = np.flatnonzero(later >= share * later.max()) if later.max() > 0 else np.array([], dtype=np.int64)
    last = len(curve) - len(later) + int(above[-1]) if len(above) else 0
    return last if last < len(curve) - 1 else None


def _steps(count: int) -> str:
    return f"{count} step{'s' if count != 1 else ''}"


def _recurrent(curve: Curve) -> Curve:
    """The lags from 1 on; lag 0 where there is no other."""
    return curve[1:] if len(curve) > 1 else curve


def slope(curve: Curve, first: int = 1) -> float:
    """The factor by which g changes a step: exp of the least-squares slope of log g over the lags from 1 on.

    first: leaves out the lags before it. NaN where fewer than two lags have a gradient.
    """
    lags = np.arange(len(curve))
    usable = (lags >= max(first, 1)) & np.isfinite(curve) & (curve > SMALLEST)
    if usable.sum() < 2:
        return math.nan
    x, y = lags[usable] - lags[usable].mean(), np.log(curve[usable])
    return float(np.exp((x * y).sum() / (x * x).sum()))
