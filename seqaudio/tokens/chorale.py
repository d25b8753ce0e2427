"""Four voices on a grid: at each step where something changes, what every voice does, from the soprano down."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from seqaudio.notes.sequence import NoteSequence, TimeSignature
from seqaudio.tokens.chorale_grammar import METRES, ChoraleGrammar, ChoraleIds
from seqaudio.tokens.four_voices import VOICES, FourVoiceRepresentation, four_voices
from seqaudio.tokens.representation import REPRESENTATIONS, Grammar
from seqaudio.tokens.voice import NAMES, Voice, voice_from_tokens, voice_tokens


@REPRESENTATIONS.register("chorale")
@dataclass(frozen=True)
class ChoraleRepresentation(FourVoiceRepresentation):
    """The metre, then bar for bar the steps at which a voice begins or ends a note, with one token for each voice.

        id          token        meaning
        0, 1, 2     PAD BOS EOS
        3           rest         the voice is silent
        4           hold         its note goes on
        5 + p       note_p       pitch p begins, p in 0..127, both inclusive
        133 + m     metre_4/4, metre_3/4, metre_3/2; the first token, and nowhere else
        136         bar          a bar begins
        137 + k     step_k       step k of this bar, counted from 0; soprano, alto, tenor and bass follow

    Steps without a change are not written: what sounds goes on, at EOS up to the end of the bar. A last chord that is
    shorter has rests behind it, and so bars are always full. The first bar begins at tick 0, so that an upbeat has a
    later step as its first. A piece ends with the first bar behind which nothing sounds.

    Which tracks are the voices is told by `four_voices`; they may cross and meet. Of several metres the first holds
    throughout, and 4/4 where it is none of the three; velocities, programs and tempo are not written, `quantise` sets
    them.

    Source: steps of four voices in one stream with a mark before each, as in Liang et al. (2017), "Automatic stylistic
    composition of Bach chorales with deep LSTM". That steps without a change are left out and the others have their
    place in the bar written is ours: half as many tokens, and a small network does not have to count beats.
    """

    name: ClassVar[str] = "chorale"

    @cached_property
    def ids(self) -> ChoraleIds:
        return ChoraleIds(self.steps_per_quarter)

    @property
    def event_tokens(self) -> tuple[str, ...]:
        return (
            *NAMES,
            *(f"metre_{metre}" for metre in METRES),
            "bar",
            *(f"step_{step}" for step in range(max(self.ids.bar_steps))),
        )

    def quantise(self, notes: NoteSequence) -> NoteSequence:
        return self._sequence(four_voices(notes, self.steps_per_quarter), _metre(notes))

    def encode(self, notes: NoteSequence) -> npt.NDArray[np.int64]:
        voices = four_voices(notes, self.steps_per_quarter)
        length = max((int(voice.end.max(initial=0)) for voice in voices), default=0)
        if not length:
            return np.zeros(0, dtype=np.int64)
        ids, metre = self.ids, _metre(notes)
        steps = ids.bar_steps[metre]
        grid = np.full((-(-length // steps) * steps, len(VOICES)), ids.rest, dtype=np.int64)
        for column, voice in enumerate(voices):
            grid[:, column] = voice_tokens(voice, len(grid))
        before = np.concatenate([np.full((1, len(VOICES)), ids.rest), grid[:-1]])
        changed = ((grid >= ids.note) | ((grid == ids.rest) & (before != ids.rest))).any(axis=1)
        stream = [ids.metre + metre]
        for place in range(len(grid)):
            step = place % steps
            if step == 0:
                stream.append(ids.bar)
            if changed[place]:
                stream += [ids.step + step, *grid[place].tolist()]
        return np.array(stream, dtype=np.int64)

    def grammar(self) -> Grammar:
        return ChoraleGrammar(self.ids)

    def _notes(self, events: list[int]) -> NoteSequence:
        if not events:
            return self._sequence([], 0)
        ids = self.ids
        metre = events[0] - ids.metre
        steps = ids.bar_steps[metre]
        grid = np.full((events.count(ids.bar) * steps, len(VOICES)), ids.hold, dtype=np.int64)
        grid[:1] = ids.rest
        bar = -1
        for place, token in enumerate(events):
            if token == ids.bar:
                bar += 1
            elif token >= ids.step:
                grid[bar * steps + token - ids.step] = events[place + 1 : place + 1 + len(VOICES)]
        return self._sequence([voice_from_tokens(column) for column in grid.T], metre)

    def _sequence(self, voices: list[Voice], metre: int) -> NoteSequence:
        """The voices as notes; no metre without notes."""
        numerator, denominator = map(int, METRES[metre].split("/"))
        heard = any(len(voice.start) for voice in voices)
        return self.notes_of_voices(voices, [TimeSignature(0, numerator, denominator)] if heard else [])


def _metre(notes: NoteSequence) -> int:
    """The place in METRES of the first time signature; 0 without one, as in a MIDI file, or with another."""
    names = [f"{metre.numerator}/{metre.denominator}" for metre in notes.time_signatures[:1]]
    return METRES.index(names[0]) if names and names[0] in METRES else 0
