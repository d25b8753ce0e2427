"""The representation `chorale`: four voices on a grid, written only at steps where a voice changes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from seqaudio.notes.sequence import NoteSequence, TimeSignature
from seqaudio.tokens.chorale_grammar import TIME_SIGNATURES, ChoraleGrammar, ChoraleIds
from seqaudio.tokens.four_voices import VOICES, FourVoiceRepresentation, four_voices
from seqaudio.tokens.representation import REPRESENTATIONS, Grammar
from seqaudio.tokens.voice import NAMES, Voice, voice_from_tokens, voice_tokens


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
    its later steps. A piece ends with the bar in which the last note ends.

    `four_voices` chooses the tracks of the voices, which may cross and share pitches. The first time signature holds
    throughout, or 4/4 where it is not one of the three. Velocities, programs and tempo are not written; `quantise`
    sets them.

    Source: steps of four voices in one stream with a mark before each, as in Liang et al. (2017), "Automatic stylistic
    composition of Bach chorales with deep LSTM". Leaving out steps without a change, and writing the position in the
    bar of the others, is ours: half as many tokens, and a small network need not count beats.
    """

    name: ClassVar[str] = "chorale"

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

    def quantise(self, notes: NoteSequence) -> NoteSequence:
        return self._sequence(four_voices(notes, self.steps_per_quarter), _time_signature(notes))

    def encode(self, notes: NoteSequence) -> npt.NDArray[np.int64]:
        voices = four_voices(notes, self.steps_per_quarter)
        length = max((int(voice.end.max(initial=0)) for voice in voices), default=0)
        if not length:
            return np.zeros(0, dtype=np.int64)
        ids, signature = self.ids, _time_signature(notes)
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

    def grammar(self) -> Grammar:
        return ChoraleGrammar(self.ids)

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
        numerator, denominator = map(int, TIME_SIGNATURES[signature].split("/"))
        has_notes = any(len(voice.start) for voice in voices)
        return self.notes_of_voices(voices, [TimeSignature(0, numerator, denominator)] if has_notes else [])


def _time_signature(notes: NoteSequence) -> int:
    """The index in TIME_SIGNATURES of the first time signature; 0, for 4/4, without one or where it is another."""
    name = notes.time_signatures[0].name if notes.time_signatures else ""
    return TIME_SIGNATURES.index(name) if name in TIME_SIGNATURES else 0
