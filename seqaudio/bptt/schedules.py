"""Learning-rate schedules, as factors of the highest rate.

d is the finished share of the training, 0..1; w the share of the warm-up, over which the factor rises from zero
(one-cycle: from 1/25) to 1. After it, with s = (d - w) / (1 - w):

    cosine      (1 + cos(pi s)) / 2                      Loshchilov & Hutter (2017), without restarts
    constant    1
    one-cycle   rises and falls by half a cosine         Smith & Topin (2018); the momentum is constant
    plateau     halved whenever validation has not improved for the patience

They are functions of the training's position, so they have no state of their own in a checkpoint.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

ONE_CYCLE_START = 1 / 25  # of the highest rate
ONE_CYCLE_END = 1e-4 / 25


class Progress(NamedTuple):
    """The position of a training, as far as schedules need it."""

    done: float  # d
    first: float  # the share of one batch, added in the warm-up so that the first update has a rate above zero
    halved: int = 0  # number of times that plateau has halved the rate


class Schedule(NamedTuple):
    """The default of w, and the factor as a function of progress and w."""

    warmup: float
    factor: Callable[[Progress, float], float]


def _warm(now: Progress, warmup: float) -> float | None:
    """The factor inside the warm-up, None after it."""
    return (now.done + now.first) / warmup if now.done < warmup else None


def _cosine(now: Progress, warmup: float) -> float:
    warm = _warm(now, warmup)
    return 0.5 * (1 + math.cos(math.pi * (now.done - warmup) / (1 - warmup))) if warm is None else warm


def _constant(now: Progress, warmup: float) -> float:
    warm = _warm(now, warmup)
    return 1.0 if warm is None else warm


def _one_cycle(now: Progress, warmup: float) -> float:
    if now.done < warmup:
        start, end, share = ONE_CYCLE_START, 1.0, now.done / warmup
    else:
        start, end, share = 1.0, ONE_CYCLE_END, (now.done - warmup) / (1 - warmup)
    return end + 0.5 * (start - end) * (1 + math.cos(math.pi * share))


def _plateau(now: Progress, warmup: float) -> float:
    return _constant(now, warmup) * 0.5**now.halved


SCHEDULES: dict[str, Schedule] = {
    "cosine": Schedule(0.02, _cosine),
    "constant": Schedule(0.02, _constant),
    "one-cycle": Schedule(0.3, _one_cycle),
    "plateau": Schedule(0.02, _plateau),
}


def rate_factor(schedule: str, now: Progress, warmup: float | None = None) -> float:
    """The factor of the highest learning rate; `warmup` None is the schedule's default."""
    kind = SCHEDULES[schedule]
    return kind.factor(now, kind.warmup if warmup is None else warmup)
