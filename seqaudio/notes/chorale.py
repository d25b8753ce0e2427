"""Four voices on a grid: at each step where something changes, what every voice does, from the soprano down."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from seqaudio.errors import OptionError
from seqaudio.notes.chorale_grammar import METRES, VOICES, ChoraleGrammar, ChoraleIds
from seqaudio.notes.melody import MelodyRepresentation
from seqaudio.notes.representation import REPRESENTATIONS, Grammar, Representation
from seqaudio.notes.sequence import HIGHEST_TEMPO, NoteSequence, TimeSignature

ANDANTE = 750_000  # microseconds per quarter: 80 quarters a minute


@REPRESENTATIONS.register("chorale")
@dataclass(frozen=True)
class ChoraleRepresentation(Representation):
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

    Voices are the tracks of those names; where they are not all there, the first four tracks with notes, percussion
    left out. Each is made one voice as `MelodyRepresentation` does it. Voices may cross and meet. Of several metres
    the first holds throughout, and 4/4 where it is none of the three; velocities, programs and tempo are not written,
    `quantise` sets them.

    Source: steps of four voices in one stream with a mark before each, as in Liang et al. (2017), "Automatic stylistic
    composition of Bach chorales with deep LSTM". That steps without a change are left out and the others have their
    place in the bar written is ours: half as many tokens, and a small network does not have to count beats.
    """

    name: ClassVar[str] = "chorale"

    steps_per_quarter: int = 4  # 4: sixteenths
    program: int = 19  # General MIDI counted from 0, of every voice decoded; 19: church organ
    velocity: int = 80  # 1..127, of every note decoded
    tempo: int = ANDANTE  # microseconds per quarter of what is decoded

    def __post_init__(self) -> None:
        if not 1 <= self.steps_per_quarter <= 48:
            raise OptionError(f"{self.steps_per_quarter} steps per quarter, expected 1..48")
        if not 0 <= self.program <= 127 or not 1 <= self.velocity <= 127:
            raise OptionError(f"program {self.program} and velocity {self.velocity}, expected 0..127 and 1..127")
        if not 1 <= self.tempo <= HIGHEST_TEMPO:
            raise OptionError(f"tempo {self.tempo}, expected 1..{HIGHEST_TEMPO} microseconds per quarter")

    @cached_property
    def ids(self) -> ChoraleIds:
        return ChoraleIds(self.steps_per_quarter)

    @property
    def event_tokens(self) -> tuple[str, ...]:
        return (
            "rest",
            "hold",
            *(f"note_{pitch}" for pitch in range(128)),
            *(f"metre_{metre}" for metre in METRES),
            "bar",
            *(f"step_{step}" for step in range(max(self.ids.bar_steps))),
        )

    def quantise(self, notes: NoteSequence) -> NoteSequence:
        line = MelodyRepresentation(self.steps_per_quarter)
        voices = [line.quantise(track) for track in _tracks(notes)]
        lines = [np.stack([voice.start_tick, voice.end_tick, voice.pitch]) for voice in voices]
        return self._sequence(lines, _metre(notes))

    def encode(self, notes: NoteSequence) -> npt.NDArray[np.int64]:
        notes = self.quantise(notes)
        if not len(notes):
            return np.zeros(0, dtype=np.int64)
        ids, metre = self.ids, _metre(notes)
        steps = ids.bar_steps[metre]
        grid = self._grid(notes, -(-int(notes.end_tick.max()) // steps) * steps)
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
        return self._sequence([_line(column, ids) for column in grid.T], metre)

    def _grid(self, notes: NoteSequence, length: int) -> npt.NDArray[np.int64]:
        """[length, 4] what each voice does at each step: a rest, a hold or a note."""
        ids = self.ids
        grid = np.full((length, len(VOICES)), ids.rest, dtype=np.int64)
        columns = (notes.start_tick, notes.end_tick, notes.track)
        for start, end, voice in zip(*(column.tolist() for column in columns), strict=True):
            grid[start:end, voice] = ids.hold
        grid[notes.start_tick, notes.track] = ids.note + notes.pitch
        return grid

    def _sequence(self, lines: list[npt.NDArray[np.int64]], metre: int) -> NoteSequence:
        """From starts, ends and pitches [3, N] of each voice, from the soprano down; no metre without notes."""
        start, end, pitch = np.concatenate([np.zeros((3, 0), dtype=np.int64), *lines], axis=1)
        track = np.repeat(np.arange(len(lines)), [line.shape[1] for line in lines])
        numerator, denominator = map(int, METRES[metre].split("/"))
        return NoteSequence.from_columns(
            start,
            end,
            pitch,
            self.velocity,
            self.program,
            track,
            ticks_per_quarter=self.steps_per_quarter,
            tempos=[(0, self.tempo)],
            time_signatures=[TimeSignature(0, numerator, denominator)] if len(track) else [],
            track_names=VOICES,
        )


def _tracks(notes: NoteSequence) -> Iterator[NoteSequence]:
    """The notes of each voice, at most four, the soprano first."""
    notes = notes.select(~notes.is_drum)
    names = [name.strip().lower() for name in notes.track_names]
    wanted = [voice.lower() for voice in VOICES]
    if all(names.count(voice) == 1 for voice in wanted):
        tracks = [names.index(voice) for voice in wanted]
    else:
        tracks = np.unique(notes.track)[: len(VOICES)].tolist()
    for track in tracks:
        yield notes.select(notes.track == track)


def _metre(notes: NoteSequence) -> int:
    """The place in METRES of the first time signature; 0 without one, as in a MIDI file, or with another."""
    names = [f"{metre.numerator}/{metre.denominator}" for metre in notes.time_signatures[:1]]
    return METRES.index(names[0]) if names and names[0] in METRES else 0


def _line(column: npt.NDArray[np.int64], ids: ChoraleIds) -> npt.NDArray[np.int64]:
    """Starts, ends and pitches [3, N] of the notes in one voice of the grid; what a rest goes on with is a rest."""
    start = np.flatnonzero(column >= ids.note)
    borders = np.append(np.flatnonzero(column != ids.hold), len(column))
    end = borders[np.searchsorted(borders, start, side="right")]
    return np.stack([start, end, column[start] - ids.note])
