"""95 % intervals of a share, of a rate, and of a ratio of sums over items.

    wilson(0.9, 200)          share of hits among 200 words
    poisson(3, 6.0)           3 alarms in 6 hours, as alarms an hour
    ratio_of_sums(a, b)       sum of a / sum of b over pieces, which are resampled; a mean where b is 1

The first two are exact or nearly so for small counts. Source: Wilson (1927); Garwood (1936); for none in T hours the
one-sided bound, Louis (1981): less than 3 / T; Efron (1979) for the bootstrap.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from seqaudio.evaluation.comparison import CONFIDENCE, Z, student_t

NONE_AT_MOST = -math.log(1 - CONFIDENCE)  # events that may be expected where none was seen: 2.996
HALVINGS = 100  # of the range in which a bound lies
MIN_ITEMS = 5  # for a bootstrap; with fewer there is no interval
RESAMPLES = 2_000


def wilson(share: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a share of `count` items, taken as independent."""
    middle = share + Z * Z / (2 * count)
    half = Z * math.sqrt(share * (1 - share) / count + Z * Z / (4 * count * count))
    whole = 1 + Z * Z / count
    return max(0.0, (middle - half) / whole), min(1.0, (middle + half) / whole)


def poisson(count: int, hours: float) -> tuple[float, float]:
    """The 95 % interval of a rate an hour, of which `count` events were seen in so many hours.

    Below and above it so few or so many events have a probability of 2.5 % each; of none, the bound above is one-sided.
    Raises ValueError for a negative count, and for no time.
    """
    if count < 0 or not hours > 0:
        raise ValueError(f"{count} events in {hours} hours, expected 0 or more in a positive time")
    if not count:
        return 0.0, NONE_AT_MOST / hours
    tail = (1 - CONFIDENCE) / 2
    return _mean_at(count - 1, 1 - tail) / hours, _mean_at(count, tail) / hours


def _mean_at(count: int, probability: float) -> float:
    """The mean of a Poisson distribution in which `count` events or fewer have a given probability."""
    events = np.arange(count + 1)
    log_factorials = np.concatenate([[0.0], np.cumsum(np.log(events[1:]))])
    low, high = 0.0, count + 20.0 + 10.0 * math.sqrt(count + 1.0)
    for _ in range(HALVINGS):
        mean = (low + high) / 2
        if mean in (low, high):
            break
        at_most = float(np.exp(events * math.log(mean) - mean - log_factorials).sum())
        low, high = (mean, high) if at_most > probability else (low, mean)
    return (low + high) / 2


def ratio_of_sums(numerators: npt.ArrayLike, denominators: npt.ArrayLike) -> tuple[float, float] | None:
    """The 95 % interval of sum(numerators) / sum(denominators), by a bootstrap over the n items, widened for few.

    As in `comparison.py`: the quantiles of the resamples are moved away from the ratio by t(n - 1) / z and by
    sqrt(n / (n - 1)). None for fewer than MIN_ITEMS items. Equal values give equal intervals.

    Raises ValueError for arrays that are not [n] each, and denominators that do not sum to more than 0.
    """
    over, under = np.asarray(numerators, dtype=np.float64), np.asarray(denominators, dtype=np.float64)
    if over.ndim != 1 or over.shape != under.shape or not under.sum() > 0:
        raise ValueError(
            f"got {list(over.shape)} numerators and {list(under.shape)} denominators of sum {under.sum():g}, expected "
            "as many of both and a sum above 0"
        )
    n = len(over)
    if n < MIN_ITEMS:
        return None
    times = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=RESAMPLES)  # each item is drawn
    below = times @ under
    ratios = (times @ over)[below > 0] / below[below > 0]
    ratio = over.sum() / under.sum()
    widened = student_t(n - 1) / Z * math.sqrt(n / (n - 1))
    low, high = (np.quantile(ratios, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]) - ratio).tolist()
    return float(ratio + widened * low), float(ratio + widened * high)
