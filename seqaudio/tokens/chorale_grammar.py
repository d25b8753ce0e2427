"""The grammar of `chorale`: which tokens may come next, and how many a complete chorale still needs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from seqaudio.tokens.four_voices import VOICES
from seqaudio.tokens.representation import Grammar, refuse_special
from seqaudio.tokens.voice import HOLD, NOTE, REST, VOCABULARY_END
from seqaudio.vocabulary import EOS

TIME_SIGNATURES = ("4/4", "3/4", "3/2")  # those of Bach's chorales; a piece in any other is written in the first
BAR_QUARTERS = (4, 3, 6)

STEP_TOKENS = 1 + len(VOICES)


@dataclass(frozen=True)
class ChoraleIds:
    """The first id of each kind of token: `note + p`, `time_signature + m`, `step + k`."""

    steps_per_quarter: int

    rest = REST
    hold = HOLD
    note = NOTE
    time_signature = VOCABULARY_END
    bar = time_signature + len(TIME_SIGNATURES)
    step = bar + 1

    @cached_property
    def bar_steps(self) -> tuple[int, ...]:
        """Steps of a bar in each time signature."""
        return tuple(quarters * self.steps_per_quarter for quarters in BAR_QUARTERS)

    @cached_property
    def size(self) -> int:
        return self.step + max(self.bar_steps)


class ChoraleGrammar(Grammar):
    """Permits exactly the streams that ChoraleRepresentation writes.

    The time signature comes first, then bars. The steps of a bar rise, and at each of them at least one voice begins
    or ends a note. A hold needs a sounding note of its voice. The last bar is not silent.
    """

    def __init__(self, ids: ChoraleIds) -> None:
        self._ids = ids
        self._steps = 0  # in a bar of this piece; 0 before the time signature
        self._in_bar = False  # whether the first bar has begun
        self._step = -1  # the last step of this bar; -1 if there is none yet
        self._voice = len(VOICES)  # the voice whose token comes next; len(VOICES): the step is complete
        self._changed = False  # whether a note began or ended at this step
        self._sounding = [False] * len(VOICES)
        self._bar_sounds = False  # whether any note has sounded in this bar
        self._ended = False

    @property
    def _in_step(self) -> bool:
        return self._voice < len(VOICES)

    @property
    def _can_end(self) -> bool:
        # notes that sound at the end continue to the end of the bar
        return not self._steps or (self._in_bar and not self._in_step and (self._bar_sounds or any(self._sounding)))

    def push(self, token: int) -> None:
        ids = self._ids
        refuse_special(token, ids.size)
        if self._ended:
            raise ValueError("nothing follows <eos>")
        if self._in_step and not ids.rest <= token < ids.time_signature:
            raise ValueError(f"the {VOICES[self._voice].lower()} of this step must come first")
        if token == EOS:
            self._push_end()
        elif ids.time_signature <= token < ids.bar:
            if self._steps:
                raise ValueError("the time signature comes first, and only once")
            self._steps = ids.bar_steps[token - ids.time_signature]
        elif not self._steps:
            raise ValueError("a time signature must come first")
        elif token == ids.bar:
            self._in_bar, self._step, self._bar_sounds = True, -1, False
        elif token >= ids.step:
            self._push_step(token - ids.step)
        else:
            self._push_voice(token)

    def _push_step(self, step: int) -> None:
        if not self._in_bar:
            raise ValueError("a bar must begin first")
        if step <= self._step:
            raise ValueError(f"within a bar steps rise, the previous one was {self._step}")
        if step >= self._steps:
            raise ValueError(f"a bar has {self._steps} steps, counted from 0")
        # notes that sound before this step sound in this bar, unless the step is the first
        self._bar_sounds = self._bar_sounds or (step > 0 and any(self._sounding))
        self._step, self._voice, self._changed = step, 0, False

    def _push_voice(self, token: int) -> None:
        ids, voice = self._ids, self._voice
        if not self._in_step:
            raise ValueError("a step must come before the tokens of its voices")
        sounding = self._sounding[voice]
        if token == ids.hold and not sounding:
            raise ValueError(f"the {VOICES[voice].lower()} has no sounding note to hold")
        changed = self._changed or token >= ids.note or (token == ids.rest and sounding)
        if voice == len(VOICES) - 1 and not changed:
            raise ValueError("at a step at least one voice must begin or end a note")
        self._sounding[voice] = token != ids.rest
        self._bar_sounds = self._bar_sounds or token != ids.rest
        self._voice, self._changed = voice + 1, changed

    def _push_end(self) -> None:
        if not self._can_end:
            raise ValueError("a piece must not end with a silent bar" if self._in_bar else "a bar must begin first")
        self._ended = True

    def legal(self, room: int | None = None) -> npt.NDArray[np.bool_]:
        ids = self._ids
        legal = np.zeros(ids.size, dtype=np.bool_)
        if self._ended:
            return legal
        needed = np.zeros(ids.size, dtype=np.int64)  # fewest tokens to the end, each token itself included
        legal[EOS] = self._can_end
        if not self._steps:
            legal[ids.time_signature : ids.bar] = True
            needed[ids.time_signature : ids.bar] = 2 + STEP_TOKENS
        elif self._in_step:
            self._legal_voice(legal, needed)
        else:
            legal[ids.bar] = True
            needed[ids.bar] = 1 if self._in_bar and any(self._sounding) else 1 + STEP_TOKENS
            if self._in_bar:
                legal[ids.step + self._step + 1 : ids.step + self._steps] = True
                needed[ids.step :] = STEP_TOKENS
        return legal if room is None else legal & (needed <= room)

    def _legal_voice(self, legal: npt.NDArray[np.bool_], needed: npt.NDArray[np.int64]) -> None:
        ids, last = self._ids, self._voice == len(VOICES) - 1
        sounding = self._sounding[self._voice]
        legal[ids.note : ids.time_signature] = True
        legal[ids.hold] = sounding and (self._changed or not last)
        legal[ids.rest] = sounding or self._changed or not last
        needed[ids.rest : ids.time_signature] = len(VOICES) - self._voice
        if last and not self._bar_sounds:
            # a rest would leave the bar silent so far, so another step must follow
            needed[ids.rest] += self._needed_after_silence()

    def _needed_after_silence(self) -> int:
        """Fewest tokens to the end after a complete step of a bar in which nothing has sounded."""
        return STEP_TOKENS if self._step + 1 < self._steps else 1 + STEP_TOKENS

    def shortest_end(self) -> int:
        if self._ended or self._can_end:
            return 0
        if self._in_step:
            return len(VOICES) - self._voice
        return self._needed_after_silence() if self._in_bar else 1 + STEP_TOKENS
