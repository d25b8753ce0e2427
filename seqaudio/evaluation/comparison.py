"""Test whether two groups of runs differ: a bootstrap over runs, widened because they are few.

Where both groups have the same seeds, their runs are compared in pairs, which cancels the effect of the seed:

    gap      = mean(d)                          d_i = a_i - b_i, over the n seeds
    interval = gap + c * (2.5 % .. 97.5 %)      of mean(d*) - gap over resamples d* of d
    c        = t(n - 1) / z * sqrt(n / (n - 1))

Without c the interval is far too narrow for a handful of runs: one in four sets of three pairs without any true
difference would be called different. Resamples of n values spread less than n new values, by sqrt((n - 1) / n), and n
values estimate their own spread poorly, hence Student's t in place of the normal z. Where the seeds differ, each group
is resampled by itself, and t has Welch's degrees of freedom.

Source: Efron (1979), Student (1908), Welch (1947).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
import numpy.typing as npt

CONFIDENCE = 0.95
RESAMPLES = 10_000
MIN_RUNS = 3  # of a group; with fewer there is no interval
NO_DIFFERENCE = "no difference at this size"
Z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """The difference of groups a and b in a metric."""

    gap: float  # mean of a minus mean of b
    interval: tuple[float, float] | None  # 95 % confidence interval of the gap; None for too few runs
    runs: tuple[int, int]  # in a and in b
    paired: bool  # over seeds
    step: float  # smallest possible change of the metric; 0 where it is continuous

    @property
    def found(self) -> bool:
        """Whether the groups differ: zero is outside of the interval, and the gap is more than one step."""
        if self.interval is None:
            return False
        low, high = self.interval
        return not low <= 0 <= high and abs(self.gap) > self.step * (1 + 1e-9)


def difference(a: Mapping[int, float], b: Mapping[int, float], step: float = 0.0) -> Difference:
    """Compare two groups of runs. Equal values give equal intervals: the resamples are always the same.

    Args:
        a, b: the metric of each run by its seed.
        step: 1 / items for a share of items, as an accuracy is.

    Raises ValueError for a group without runs.
    """
    if not a or not b:
        raise ValueError(f"groups of {len(a)} and {len(b)} runs, expected at least one in each")
    paired = a.keys() == b.keys()
    first, second = (np.array([group[seed] for seed in sorted(group)], dtype=np.float64) for group in (a, b))
    gap = float(first.mean() - second.mean())
    interval = None
    if min(len(a), len(b)) >= MIN_RUNS:
        spread = _paired_spread(first - second) if paired else _unpaired_spread(first, second)
        low, high = np.quantile(spread, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]).tolist()
        interval = gap + low, gap + high
    return Difference(gap, interval, (len(a), len(b)), paired, step)


def _paired_spread(differences: Values) -> Values:
    """[RESAMPLES] deviations of the mean difference."""
    return _deviations(differences, np.random.default_rng(0)) * student_t(len(differences) - 1) / Z


def _unpaired_spread(a: Values, b: Values) -> Values:
    """[RESAMPLES] deviations of the difference of the means."""
    draw = np.random.default_rng(0)
    spread = _deviations(a, draw) - _deviations(b, draw)
    squared = [values.var(ddof=1) / len(values) for values in (a, b)]
    if not sum(squared):
        return spread  # no run differs from its group, and no factor changes that
    # degrees of freedom after Welch; never fewer than those of the smaller group
    degrees = sum(squared) ** 2 / sum(s**2 / (len(values) - 1) for s, values in zip(squared, (a, b), strict=True))
    return spread * student_t(degrees) / Z


def _deviations(values: Values, draw: np.random.Generator) -> Values:
    n = len(values)
    means = values[draw.integers(n, size=(RESAMPLES, n))].mean(axis=1)
    deviations: Values = (means - values.mean()) * math.sqrt(n / (n - 1))
    return deviations


def student_t(degrees: float) -> float:
    """The 97.5 % quantile of Student's t, within 1 % from 2 degrees of freedom on.

    Source: Abramowitz & Stegun (1964), 26.7.5, an expansion in 1 / degrees.
    """
    z = Z
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / degrees**power for power, term in enumerate(terms, start=1))


# --- metrics and words ---


def is_share(metric: str) -> bool:
    """Whether a metric is a share of items, shown in per cent: all accuracies are."""
    return "accuracy" in metric


def better_when(metric: str) -> Literal["higher", "lower"]:
    """Whether higher or lower values are better: higher for accuracies, lower for losses and errors."""
    return "higher" if is_share(metric) else "lower"


def smallest_step(metric: str, count: int) -> float:
    """How much one of `count` items changes the metric; 0 for a continuous metric."""
    return 1 / count if is_share(metric) and not metric.startswith("balanced") and count else 0.0


def has_independent_items(metrics: Mapping[str, float]) -> bool:
    """Whether the items of a run's accuracy are independent: clips are; symbols of one sequence and frames are not."""
    return "nats_per_clip" in metrics


def format_value(metric: str, value: float) -> str:
    """`98.67 %` for a share, else four digits."""
    return f"{100 * value:.2f} %" if is_share(metric) else f"{value:.4g}"


def format_gap(metric: str, value: float) -> str:
    """`0.42` points for a share, else four digits; with a sign if negative."""
    return f"{100 * value:z.2f}" if is_share(metric) else f"{value:.4g}"


def verdict(outcome: Difference, metric: str, a: str, b: str) -> str:
    """The difference between the groups named a and b in words, with its interval in brackets.

    `gru better than lstm by 1.00 points (0.40 .. 1.70)`, or `gru and lstm: no difference at this size`, or that
    there are too few runs.
    """
    if outcome.interval is None:
        runs = " and ".join(map(str, outcome.runs))
        return f"{a} and {b}: n is too small ({runs} runs, expected at least {MIN_RUNS} seeds in each group)"
    unit = " points" if is_share(metric) else ""
    if not outcome.found:
        interval = " .. ".join(format_gap(metric, bound) for bound in outcome.interval)
        far = "" if outcome.interval[0] <= 0 <= outcome.interval[1] else "; less than two items"
        gap = format_gap(metric, outcome.gap)
        return f"{a} and {b}: {NO_DIFFERENCE} ({a} minus {b} is {gap}{unit}, {interval}{far})"
    first_is_better = (outcome.gap > 0) == (better_when(metric) == "higher")
    winner, loser = (a, b) if first_is_better else (b, a)
    low, high = sorted(math.copysign(1, outcome.gap) * bound for bound in outcome.interval)
    gap, lowest, highest = (format_gap(metric, value) for value in (abs(outcome.gap), low, high))
    return f"{winner} better than {loser} by {gap}{unit} ({lowest} .. {highest})"
