"""Which token may follow in a chorale, and how a chorale can still come to its end."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from seqaudio.tokens.four_voices import VOICES
from seqaudio.tokens.representation import Grammar, refuse_special
from seqaudio.tokens.voice import HOLD, NOTE, REST, VOCABULARY_END
from seqaudio.vocabulary import EOS

METRES = ("4/4", "3/4", "3/2")  # those of Bach's chorales; the first where a piece has none of them
BAR_QUARTERS = (4, 3, 6)

NEW_STEP = 1 + len(VOICES)  # tokens of a step


@dataclass(frozen=True)
class ChoraleIds:
    """Where each kind of token begins: `note + p`, `metre + m`, `step + k`."""

    steps_per_quarter: int

    rest = REST
    hold = HOLD
    note = NOTE
    metre = VOCABULARY_END
    bar = metre + len(METRES)
    step = bar + 1

    @cached_property
    def bar_steps(self) -> tuple[int, ...]:
        """Steps of a bar of each metre."""
        return tuple(quarters * self.steps_per_quarter for quarters in BAR_QUARTERS)

    @cached_property
    def size(self) -> int:
        return self.step + max(self.bar_steps)


class ChoraleGrammar(Grammar):
    """The canonical streams of ChoraleRepresentation, no others.

    The metre comes first, then bars; the steps of a bar rise, and at each at least one voice begins a note or ends
    one; a hold needs a note of its voice before it; the last bar is not silent.
    """

    def __init__(self, ids: ChoraleIds) -> None:
        self._ids = ids
        self._steps = 0  # of a bar of this piece; 0 before the metre
        self._in_bar = False  # whether the first bar has begun
        self._step = -1  # the last of this bar; -1 where there is none yet
        self._voice = len(VOICES)  # whose token comes next; behind the last a step is complete
        self._changed = False  # whether a note began or ended at this step
        self._sounding = [False] * len(VOICES)
        self._heard = False  # whether anything has sounded in this bar
        self._ended = False

    @property
    def _in_step(self) -> bool:
        return self._voice < len(VOICES)

    @property
    def _can_end(self) -> bool:
        # what sounds at the end sounds to the end of the bar
        return not self._steps or (self._in_bar and not self._in_step and (self._heard or any(self._sounding)))

    def push(self, token: int) -> None:
        ids = self._ids
        refuse_special(token, ids.size)
        if self._ended:
            raise ValueError("nothing follows <eos>")
        if self._in_step and not ids.rest <= token < ids.metre:
            raise ValueError(f"the {VOICES[self._voice].lower()} of this step must come first")
        if token == EOS:
            self._push_end()
        elif ids.metre <= token < ids.bar:
            if self._steps:
                raise ValueError("the metre stands at the beginning and nowhere else")
            self._steps = ids.bar_steps[token - ids.metre]
        elif not self._steps:
            raise ValueError("a metre must come first")
        elif token == ids.bar:
            self._in_bar, self._step, self._heard = True, -1, False
        elif token >= ids.step:
            self._push_step(token - ids.step)
        else:
            self._push_voice(token)

    def _push_step(self, step: int) -> None:
        if not self._in_bar:
            raise ValueError("a bar must begin first")
        if step <= self._step:
            raise ValueError(f"within a bar steps rise, {self._step} came before")
        if step >= self._steps:
            raise ValueError(f"a bar of this metre has {self._steps} steps, counted from 0")
        # what sounded before this step sounded in this bar, unless the bar has only begun
        self._heard = self._heard or (step > 0 and any(self._sounding))
        self._step, self._voice, self._changed = step, 0, False

    def _push_voice(self, token: int) -> None:
        ids, voice = self._ids, self._voice
        if not self._in_step:
            raise ValueError("a step must come before what its voices do")
        sounding = self._sounding[voice]
        if token == ids.hold and not sounding:
            raise ValueError(f"no note of the {VOICES[voice].lower()} sounds that could be held")
        changed = self._changed or token >= ids.note or (token == ids.rest and sounding)
        if voice == len(VOICES) - 1 and not changed:
            raise ValueError("a step at which no voice begins or ends a note is not written")
        self._sounding[voice] = token != ids.rest
        self._heard = self._heard or token != ids.rest
        self._voice, self._changed = voice + 1, changed

    def _push_end(self) -> None:
        if not self._can_end:
            raise ValueError("a piece does not end with a silent bar" if self._in_bar else "a bar must begin first")
        self._ended = True

    def legal(self, room: int | None = None) -> npt.NDArray[np.bool_]:
        ids = self._ids
        legal = np.zeros(ids.size, dtype=np.bool_)
        if self._ended:
            return legal
        needed = np.zeros(ids.size, dtype=np.int64)  # tokens to the end, counted from each token itself
        legal[EOS] = self._can_end
        if not self._steps:
            legal[ids.metre : ids.bar] = True
            needed[ids.metre : ids.bar] = 2 + NEW_STEP
        elif self._in_step:
            self._legal_voice(legal, needed)
        else:
            legal[ids.bar] = True
            needed[ids.bar] = 1 if self._in_bar and any(self._sounding) else 1 + NEW_STEP
            if self._in_bar:
                legal[ids.step + self._step + 1 : ids.step + self._steps] = True
                needed[ids.step :] = NEW_STEP
        return legal if room is None else legal & (needed <= room)

    def _legal_voice(self, legal: npt.NDArray[np.bool_], needed: npt.NDArray[np.int64]) -> None:
        ids, last = self._ids, self._voice == len(VOICES) - 1
        sounding = self._sounding[self._voice]
        legal[ids.note : ids.metre] = True
        legal[ids.hold] = sounding and (self._changed or not last)
        legal[ids.rest] = sounding or self._changed or not last
        needed[ids.rest : ids.metre] = len(VOICES) - self._voice
        if last and not self._heard:
            # a rest would leave the bar silent up to here
            needed[ids.rest] += self._needed_after_silence()

    def _needed_after_silence(self) -> int:
        """Tokens to the end behind a complete step of a bar in which nothing has sounded."""
        return NEW_STEP if self._step + 1 < self._steps else 1 + NEW_STEP

    def shortest_end(self) -> int:
        if self._ended or self._can_end:
            return 0
        if self._in_step:
            return len(VOICES) - self._voice
        return self._needed_after_silence() if self._in_bar else 1 + NEW_STEP
