"""Cut windows of a clip's usual length around the segments of a recording that sound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from seqaudio.audio.segments import segments
from seqaudio.json_files import Range
from seqaudio.units import Seconds

MARGIN: Seconds = 0.03  # before and after a segment
HOPS = 4  # windows over a long segment overlap by three quarters


@dataclass(frozen=True)
class ClipSeconds:
    """Lengths of the clips that a model has learned from."""

    usual: Annotated[Seconds, Range(0.001, 1e6)]  # the median
    longest: Annotated[Seconds, Range(0.001, 1e6)]  # that 95 % do not exceed


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
