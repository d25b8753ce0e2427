"""Find the segments of a recording that sound, and cut windows of a clip's usual length around them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from seqaudio.json_files import Range
from seqaudio.units import Decibels, Seconds

STEP: Seconds = 0.01  # of the levels
BELOW_LOUDEST: Decibels = 40.0  # a step with less than this below the loudest is quiet
ABOVE_FLOOR: Decibels = 10.0  # a step with less than this above the recording's quiet parts is quiet too
LEAST_RANGE: Decibels = 6.0  # but not within this of the loudest
FLOOR_SHARE = 0.1  # of the steps: those with the lowest levels are the recording's quiet parts
GAP: Seconds = 0.2  # a shorter silence, as before a plosive, does not end a word
SHORTEST: Seconds = 0.05  # shorter sounds are clicks, unless there is nothing else
MARGIN: Seconds = 0.03  # before and after a segment
HOPS = 4  # windows over a long segment overlap by three quarters
DIGITAL: Decibels = -120.0  # level of digital silence


@dataclass(frozen=True)
class ClipSeconds:
    """Lengths of the clips that a model has learned from."""

    usual: Annotated[Seconds, Range(0.001, 1e6)]  # the median
    longest: Annotated[Seconds, Range(0.001, 1e6)]  # that 95 % do not exceed


def segments(samples: np.ndarray, rate: int) -> list[tuple[int, int]]:
    """First and last sample, exclusive, of each segment of samples [N] that sounds; empty only without samples."""
    step = max(1, round(STEP * rate))
    count = len(samples) // step
    if not count:
        return [(0, len(samples))] if len(samples) else []
    power = np.square(samples[: count * step].reshape(count, step), dtype=np.float64).mean(axis=1)
    levels = 10 * np.log10(np.maximum(power, 10 ** (DIGITAL / 10)))
    loudest = levels.max()
    floor = np.sort(levels)[int(FLOOR_SHARE * (count - 1))]
    quiet = max(loudest - BELOW_LOUDEST, min(floor + ABOVE_FLOOR, loudest - LEAST_RANGE))
    loud = np.flatnonzero(levels >= quiet)
    breaks = np.flatnonzero(np.diff(loud) > GAP / STEP)
    firsts, lasts = loud[np.r_[0, breaks + 1]], loud[np.r_[breaks, len(loud) - 1]] + 1
    found = [(int(first) * step, int(last) * step) for first, last in zip(firsts, lasts, strict=True)]
    return [place for place in found if place[1] - place[0] >= SHORTEST * rate] or found


def windows(samples: np.ndarray, rate: int, clip: ClipSeconds) -> list[list[tuple[int, int]]]:
    """For each segment that sounds, the windows of the recording [N] that may be a clip, as first and last sample.

    A segment is widened a little and, as a second choice, to the usual length of a clip. If it is longer than almost
    all clips, overlapping windows cover it.
    """
    whole = len(samples)

    def within(first: float, length: float) -> tuple[int, int]:
        begin = max(0, min(round(first), whole - round(length)))
        return begin, min(whole, begin + round(length))

    found = []
    for first, last in segments(samples, rate):
        tight = last - first + 2 * MARGIN * rate
        centre = (first + last) / 2
        longest = clip.longest * rate
        if tight <= longest:
            lengths = dict.fromkeys((tight, max(tight, clip.usual * rate)))
            found.append([within(centre - length / 2, length) for length in lengths])
        else:
            starts = np.arange(first - MARGIN * rate, last + MARGIN * rate - longest, longest / HOPS)
            found.append([within(start, longest) for start in (*starts, last + MARGIN * rate - longest)])
    return found
