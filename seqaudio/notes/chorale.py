"""Four voices on a grid: at each step, from the soprano down, a note begins, goes on, or there is a rest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from seqaudio.errors import OptionError
from seqaudio.notes.melody import MelodyRepresentation
from seqaudio.notes.representation import FIRST_ID, REPRESENTATIONS, Grammar, Representation, refuse_special
from seqaudio.notes.sequence import HIGHEST_TEMPO, NoteSequence, TimeSignature
from seqaudio.vocabulary import EOS

VOICES = ("Soprano", "Alto", "Tenor", "Bass")  # in the order of the tokens of a step
METRES = ("4/4", "3/4", "3/2")  # those of Bach's chorales; the first where a piece has none of them
BAR_QUARTERS = (4, 3, 6)
ANDANTE = 750_000  # microseconds per quarter: 80 quarters a minute

REST = FIRST_ID
HOLD = FIRST_ID + 1
NOTE = FIRST_ID + 2  # the id of pitch 0
METRE = NOTE + 128  # the id of the first metre
SIZE = METRE + len(METRES)


@REPRESENTATIONS.register("chorale")
@dataclass(frozen=True)
class ChoraleRepresentation(Representation):
    """One token a voice and step, voice by voice within the step; the metre in front.

        id          token        meaning
        0, 1, 2     PAD BOS EOS
        3           rest         the voice is silent in this step
        4           hold         its note before goes on; only after a note or a hold of the same voice
        5 + p       note_p       pitch p begins, p in 0..127, both inclusive
        133 + m     metre_4/4, metre_3/4, metre_3/2; the first token, and nowhere else

    A stream is metre, then bars of 4 x steps tokens: soprano, alto, tenor, bass of step 0, soprano of step 1, ... The
    first bar begins at tick 0, so an upbeat has rests before it. The last bar is filled with rests rather than holds:
    the last notes keep their lengths. A piece ends with the first bar behind which nothing sounds.

    Voices are the tracks of those names; where they are not all there, the first four tracks with notes, percussion
    left out. Each is made one voice as `MelodyRepresentation` does it. Voices may cross and meet. Of several metres
    the first holds throughout; velocities, programs and tempo are not written, `quantise` sets them.

    Source: the grid with holds is that of Hadjeres et al. (2017), "DeepBach"; the voices one after the other, that of
    Liang et al. (2017), "Automatic stylistic composition of Bach chorales with deep LSTM".
    """

    name: ClassVar[str] = "chorale"

    steps_per_quarter: int = 4  # 4: sixteenths
    program: int = 19  # General MIDI counted from 0, of every voice decoded; 19: church organ
    velocity: int = 80  # 1..127, of every note decoded
    tempo: int = ANDANTE  # microseconds per quarter of what is decoded

    def __post_init__(self) -> None:
        if not 1 <= self.steps_per_quarter <= 960:
            raise OptionError(f"{self.steps_per_quarter} steps per quarter, expected 1..960")
        if not 0 <= self.program <= 127 or not 1 <= self.velocity <= 127:
            raise OptionError(f"program {self.program} and velocity {self.velocity}, expected 0..127 and 1..127")
        if not 1 <= self.tempo <= HIGHEST_TEMPO:
            raise OptionError(f"tempo {self.tempo}, expected 1..{HIGHEST_TEMPO} microseconds per quarter")

    @property
    def event_tokens(self) -> tuple[str, ...]:
        return ("rest", "hold", *(f"note_{pitch}" for pitch in range(128)), *(f"metre_{metre}" for metre in METRES))

    @property
    def bar_steps(self) -> tuple[int, ...]:
        """Steps of a bar of each metre."""
        return tuple(quarters * self.steps_per_quarter for quarters in BAR_QUARTERS)

    def quantise(self, notes: NoteSequence) -> NoteSequence:
        line = MelodyRepresentation(self.steps_per_quarter)
        voices = [line.quantise(track) for track in _tracks(notes)]
        lines = [np.stack([voice.start_tick, voice.end_tick, voice.pitch]) for voice in voices]
        return self._sequence(lines, _metre(notes))

    def encode(self, notes: NoteSequence) -> npt.NDArray[np.int64]:
        notes = self.quantise(notes)
        if not len(notes):
            return np.zeros(0, dtype=np.int64)
        metre = _metre(notes)
        steps = self.bar_steps[metre]
        bars = -(-int(notes.end_tick.max()) // steps)
        grid = np.full((bars * steps, len(VOICES)), REST, dtype=np.int64)
        columns = (notes.start_tick, notes.end_tick, notes.track)
        for start, end, voice in zip(*(column.tolist() for column in columns), strict=True):
            grid[start:end, voice] = HOLD
        grid[notes.start_tick, notes.track] = NOTE + notes.pitch
        return np.concatenate([[METRE + metre], grid.ravel()])

    def grammar(self) -> Grammar:
        return ChoraleGrammar(self.bar_steps)

    def _notes(self, events: list[int]) -> NoteSequence:
        if not events:
            return self._sequence([], 0)
        grid = np.array(events[1:], dtype=np.int64).reshape(-1, len(VOICES))
        return self._sequence([_line(column) for column in grid.T], events[0] - METRE)

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


def _line(column: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Starts, ends and pitches [3, N] of the notes in the tokens [T] of one voice."""
    start = np.flatnonzero(column >= NOTE)
    borders = np.append(np.flatnonzero(column != HOLD), len(column))
    end = borders[np.searchsorted(borders, start, side="right")]
    return np.stack([start, end, column[start] - NOTE])


class ChoraleGrammar(Grammar):
    """The metre first; then whole bars, the last of which is not silent; a hold needs a note of its voice before it."""

    def __init__(self, bar_steps: tuple[int, ...]) -> None:
        self._bars = tuple(len(VOICES) * steps for steps in bar_steps)  # tokens of a bar of each metre
        self._bar = 0  # tokens of a bar of this piece; 0 before the metre
        self._place = 0  # tokens of the present bar so far; 0 where a bar is full
        self._sounding = [False] * len(VOICES)
        self._heard = False  # whether something sounds in the present bar, or in the one just filled
        self._ended = False

    @property
    def _can_end(self) -> bool:
        return not self._bar or (self._place == 0 and self._heard)

    @property
    def _last_chance(self) -> bool:
        """Whether a rest now would leave the present bar silent."""
        return self._place == self._bar - 1 and not self._heard

    def legal(self, room: int | None = None) -> npt.NDArray[np.bool_]:
        legal = np.zeros(SIZE, dtype=np.bool_)
        if self._ended:
            return legal
        legal[EOS] = self._can_end
        if not self._bar:
            legal[METRE:] = [room is None or 1 + bar <= room for bar in self._bars]
            return legal
        left = self._bar - self._place
        if room is None or left <= room:
            legal[NOTE:METRE] = True
            legal[HOLD] = self._sounding[self._place % len(VOICES)]
            # behind a silent bar another must follow
            legal[REST] = room is None or not self._last_chance or 1 + self._bar <= room
        return legal

    def push(self, token: int) -> None:
        refuse_special(token, SIZE)
        if self._ended:
            raise ValueError("nothing follows <eos>")
        if token == EOS:
            self._push_end()
        elif token >= METRE:
            if self._bar:
                raise ValueError("the metre stands at the beginning and nowhere else")
            self._bar = self._bars[token - METRE]
        elif not self._bar:
            raise ValueError("a metre must come before the first bar")
        else:
            self._push_voice(token)

    def _push_voice(self, token: int) -> None:
        voice = self._place % len(VOICES)
        if token == HOLD and not self._sounding[voice]:
            raise ValueError(f"no note of the {VOICES[voice].lower()} sounds that could be held")
        self._sounding[voice] = token != REST
        self._heard = token != REST or (self._heard and self._place > 0)
        self._place = (self._place + 1) % self._bar

    def _push_end(self) -> None:
        if self._place:
            raise ValueError(f"the bar has {self._place} of its {self._bar} tokens")
        if not self._can_end:
            raise ValueError("a piece does not end with a silent bar")
        self._ended = True

    def shortest_end(self) -> int:
        return 0 if self._ended or self._can_end else self._bar - self._place
