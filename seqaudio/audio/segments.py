"""Find the segments of a recording that sound, by the levels of steps of 10 ms."""

from __future__ import annotations

import numpy as np

from seqaudio.units import Decibels, Seconds

STEP: Seconds = 0.01  # of the levels
BELOW_LOUDEST: Decibels = 40.0  # a step with less than this below the loudest is quiet
ABOVE_FLOOR: Decibels = 10.0  # a step with less than this above the recording's quiet parts is quiet too
LEAST_RANGE: Decibels = 6.0  # but not within this of the loudest
FLOOR_SHARE = 0.1  # of the steps: those with the lowest levels are the recording's quiet parts
GAP: Seconds = 0.2  # a shorter silence, as before a plosive, does not end a word
SHORTEST: Seconds = 0.05  # shorter sounds are clicks, unless there is nothing else
DIGITAL: Decibels = -120.0  # level of digital silence


def step_samples(rate: int) -> int:
    """Samples of a step of the levels."""
    return max(1, round(STEP * rate))


def step_levels(samples: np.ndarray, rate: int) -> np.ndarray:
    """Level of each whole step of samples [N], [N // step] decibels of full scale."""
    step = step_samples(rate)
    count = len(samples) // step
    power = np.square(samples[: count * step].reshape(count, step), dtype=np.float64).mean(axis=1)
    levels: np.ndarray = 10 * np.log10(np.maximum(power, 10 ** (DIGITAL / 10)))
    return levels


def floor_of(levels: np.ndarray) -> Decibels:
    """The level of the quiet parts among levels [T], T > 0."""
    return float(np.sort(levels)[int(FLOOR_SHARE * (len(levels) - 1))])


def sounding(levels: np.ndarray, floor: Decibels, gap: Seconds = GAP) -> list[tuple[int, int]]:
    """First and last step, exclusive, of each segment of levels [T], T > 0, that sounds; at least one.

    Args:
        floor: the level of the quiet parts.
        gap: a longer silence ends a segment.
    """
    loudest = levels.max()
    quiet = max(loudest - BELOW_LOUDEST, min(floor + ABOVE_FLOOR, loudest - LEAST_RANGE))
    loud = np.flatnonzero(levels >= quiet)
    breaks = np.flatnonzero(np.diff(loud) > gap / STEP)
    firsts, lasts = loud[np.r_[0, breaks + 1]], loud[np.r_[breaks, len(loud) - 1]] + 1
    return [(int(first), int(last)) for first, last in zip(firsts, lasts, strict=True)]


def segments(samples: np.ndarray, rate: int) -> list[tuple[int, int]]:
    """First and last sample, exclusive, of each segment of samples [N] that sounds; empty only without samples."""
    levels = step_levels(samples, rate)
    if not len(levels):
        return [(0, len(samples))] if len(samples) else []
    step = step_samples(rate)
    found = [(first * step, last * step) for first, last in sounding(levels, floor_of(levels))]
    return [place for place in found if place[1] - place[0] >= SHORTEST * rate] or found
