"""The representation `chorale_grid`: four voices on a plain grid, at every step one token for each voice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from seqaudio.notes.sequence import NoteSequence
from seqaudio.tokens.bounds import BoundedGrammar, Bounds, Mask
from seqaudio.tokens.four_voices import VOICES, FourVoiceRepresentation, four_voices
from seqaudio.tokens.loss import Onsets
from seqaudio.tokens.representation import REPRESENTATIONS, Grammar, refuse_special
from seqaudio.tokens.voice import HOLD, NAMES, NOTE, REST, VOCABULARY_END, voice_from_tokens, voice_tokens
from seqaudio.vocabulary import EOS


@REPRESENTATIONS.register("chorale_grid")
@dataclass(frozen=True)
class ChoraleGridRepresentation(FourVoiceRepresentation):
    """4 T tokens for T steps: soprano, alto, tenor and bass of step 0, then of step 1, and so on.

        id          token        meaning
        0, 1, 2     PAD BOS EOS
        3           rest         the voice is silent in this step
        4           hold         the note of the voice continues; only after a note or a hold of the same voice
        5 + p       note_p       pitch p begins in this voice, p in 0..127, both inclusive

    The last step is the last one in which a voice sounds. `four_voices` chooses the tracks of the voices, which may
    cross and share pitches. Velocities, programs, time signature and tempo are not written; `quantise` sets them. The
    representation `chorale` writes the same in half as many tokens, with the time signature.

    Source: the grid of Boulanger-Lewandowski et al. (2012) and Huang et al. (2019), with holds, which keep repeated
    notes separate.
    """

    name: ClassVar[str] = "chorale_grid"
    version = 2

    @property
    def event_tokens(self) -> tuple[str, ...]:
        return NAMES

    def quantise(self, notes: NoteSequence) -> NoteSequence:
        return self.notes_of_voices(four_voices(notes, self.steps_per_quarter))

    def encode(self, notes: NoteSequence) -> npt.NDArray[np.int64]:
        voices = four_voices(notes, self.steps_per_quarter)
        length = max((int(voice.end.max(initial=0)) for voice in voices), default=0)
        grid = np.full((length, len(VOICES)), REST, dtype=np.int64)
        for column, voice in enumerate(voices):
            grid[:, column] = voice_tokens(voice, length)
        return grid.reshape(-1)

    def onsets(self, encoded: npt.NDArray[np.int64]) -> Onsets:
        place = np.flatnonzero(encoded >= NOTE)
        return Onsets(place // len(VOICES), encoded[place] - NOTE, self.steps_per_quarter)

    def grammar(self) -> Grammar:
        return ChoraleGridGrammar()

    @property
    def ends_on_bars(self) -> bool:
        return True

    def bounded(self, bounds: Bounds) -> BoundedGrammar:
        return BoundedChoraleGrid(self.grammar(), bounds)

    def _notes(self, events: list[int]) -> NoteSequence:
        grid = np.array(events, dtype=np.int64).reshape(-1, len(VOICES))
        return self.notes_of_voices([voice_from_tokens(column) for column in grid.T])


class ChoraleGridGrammar(Grammar):
    """Whole steps of four tokens; a hold needs a sounding note of its voice; the last step is not silent."""

    def __init__(self) -> None:
        self._voice = 0  # the voice whose token comes next
        self._sounding = [False] * len(VOICES)
        self._silent = False  # whether the current step, or the last one between two steps, has only rests
        self._ended = False

    def push(self, token: int) -> None:
        refuse_special(token, VOCABULARY_END)
        if self._ended:
            raise ValueError("nothing follows <eos>")
        voice = VOICES[self._voice].lower()
        if token == EOS:
            if self._voice:
                raise ValueError(f"the {voice} of this step must come first")
            if self._silent:
                raise ValueError("a piece must not end with a silent step")
            self._ended = True
            return
        if token == HOLD and not self._sounding[self._voice]:
            raise ValueError(f"the {voice} has no sounding note to hold")
        self._silent = token == REST and (self._silent or not self._voice)
        self._sounding[self._voice] = token != REST
        self._voice = (self._voice + 1) % len(VOICES)

    def legal(self, room: int | None = None) -> npt.NDArray[np.bool_]:
        legal = np.zeros(VOCABULARY_END, dtype=np.bool_)
        if self._ended:
            return legal
        left = len(VOICES) - self._voice  # tokens that this step still needs, the next one included
        if room is None or room >= left:
            legal[NOTE:] = True
            legal[HOLD] = self._sounding[self._voice]
            legal[REST] = True
            if left == 1 and self._silent and room is not None:
                legal[REST] = room >= left + len(VOICES)  # a silent step needs another one after it
        legal[EOS] = self._voice == 0 and not self._silent
        return legal

    def shortest_end(self) -> int:
        if self._ended:
            return 0
        if self._voice:
            return len(VOICES) - self._voice
        return len(VOICES) if self._silent else 0


class BoundedChoraleGrid(BoundedGrammar):
    """Four tokens for each step up to the end, the last one not silent; a hold only until the longest note."""

    def __init__(self, base: Grammar, bounds: Bounds) -> None:
        super().__init__(base, bounds)
        self._tokens = 0  # so far
        self._held = [0] * len(VOICES)  # steps for which the note of each voice sounds so far
        self._silent = True  # whether no voice sounds in the step so far

    def _within(self) -> Mask:
        bounds = self.bounds
        step, voice = divmod(self._tokens, len(VOICES))
        within = bounds.tokens.copy()
        within[HOLD] &= self._held[voice] < bounds.longest
        within[EOS] = voice == 0 and bounds.may_end(step)
        if bounds.end is not None:
            within[REST:] &= step < bounds.end
            last = step + 1 == bounds.end and voice == len(VOICES) - 1
            within[REST] &= not (last and self._silent)
        return within

    @property
    def reached(self) -> int:
        return -(-self._tokens // len(VOICES))

    def _follow(self, token: int) -> None:
        voice = self._tokens % len(VOICES)
        self._silent = token == REST and (self._silent or voice == 0)
        self._held[voice] = 0 if token == REST else 1 if token >= NOTE else self._held[voice] + 1
        self._tokens += 1
