"""Cut sound of any length at its pauses, block by block, by the levels of steps of 10 ms.

A segment ends in the first pause behind its `least` seconds. Quiet before a later segment is dropped but for a margin.
Where the cuts are does not depend on the blocks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from seqaudio.audio.segments import ABOVE_FLOOR, BELOW_LOUDEST, LEAST_RANGE, STEP, floor_of, step_levels, step_samples
from seqaudio.units import Decibels, Seconds

PAUSE: Seconds = 0.3  # of quiet, that ends a segment
MARGIN: Seconds = 0.3  # of quiet that is kept before the sound of a segment
RECENT: Seconds = 10.0  # whose levels say what is quiet
EVERY = 10  # steps after which that is looked at again
SILENT: Decibels = -85.0  # of full scale: quiet whatever sounds beside it
SMOOTH = 5  # steps whose mean level says where a segment without pauses is cut


class Piece(NamedTuple):
    """A part of a segment; the parts of a segment follow each other without gaps."""

    samples: np.ndarray  # [n] float32
    start: int  # the first sample, counted from the beginning of the sound
    ends: bool  # whether the segment ends with it
    sounds: bool  # whether anything of the segment so far is not quiet


class PauseCutter:
    """Cuts the sound that is pushed into it.

    Args:
        rate: hertz. least: a segment is not cut at a pause before it is so long.
        most: a segment without a pause is cut at its quietest place when it is so long, and comes as one piece. None:
            it goes on, and its pieces come out with each push.
    """

    def __init__(self, rate: int, least: Seconds, most: Seconds | None = None) -> None:
        self.step = step_samples(rate)
        self.least = max(1, round(least / STEP))
        self.most = None if most is None else max(self.least + 1, round(most / STEP))
        self._rest = np.zeros(0, dtype=np.float32)  # samples of a step that is not complete
        self._recent: deque[float] = deque(maxlen=round(RECENT / STEP))
        self._seen = 0  # steps of the sound
        self._quiet_below = SILENT
        self._held: list[np.ndarray] = []  # steps of the segment that are not given out
        self._levels: list[float] = []  # of these
        self._given = 0  # steps of the segment that are
        self._quiet = 0  # steps since the last sound
        self._sounds = False
        self._waits = False  # for the first sound of a segment

    def push(self, samples: np.ndarray) -> Iterator[Piece]:
        """Take the next samples [n]; yields the pieces that are known now."""
        samples = np.concatenate([self._rest, samples])
        whole = len(samples) // self.step * self.step
        self._rest = samples[whole:]
        levels = step_levels(samples[:whole], self.step * round(1 / STEP)) if whole else np.zeros(0)
        for place, level in enumerate(levels.tolist()):
            yield from self._take(samples[place * self.step : (place + 1) * self.step], level)
        if self.most is None and self._held and not self._waits:
            yield self._cut(len(self._held), ends=False)

    def finish(self) -> Iterator[Piece]:
        """The end of the last segment."""
        if len(self._rest):
            self._held.append(self._rest)
            self._levels.append(SILENT)
            self._seen += 1
            self._rest = self._rest[:0]
        if self._held or self._given:
            yield self._cut(len(self._held), ends=True)

    def _take(self, samples: np.ndarray, level: float) -> Iterator[Piece]:
        self._recent.append(level)
        if self._seen % EVERY == 0:
            recent = np.array(self._recent)
            loudest = float(recent.max())
            above = min(floor_of(recent) + ABOVE_FLOOR, loudest - LEAST_RANGE)
            self._quiet_below = max(SILENT, loudest - BELOW_LOUDEST, above)
        self._seen += 1
        quiet = level < self._quiet_below
        self._quiet = self._quiet + 1 if quiet else 0
        self._held.append(samples)
        self._levels.append(level)
        if not quiet:
            self._sounds, self._waits = True, False
        elif self._waits and len(self._held) > round(MARGIN / STEP):
            del self._held[0], self._levels[0]
        length = self._given + len(self._held)
        if length >= self.least and self._quiet >= round(PAUSE / STEP):
            yield self._cut(len(self._held), ends=True)
        elif self.most is not None and length >= self.most:
            yield self._cut(self._quietest(), ends=True)

    def _quietest(self) -> int:
        """The quietest place in the later half of the steps that are held."""
        half = len(self._levels) // 2
        smooth = np.convolve(self._levels[half:], np.ones(SMOOTH) / SMOOTH, mode="valid")
        return half + int(smooth.argmin()) + SMOOTH // 2 + 1

    def _cut(self, steps: int, ends: bool) -> Piece:
        """Give out the first steps that are held; where the segment ends, the others begin the next one."""
        samples = np.concatenate([*self._held[:steps], np.zeros(0, dtype=np.float32)])
        start = (self._seen - len(self._held)) * self.step
        piece = Piece(samples, start, ends, self._sounds)
        self._held, self._levels = self._held[steps:], self._levels[steps:]
        self._given = 0 if ends else self._given + steps
        if ends:
            self._sounds = any(level >= self._quiet_below for level in self._levels)
            self._waits = not self._sounds
            self._quiet = 0 if self._sounds else len(self._held)
        return piece
