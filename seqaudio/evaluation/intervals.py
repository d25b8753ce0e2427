"""95 % intervals of a share and of a rate, exact or nearly so for small counts.

    wilson(0.9, 200)          share of hits among 200 words
    poisson(3, 6.0)           3 alarms in 6 hours, as alarms an hour

Source: Wilson (1927); Garwood (1936); for none in T hours the one-sided bound, Louis (1981): less than 3 / T.
"""

from __future__ import annotations

import math

import numpy as np

from seqaudio.evaluation.comparison import CONFIDENCE, Z

NONE_AT_MOST = -math.log(1 - CONFIDENCE)  # events that may be expected where none was seen: 2.996
HALVINGS = 100  # of the range in which a bound lies


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
