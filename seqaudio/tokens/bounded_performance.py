"""The grammar of `performance` within bounds: notes end in time, and shifts lead to the bar line at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from seqaudio.tokens.bounds import BoundedGrammar, Bounds, Mask
from seqaudio.tokens.grammar import Grammar
from seqaudio.vocabulary import EOS

if TYPE_CHECKING:
    from seqaudio.tokens.performance import PerformanceIds

PITCHES = 128


class BoundedPerformance(BoundedGrammar):
    """A note that sounds must be ended before the next shift would make it too long.

    Time passes only by the shifts that may be sampled, so not every step can be reached. `_Reach` knows from which
    steps the end can be; a shift leads only there.
    """

    def __init__(self, base: Grammar, bounds: Bounds, ids: PerformanceIds) -> None:
        super().__init__(base, bounds)
        self._ids = ids
        shifts = np.flatnonzero(bounds.tokens[ids.shift(1) : ids.velocity]) + 1
        self._reach = _Reach(bounds, shifts, ids.longest_shift)
        self._now = 0
        self._began = np.full(PITCHES, -1, dtype=np.int64)  # the step at which each sounding pitch began; -1: silent
        # the last pitches that began and ended at this step, and whether a velocity waits for its note
        self._last_on = self._last_off = -1
        self._waits = False

    def _within(self) -> Mask:
        ids, bounds, now, reach = self._ids, self.bounds, self._now, self._reach
        within = bounds.tokens.copy()
        sounding = self._began >= 0
        left = np.where(sounding, self._began + bounds.longest - now, bounds.longest)  # [128] steps that notes may last
        shifts = reach.sounding(now)
        shortest = int(shifts.min(initial=bounds.longest + 1))
        # what a primer left too long, and what cannot end at this step any more, ends at the next
        locked = np.arange(PITCHES) <= (PITCHES if self._waits or self._last_on >= 0 else self._last_off)
        left = np.where(locked & (shortest <= bounds.longest), np.maximum(left, shortest), left)
        due = sounding & (left < shortest)
        # ends come by rising pitch: no higher one before one that is due
        ends = within[ids.off : ids.shift(1)]
        ends[:] = True
        if due.any():
            ends[int(np.argmax(due)) + 1 :] = False
        free = ~sounding & bounds.tokens[ids.on : ids.off]
        free[: self._last_on + 1] = False
        may_begin = not due.any() and shortest <= bounds.longest and bool(free.any())
        within[ids.on : ids.off] &= may_begin
        within[ids.velocity :] &= may_begin
        shifts = shifts[shifts <= left[sounding].min()] if sounding.any() else reach.silent(now)
        within[ids.shift(1) : ids.velocity] = False
        within[ids.shift(0) + shifts] = True
        within[EOS] = bounds.may_end(now)
        return within

    @property
    def reached(self) -> int:
        return self._now

    def _follow(self, token: int) -> None:
        ids = self._ids
        self._waits = token >= ids.velocity
        if token < ids.off:
            self._last_on = token - ids.on
            self._began[self._last_on] = self._now
        elif token < ids.shift(1):
            self._last_off = token - ids.off
            self._began[self._last_off] = -1
        elif token < ids.velocity:
            self._now += token - ids.shift(0)
            self._last_on = self._last_off = -1


class _Reach:
    """The shifts after which the end can still be reached, from each step.

    Three ways to arrive at a step: with notes that sound, which may end there; in silence by the longest shift, after
    which another may follow; in silence by a shorter one, after which a note must begin.
    """

    def __init__(self, bounds: Bounds, shifts: npt.NDArray[np.int64], longest_shift: int) -> None:
        self._bounds, self._shifts, self._longest_shift = bounds, shifts, longest_shift
        end = bounds.end
        if end is None:
            return
        size = end + int(shifts.max(initial=0)) + 1
        self._with_notes, self._after_longest, self._after_short = np.zeros((3, size), dtype=np.bool_)
        ends = np.zeros(size, dtype=np.bool_)
        ends[max(0, end - bounds.rest) : end + 1] = True
        self._sounding = ends.copy()  # arriving with notes is enough: either the piece ends there, or it goes on
        held = shifts[shifts <= bounds.longest]
        short = shifts[shifts < longest_shift]
        long = shifts[shifts == longest_shift]
        for step in range(end - 1, -1, -1):
            by_note = bool(self._sounding[step + held].any())
            by_rest = bool(self._after_short[step + short].any() or self._after_longest[step + long].any())
            self._after_short[step] = by_note
            self._after_longest[step] = self._with_notes[step] = by_note or by_rest
            self._sounding[step] |= self._with_notes[step]

    def sounding(self, step: int) -> npt.NDArray[np.int64]:
        """The shifts from a step while a note sounds."""
        if self._bounds.end is None:
            return self._shifts
        return self._shifts[self._sounding[self._at(step)]]

    def silent(self, step: int) -> npt.NDArray[np.int64]:
        """The shifts from a step in silence."""
        if self._bounds.end is None:
            return self._shifts
        to = self._at(step)
        longest = self._shifts == self._longest_shift
        return self._shifts[np.where(longest, self._after_longest[to], self._after_short[to])]

    def _at(self, step: int) -> npt.NDArray[np.int64]:
        # beyond the end nothing is reached
        return np.minimum(step + self._shifts, len(self._sounding) - 1)
