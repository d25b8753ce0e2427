"""The representation `chorale`: four voices on a grid, written only at steps where a voice changes."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from seqaudio.notes.bars import COMMON_TIME, with_full_upbeat
from seqaudio.notes.sequence import NoteSequence, TimeSignature
from seqaudio.tokens.bounded_chorale import BoundedChorale
from seqaudio.tokens.bounds import BoundedGrammar, Bounds
from seqaudio.tokens.four_voices import VOICES, FourVoiceRepresentation, four_voices
from seqaudio.tokens.loss import Onsets
from seqaudio.tokens.representation import REPRESENTATIONS, Grammar, refuse_special
from seqaudio.tokens.voice import HOLD, NAMES, NOTE, REST, VOCABULARY_END, Voice, voice_from_tokens, voice_tokens
from seqaudio.vocabulary import EOS


@REPRESENTATIONS.register("chorale")
@dataclass(frozen=True)
class ChoraleRepresentation(FourVoiceRepresentation):
    """The time signature, then in each bar the steps at which a voice begins or ends a note, with a token a voice.

        id          token        meaning
        0, 1, 2     PAD BOS EOS
        3           rest         the voice is silent
        4           hold         the note of the voice continues
        5 + p       note_p       pitch p begins, p in 0..127, both inclusive
        133 + m     metre_4/4, metre_3/4, metre_3/2; the first token, and only there
        136         bar          a bar begins
        137 + k     step_k       step k of this bar, counted from 0; soprano, alto, tenor and bass follow

    Steps without a change are not written: sounding notes continue, at EOS to the end of the bar. A last chord that
    ends earlier is followed by rests, so all bars are full. The first bar begins at tick 0; an upbeat begins at one of
    its later steps, after silence (`with_full_upbeat`). A piece ends with the bar in which the last note ends.

    `four_voices` chooses the tracks of the voices, which may cross and share pitches. The first time signature holds
    throughout. If it is none of the three, it becomes the one whose bar is as long (6/8: 3/4), or as long as several of
    its bars (3/8: 3/4), otherwise 4/4. Velocities, programs and tempo are not written; `quantise` sets them.

    Source: steps of four voices in one stream with a mark before each, as in Liang et al. (2017), "Automatic stylistic
    composition of Bach chorales with deep LSTM". Leaving out steps without a change, and writing the position in the
    bar of the others, is ours: half as many tokens, and a small network need not count beats.
    """

    name: ClassVar[str] = "chorale"
    version = 2

    @cached_property
    def ids(self) -> ChoraleIds:
        return ChoraleIds(self.steps_per_quarter)

    @property
    def event_tokens(self) -> tuple[str, ...]:
        return (
            *NAMES,
            *(f"metre_{name}" for name in TIME_SIGNATURES),
            "bar",
            *(f"step_{step}" for step in range(max(self.ids.bar_steps))),
        )

    def aligned(self, notes: NoteSequence) -> NoteSequence:
        return with_full_upbeat(notes)

    def quantise(self, notes: NoteSequence) -> NoteSequence:
        notes = self.aligned(notes)
        return self._sequence(four_voices(notes, self.steps_per_quarter), time_signature_of(notes))

    def encode(self, notes: NoteSequence) -> npt.NDArray[np.int64]:
        notes = self.aligned(notes)
        voices = four_voices(notes, self.steps_per_quarter)
        length = max((int(voice.end.max(initial=0)) for voice in voices), default=0)
        if not length:
            return np.zeros(0, dtype=np.int64)
        ids, signature = self.ids, time_signature_of(notes)
        steps = ids.bar_steps[signature]
        grid = np.full((-(-length // steps) * steps, len(VOICES)), ids.rest, dtype=np.int64)
        for column, voice in enumerate(voices):
            grid[:, column] = voice_tokens(voice, len(grid))
        before = np.concatenate([np.full((1, len(VOICES)), ids.rest), grid[:-1]])
        changed = ((grid >= ids.note) | ((grid == ids.rest) & (before != ids.rest))).any(axis=1)
        stream = [ids.time_signature + signature]
        for row in range(len(grid)):
            step = row % steps
            if step == 0:
                stream.append(ids.bar)
            if changed[row]:
                stream += [ids.step + step, *grid[row].tolist()]
        return np.array(stream, dtype=np.int64)

    def onsets(self, encoded: npt.NDArray[np.int64]) -> Onsets:
        ids = self.ids
        signature = int(encoded[0]) - ids.time_signature if len(encoded) else 0
        begins = encoded >= ids.step
        bar = np.cumsum(encoded == ids.bar) - 1
        step = np.where(begins, bar * ids.bar_steps[signature] + encoded - ids.step, 0)
        step = np.maximum.accumulate(step)  # steps rise, so each token has that of the last one before it
        places = np.flatnonzero((encoded >= ids.note) & (encoded < ids.time_signature))
        signatures = (_signature(signature),) if len(encoded) else ()
        return Onsets(step[places], encoded[places] - ids.note, self.steps_per_quarter, signatures)

    def grammar(self) -> Grammar:
        return ChoraleGrammar(self.ids)

    @property
    def ends_on_bars(self) -> bool:
        return True

    @property
    def fills_bars(self) -> bool:
        return True

    @property
    def bar_places(self) -> tuple[int, range]:
        return self.ids.bar, range(self.ids.step, self.ids.size)

    @property
    def metre_ids(self) -> range:
        return range(self.ids.time_signature, self.ids.bar)

    def written_metre(self, metre: TimeSignature) -> tuple[TimeSignature, int]:
        index = _written(metre)
        return _signature(index), self.ids.time_signature + index

    def bounded(self, bounds: Bounds) -> BoundedGrammar:
        return BoundedChorale(self.grammar(), bounds, self.ids)

    def _notes(self, events: list[int]) -> NoteSequence:
        if not events:
            return self._sequence([], 0)
        ids = self.ids
        signature = events[0] - ids.time_signature
        steps = ids.bar_steps[signature]
        grid = np.full((events.count(ids.bar) * steps, len(VOICES)), ids.hold, dtype=np.int64)
        grid[:1] = ids.rest
        bar = -1
        for position, token in enumerate(events):
            if token == ids.bar:
                bar += 1
            elif token >= ids.step:
                grid[bar * steps + token - ids.step] = events[position + 1 : position + 1 + len(VOICES)]
        return self._sequence([voice_from_tokens(column) for column in grid.T], signature)

    def _sequence(self, voices: list[Voice], signature: int) -> NoteSequence:
        """The voices as notes; without notes there is no time signature. `signature`: index in TIME_SIGNATURES."""
        has_notes = any(len(voice.start) for voice in voices)
        return self.notes_of_voices(voices, [_signature(signature)] if has_notes else [])


def _signature(index: int) -> TimeSignature:
    numerator, denominator = map(int, TIME_SIGNATURES[index].split("/"))
    return TimeSignature(0, numerator, denominator)


def time_signature_of(notes: NoteSequence) -> int:
    """The index in TIME_SIGNATURES that `ChoraleRepresentation` writes for the first time signature of a piece."""
    return _written(notes.time_signatures[0] if notes.time_signatures else COMMON_TIME)


def _written(metre: TimeSignature) -> int:
    """The index in TIME_SIGNATURES of the one that is written for another."""
    if metre.name in TIME_SIGNATURES:
        return TIME_SIGNATURES.index(metre.name)
    bar = Fraction(4 * metre.numerator, metre.denominator)
    whole = [quarters % bar == 0 for quarters in BAR_QUARTERS]
    return BAR_QUARTERS.index(bar) if bar in BAR_QUARTERS else whole.index(True) if any(whole) else 0


TIME_SIGNATURES = ("4/4", "3/4", "3/2")  # those of Bach's chorales
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
