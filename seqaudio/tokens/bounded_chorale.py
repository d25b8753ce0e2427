"""The grammar of `chorale` within bounds: each note is ended, or renewed, before it is too long."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from seqaudio.tokens.bounds import BoundedGrammar, Bounds, Mask
from seqaudio.tokens.four_voices import VOICES
from seqaudio.tokens.grammar import Grammar
from seqaudio.vocabulary import EOS

if TYPE_CHECKING:
    from seqaudio.tokens.chorale import ChoraleIds

SILENT = -1  # in place of the step at which a note began


class BoundedChorale(BoundedGrammar):
    """A note sounds until a later step of its voice, so it may only begin or go on where one comes in time.

    Steps are those whose tokens may be sampled; behind the last of them the piece ends, and with it what sounds.
    """

    def __init__(self, base: Grammar, bounds: Bounds, ids: ChoraleIds) -> None:
        super().__init__(base, bounds)
        self._ids = ids
        self._bar_steps = 0  # 0 before the time signature
        self._places: list[int] = []  # the steps of a bar that may be sampled
        self._bar = -1  # steps from tick 0 to this bar; -1 before the first
        self._step = 0  # from tick 0: of the tokens that come
        self._voice = len(VOICES)  # whose token comes next; len(VOICES): the step is complete
        self._began = [SILENT] * len(VOICES)
        self._ended = 0  # the step at which the last note that does not sound any more ended
        self._bar_sounds = False

    def _within(self) -> Mask:
        bounds, ids = self.bounds, self._ids
        within = bounds.tokens.copy()
        within[EOS] = False
        if not self._bar_steps:
            return within
        if self._voice < len(VOICES):
            self._bound_voice(within)
            return within
        within[ids.bar] = self._bar_may_follow()
        for place in range(self._bar_steps):
            within[ids.step + place] &= self._step_may_follow(self._bar + place)
        sounding = [began for began in self._began if began != SILENT]
        here = self._bar + self._bar_steps
        if bounds.end is None or here == bounds.end:
            last = here if sounding else self._ended
            held = all(here - began <= bounds.longest for began in sounding)
            within[EOS] = held and bounds.may_end(last)
        return within

    def _bound_voice(self, within: Mask) -> None:
        bounds, ids, voice = self.bounds, self._ids, self._voice
        following, began = self._next(self._step), self._began[self._voice]
        within[ids.note : ids.time_signature] &= following - self._step <= bounds.longest
        within[ids.hold] &= began != SILENT and following - began <= bounds.longest
        if voice == len(VOICES) - 1 and not any(one != SILENT for one in self._began[:voice]):
            within[ids.rest] &= self._may_fall_silent()
        if not within[ids.rest : ids.time_signature].any():
            within[ids.rest] = True  # never seen, but nothing else ends this note in time

    def _may_fall_silent(self) -> bool:
        """Whether all voices may rest from this step on: notes can follow, or the piece may end."""
        end = self.bounds.end
        if end is None or self._bar + self._bar_steps < end:
            return True
        last = self._ended if self._began[-1] == SILENT else self._step
        if self._bar_sounds and self.bounds.may_end(last):
            return True
        return any(self._can_begin(step) for step in self._steps_of(self._bar) if step > self._step)

    def _bar_may_follow(self) -> bool:
        bounds = self.bounds
        start = 0 if self._bar < 0 else self._bar + self._bar_steps
        if bounds.end is not None and start + self._bar_steps > bounds.end:
            return False
        first = self._next(start - 1)
        return all(first - began <= bounds.longest for began in self._began if began != SILENT)

    def _step_may_follow(self, step: int) -> bool:
        """Whether all notes may sound up to the step, at least one may change there, and the end stays in reach."""
        bounds = self.bounds
        sounding = [began for began in self._began if began != SILENT]
        if any(step - began > bounds.longest for began in sounding):
            return False
        due = any(self._next(step) - began > bounds.longest for began in sounding)
        if not self._can_begin(step) and not due:
            return False
        if bounds.end is None or self._bar + self._bar_steps < bounds.end or sounding:
            return True
        return any(self._can_begin(later) for later in self._steps_of(self._bar) if later >= step)

    def _can_begin(self, step: int) -> bool:
        """Whether a note that begins at a step can be ended in time."""
        return self._next(step) - step <= self.bounds.longest

    def _steps_of(self, bar: int) -> list[int]:
        return [bar + place for place in self._places]

    def _next(self, step: int) -> int:
        """The first step after one at which a note can end: with a token, or with the piece."""
        bar = step // self._bar_steps * self._bar_steps
        for start in (bar, bar + self._bar_steps):
            if self.bounds.end is not None and start >= self.bounds.end:
                return self.bounds.end
            later = [one for one in self._steps_of(start) if one > step]
            if later:
                return later[0]
        return bar + 2 * self._bar_steps

    @property
    def reached(self) -> int:
        return max(self._ended, self._step + 1) if self._bar >= 0 else 0

    def _follow(self, token: int) -> None:
        ids = self._ids
        if ids.time_signature <= token < ids.bar:
            self._bar_steps = ids.bar_steps[token - ids.time_signature]
            seen = np.flatnonzero(self.bounds.tokens[ids.step : ids.step + self._bar_steps])
            self._places = seen.tolist() or list(range(self._bar_steps))
        elif token == ids.bar:
            self._bar = 0 if self._bar < 0 else self._bar + self._bar_steps
            self._bar_sounds = False
        elif token >= ids.step:
            self._step, self._voice = self._bar + token - ids.step, 0
            if self._step > self._bar:
                self._bar_sounds |= any(one != SILENT for one in self._began)
        else:
            voice, began = self._voice, self._began[self._voice]
            if token != ids.hold:
                if began != SILENT:
                    self._ended = self._step
                self._began[voice] = SILENT if token == ids.rest else self._step
            self._bar_sounds |= token != ids.rest
            self._voice += 1
