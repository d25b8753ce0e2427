"""The representation `bars`: notes with their lengths, at the steps of bars that know their time signature."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum, auto
from fractions import Fraction
from functools import cached_property
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from seqaudio.errors import OptionError
from seqaudio.notes.bars import COMMON_TIME, with_full_upbeat
from seqaudio.notes.quantise import as_one_part, grid_steps, nearest_step
from seqaudio.notes.sequence import DEFAULT_TEMPO, MAX_TEMPO, NoteSequence, TimeSignature
from seqaudio.tokens.bounded_durations import BarByBar
from seqaudio.tokens.bounds import BoundedGrammar, Bounds, Mask
from seqaudio.tokens.forms import Note
from seqaudio.tokens.grammar import Grammar, refuse_special
from seqaudio.tokens.loss import Onsets
from seqaudio.tokens.representation import FIRST_ID, REPRESENTATIONS, TokenRepresentation
from seqaudio.vocabulary import EOS

Steps = npt.NDArray[np.int64]

# in order of their ids, if a bar is a whole number of steps; the first of equally long ones is written for the others
METRES = (
    "4/4", "3/4", "2/4", "6/8", "9/8", "12/8", "3/8", "2/2", "3/2",
    "5/4", "6/4", "7/4", "4/8", "5/8", "7/8", "1/4", "4/2",
)  # fmt: skip
PITCHES = 128


@REPRESENTATIONS.register("bars")
@dataclass(frozen=True)
class BarsRepresentation(TokenRepresentation):
    """A time signature, then bars; in each bar the steps at which notes begin, and each note with its length.

        id              token         meaning
        0, 1, 2         PAD BOS EOS
        3 + m           metre_6/8     time signature m of METRES, before the bar from which on it holds, if it changes
        a               bar           a bar begins
        a + 1 + k       step_k        step k of this bar, counted from 0; the notes that begin there follow
        b + v           velocity_v    the next notes have a velocity in [128 v/V, 128 (v+1)/V), v in 0..V-1
        c + p           note_p        pitch p begins, p in 0..127, both inclusive; its length follows
        d + l           length_l      the note lasts l steps, l in 1..L, both inclusive

    Steps of a bar rise, and at each of them notes come by rising pitch, with a velocity before a note whose velocity
    differs from that of the previous one. Bars without a beginning are written too, but the last bar has one. The first
    bar begins at tick 0; an upbeat begins at one of its later steps, after silence (`with_full_upbeat`).

    A time signature that is not in METRES, or whose bar is not a whole number of steps, becomes the first whose bar is
    as long, or as long as several of its bars (3/16: 3/8), otherwise 4/4; a change within a bar is delayed to the next
    bar line. All parts become one, drums are left out. Notes longer than `longest` quarters are cut. Tempo and programs
    are not written.

    Source: bars, positions and lengths as in REMI (Huang and Yang, 2020, "Pop Music Transformer"). Time signatures by
    their own names, velocities only where they change, and no mark of the time signature at each bar are ours.
    """

    name: ClassVar[str] = "bars"
    keeps: ClassVar[str] = "one note of a pitch at a time, cut where it is very long"

    steps_per_quarter: int = 12  # 12 fits sixteenths and triplets
    longest: int = 16  # quarters of the longest note
    velocity_bins: int = 32  # a power of two, at most 64
    tempo: int = DEFAULT_TEMPO  # microseconds per quarter of decoded pieces

    def __post_init__(self) -> None:
        if not 1 <= self.steps_per_quarter <= 48 or not 1 <= self.longest <= 64:
            raise OptionError(
                f"{self.steps_per_quarter} steps per quarter and notes of {self.longest} quarters, "
                f"expected 1..48 and 1..64"
            )
        if self.velocity_bins not in (1, 2, 4, 8, 16, 32, 64):
            raise OptionError(f"{self.velocity_bins} velocity bins, expected a power of two in 1..64")
        if not 1 <= self.tempo <= MAX_TEMPO:
            raise OptionError(f"tempo {self.tempo}, expected 1..{MAX_TEMPO} microseconds per quarter")

    @cached_property
    def ids(self) -> BarsIds:
        return BarsIds(self.steps_per_quarter, self.longest * self.steps_per_quarter, self.velocity_bins)

    @property
    def event_tokens(self) -> tuple[str, ...]:
        ids = self.ids
        return (
            *(f"metre_{name}" for name in ids.metres),
            "bar",
            *(f"step_{step}" for step in range(max(ids.bar_steps))),
            *(f"velocity_{index}" for index in range(ids.velocity_bins)),
            *(f"note_{pitch}" for pitch in range(PITCHES)),
            *(f"length_{steps}" for steps in range(1, ids.longest + 1)),
        )

    def aligned(self, notes: NoteSequence) -> NoteSequence:
        while (full := with_full_upbeat(notes)) is not notes:
            notes = full
        return notes

    def quantise(self, notes: NoteSequence) -> NoteSequence:
        return self._sequence(*self._written(notes))

    def encode(self, notes: NoteSequence) -> npt.NDArray[np.int64]:
        (start, end, pitch, bins), metres = self._written(notes)
        if not len(start):
            return np.zeros(0, dtype=np.int64)
        order = np.lexsort((pitch, start))
        start, end, pitch, bins = start[order], end[order], pitch[order], bins[order]
        ids = self.ids
        # the bar lines up to the last note, each with its metre, or -1 where that does not change
        lines, signs = ids.bar_lines(metres, int(start[-1]) + 1)
        bar = np.searchsorted(lines, start, side="right") - 1
        begins = np.append(True, start[1:] != start[:-1])  # whether a step token comes before the note
        changed = np.append(True, bins[1:] != bins[:-1])
        # each token with a key to sort by: bar, then metre and bar line before notes, then note, then place in the note
        count = len(start)
        note = np.arange(1, count + 1)
        rows = [
            (np.flatnonzero(signs >= 0), 0, 0, ids.metre + signs[signs >= 0]),
            (np.arange(len(lines)), 0, 1, np.full(len(lines), ids.bar)),
            (bar[begins], note[begins], 0, ids.step + (start - lines[bar])[begins]),
            (bar[changed], note[changed], 1, ids.velocity + bins[changed]),
            (bar, note, 2, ids.note + pitch),
            (bar, note, 3, ids.length(0) + end - start),
        ]
        keys = [(place * (count + 1) + number) * 4 + part for place, number, part, _ in rows]
        stream: npt.NDArray[np.int64] = np.concatenate([row[3] for row in rows])[np.argsort(np.concatenate(keys))]
        return stream

    def onsets(self, encoded: npt.NDArray[np.int64]) -> Onsets:
        ids = self.ids
        metres = np.flatnonzero(encoded < ids.bar)
        lines = np.flatnonzero(encoded == ids.bar)
        # the metre of each bar is the last one written before it
        of_bar = encoded[metres[np.searchsorted(metres, lines) - 1]] - ids.metre if len(lines) else lines
        lengths = np.array(ids.bar_steps, dtype=np.int64)[of_bar]
        starts = np.cumsum(lengths) - lengths
        is_step = (encoded >= ids.step) & (encoded < ids.velocity)
        bar = np.cumsum(encoded == ids.bar) - 1
        step = np.where(is_step, starts[bar] + encoded - ids.step, 0) if len(lines) else np.zeros(0, dtype=np.int64)
        step = np.maximum.accumulate(step)  # steps rise, so each token has that of the last one before it
        places = np.flatnonzero((encoded >= ids.note) & (encoded < ids.length(1)))
        changes = zip(
            starts[np.searchsorted(lines, metres)].tolist(), (encoded[metres] - ids.metre).tolist(), strict=True
        )
        signatures = tuple(replace(ids.signature(metre), tick=tick) for tick, metre in changes)
        return Onsets(step[places], encoded[places] - ids.note, self.steps_per_quarter, signatures)

    def grammar(self) -> Grammar:
        return BarsGrammar(self.ids)

    @property
    def ends_on_bars(self) -> bool:
        return True

    @property
    def keeps_form(self) -> bool:
        return True

    @property
    def bar_places(self) -> tuple[int, range]:
        return self.ids.bar, range(self.ids.step, self.ids.velocity)

    @property
    def look_back(self) -> tuple[int, ...]:
        return (1, 2, 4, 8)

    @property
    def metre_ids(self) -> range:
        return range(self.ids.metre, self.ids.bar)

    def written_metre(self, metre: TimeSignature) -> tuple[TimeSignature, int]:
        index = self.ids.written(metre)
        return self.ids.signature(index), self.ids.metre + index

    def bounded(self, bounds: Bounds) -> BoundedGrammar:
        return BoundedBars(self.grammar(), bounds, self.ids)

    def _written(self, notes: NoteSequence) -> tuple[list[Steps], list[tuple[int, int]]]:
        """Start, end, pitch and velocity bin of the notes, [N] each, and the metres, as (step, index)."""
        notes = self.aligned(notes)
        signatures = notes.time_signatures
        notes = notes.select(~notes.is_drum)
        start, end = grid_steps(notes, self.steps_per_quarter)
        end = np.minimum(end, start + self.ids.longest)
        bins = notes.velocity.astype(np.int64) * self.velocity_bins // 128
        columns = as_one_part(start, end, notes.pitch.astype(np.int64), bins)
        if not len(start):
            return columns, []
        ticks = np.array([signature.tick for signature in signatures], dtype=np.int64)
        steps = nearest_step(ticks, notes.ticks_per_quarter, self.steps_per_quarter).tolist()
        metres, shift = self.ids.with_full_upbeat(
            self.ids.at_bar_lines(zip(steps, map(self.ids.written, signatures), strict=True))
        )
        columns[0], columns[1] = columns[0] + shift, columns[1] + shift
        last = int(columns[0].max())
        return columns, [(step, metre) for step, metre in metres if step <= last]

    def _notes(self, events: list[int]) -> NoteSequence:
        ids = self.ids
        bar, length, now, velocity, pitch = 0, 0, 0, 0, 0
        metres: list[tuple[int, int]] = []
        rows = []
        for token in events:
            if token >= ids.length(1):
                rows.append((now, now + token - ids.length(0), pitch, velocity))
            elif token >= ids.note:
                pitch = token - ids.note
            elif token >= ids.velocity:
                velocity = token - ids.velocity
            elif token >= ids.step:
                now = bar + token - ids.step
            elif token == ids.bar:
                bar, length = bar + length, ids.bar_steps[metres[-1][1]]
            else:
                metres.append((bar + length, token - ids.metre))
        columns = list(np.array(rows, dtype=np.int64).reshape(-1, 4).T)
        return self._sequence(columns, metres)

    def _sequence(self, columns: list[Steps], metres: list[tuple[int, int]]) -> NoteSequence:
        start, end, pitch, bins = columns
        width = 128 // self.velocity_bins
        return NoteSequence.from_columns(
            start,
            end,
            pitch,
            bins * width + width // 2,  # the middle of the bin
            ticks_per_quarter=self.steps_per_quarter,
            tempos=[(0, self.tempo)],
            time_signatures=[replace(self.ids.signature(metre), tick=step) for step, metre in metres],
        )


@dataclass(frozen=True)
class BarsIds:
    """The first id of each kind of token: `metre + m`, `step + k`, `note + p`; `length(l) = length(0) + l`."""

    steps_per_quarter: int
    longest: int  # steps
    velocity_bins: int

    metre = FIRST_ID

    @cached_property
    def metres(self) -> tuple[str, ...]:
        """The time signatures whose bar is a whole number of steps."""
        return tuple(name for name in METRES if self._steps(_signature(name)).denominator == 1)

    @cached_property
    def bar_steps(self) -> tuple[int, ...]:
        """Steps of a bar in each of `metres`."""
        return tuple(int(self._steps(_signature(name))) for name in self.metres)

    @cached_property
    def bar(self) -> int:
        return self.metre + len(self.metres)

    @cached_property
    def step(self) -> int:
        return self.bar + 1

    @cached_property
    def velocity(self) -> int:
        return self.step + max(self.bar_steps)

    @cached_property
    def note(self) -> int:
        return self.velocity + self.velocity_bins

    def length(self, steps: int) -> int:
        return self.note + PITCHES - 1 + steps

    @cached_property
    def size(self) -> int:
        return self.length(self.longest + 1)

    def signature(self, index: int) -> TimeSignature:
        """A time signature by its index in `metres`, at tick 0."""
        return _signature(self.metres[index])

    def written(self, metre: TimeSignature) -> int:
        """The index in `metres` of the time signature that is written for another."""
        if metre.name in self.metres:
            return self.metres.index(metre.name)
        bar = self._steps(metre)
        if bar in self.bar_steps:
            return self.bar_steps.index(int(bar))
        whole = [steps % bar == 0 for steps in self.bar_steps]
        return whole.index(True) if any(whole) else 0

    def at_bar_lines(self, changes: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        """Changes (step, index in `metres`), each delayed to the next bar line; the first is at step 0."""
        delayed = [(0, self.written(COMMON_TIME))]
        for step, metre in changes:
            begin, current = delayed[-1]
            bar = self.bar_steps[current]
            line = begin + -(-max(0, step - begin) // bar) * bar
            if line == begin:
                delayed.pop()
            if not delayed or delayed[-1][1] != metre:
                delayed.append((line, metre))
        return delayed

    def with_full_upbeat(self, metres: list[tuple[int, int]]) -> tuple[list[tuple[int, int]], int]:
        """Changes without a first bar that is shorter than the next, and the steps of silence that make it full."""
        shift = 0
        while len(metres) > 1 and metres[1][0] == self.bar_steps[metres[0][1]] < self.bar_steps[metres[1][1]]:
            missing = self.bar_steps[metres[1][1]] - metres[1][0]
            metres = [(0, metres[1][1]), *((step + missing, metre) for step, metre in metres[2:])]
            shift += missing
        return metres, shift

    def bar_lines(self, metres: list[tuple[int, int]], until: int) -> tuple[Steps, Steps]:
        """[B] the steps before `until` at which bars begin, and the metre that is written there, -1 for none."""
        lines, signs = [], []
        ends = [step for step, _ in metres[1:]] + [until]
        for (step, metre), end in zip(metres, ends, strict=True):
            here = np.arange(step, end, self.bar_steps[metre])
            lines.append(here)
            signs.append(np.where(np.arange(len(here)) == 0, metre, -1))
        return np.concatenate(lines), np.concatenate(signs)

    def _steps(self, metre: TimeSignature) -> Fraction:
        return Fraction(4 * self.steps_per_quarter * metre.numerator, metre.denominator)


def _signature(name: str) -> TimeSignature:
    numerator, denominator = map(int, name.split("/"))
    return TimeSignature(0, numerator, denominator)


class _Stage(Enum):
    """The kind of the last token."""

    BEGIN = auto()
    METRE = auto()
    BAR = auto()
    STEP = auto()
    VELOCITY = auto()
    NOTE = auto()
    LENGTH = auto()
    EOS = auto()


_EXPECTED = {
    _Stage.BEGIN: "a time signature must come first",
    _Stage.METRE: "a bar must follow a time signature",
    _Stage.STEP: "a note, or its velocity, must follow a step",
    _Stage.VELOCITY: "a note must follow a velocity",
    _Stage.NOTE: "a length must follow a note",
}
NEVER = 1 << 40  # the cost of an illegal token


class BarsGrammar(Grammar):
    """Permits exactly the streams that BarsRepresentation writes.

    Steps of a bar rise, and notes at a step come by rising pitch. A note does not begin while its pitch sounds. A
    velocity or a time signature differs from the previous one. The last bar has a note that begins in it.
    """

    def __init__(self, ids: BarsIds) -> None:
        self._ids = ids
        self._stage = _Stage.BEGIN
        self._bar = 0  # the step at which this bar begins
        self._metre = -1  # index in `metres`; -1 before the first
        self._sign = False  # whether a time signature has been written for the bar that comes
        self._now = 0
        self._velocity = -1  # bin; -1 before the first
        self._pitch = -1  # of the last note at this step; -1 for none yet
        self._free = np.zeros(PITCHES, dtype=np.int64)  # the step from which on each pitch is free
        self._known: npt.NDArray[np.int64] | None = None  # costs of the tokens that may come now, once computed

    @property
    def _bar_steps(self) -> int:
        return self._ids.bar_steps[self._metre] if self._metre >= 0 else 0

    def push(self, token: int) -> None:
        ids = self._ids
        refuse_special(token, ids.size)
        if self._stage is _Stage.EOS:
            raise ValueError("nothing follows <eos>")
        if self._costs()[token] >= NEVER:
            raise ValueError(self._reason(token))
        self._known = None
        if token == EOS:
            self._stage = _Stage.EOS
        elif token < ids.bar:
            if self._stage is not _Stage.BEGIN:
                self._bar += self._bar_steps
            self._stage, self._metre, self._sign = _Stage.METRE, token - ids.metre, True
        elif token == ids.bar:
            if not self._sign:
                self._bar += self._bar_steps
            self._stage, self._sign, self._now = _Stage.BAR, False, self._bar
        elif token < ids.velocity:
            self._stage, self._now, self._pitch = _Stage.STEP, self._bar + token - ids.step, -1
        elif token < ids.note:
            self._stage, self._velocity = _Stage.VELOCITY, token - ids.velocity
        elif token < ids.length(1):
            self._stage, self._pitch = _Stage.NOTE, token - ids.note
        else:
            self._stage = _Stage.LENGTH
            self._free[self._pitch] = self._now + token - ids.length(0)

    def _reason(self, token: int) -> str:
        ids = self._ids
        if self._stage in _EXPECTED:
            stage = _EXPECTED[self._stage]
            fits = self._stage is not _Stage.BEGIN and ids.velocity <= token < ids.length(1)
            if not fits or self._stage is _Stage.NOTE:
                return stage
        if token == EOS:
            return "a note must begin in the last bar"
        if token < ids.bar:
            return "a time signature differs from the previous one, and has no longer bars than a first bar before it"
        if token < ids.velocity:
            return f"steps rise within a bar of {self._bar_steps}, and a pitch must be free there"
        if token < ids.note:
            return "a velocity comes before a note, and differs from the previous one"
        if token < ids.length(1):
            return "a note needs a step and a velocity before it, a pitch above the previous one, and one that is free"
        return "a note must come before its length"

    def legal(self, room: int | None = None) -> Mask:
        legal: Mask = self._costs() <= (NEVER - 1 if room is None else room)
        return legal

    def shortest_end(self) -> int:
        return 0 if self._stage is _Stage.EOS else int(self._costs().min())

    @property
    def _note_cost(self) -> int:
        return 2 + (self._velocity < 0)

    def _costs(self) -> npt.NDArray[np.int64]:
        """[V] fewest tokens to the end, each token itself included; 0 for EOS, NEVER for illegal tokens."""
        if self._known is None:
            self._known = self._new_costs()
        return self._known

    def _new_costs(self) -> npt.NDArray[np.int64]:
        ids, stage = self._ids, self._stage
        costs = np.full(ids.size, NEVER, dtype=np.int64)
        if stage in (_Stage.BEGIN, _Stage.BAR, _Stage.LENGTH):
            self._metre_costs(costs)
        if stage in (_Stage.METRE, _Stage.BAR, _Stage.LENGTH):
            line = self._bar + (0 if self._sign else self._bar_steps)
            costs[ids.bar] = 1 + self._after_bar(line, self._bar_steps)
        if stage in (_Stage.BAR, _Stage.LENGTH):
            steps = self._bar + np.arange(self._bar_steps)
            later = (steps > self._now) | (stage is _Stage.BAR)
            can = later & (steps >= self._free.min())
            costs[ids.step : ids.step + len(steps)] = np.where(can, 1 + self._note_cost, NEVER)
        if stage in (_Stage.STEP, _Stage.VELOCITY, _Stage.LENGTH):
            self._note_costs(costs)
        if stage is _Stage.NOTE:
            costs[ids.length(1) :] = 1
        if stage in (_Stage.BEGIN, _Stage.LENGTH):
            costs[EOS] = 0
        return costs

    def _metre_costs(self, costs: npt.NDArray[np.int64]) -> None:
        ids = self._ids
        line = self._bar + self._bar_steps
        costs[ids.metre : ids.bar] = 2 + self._after_bar(line, np.array(ids.bar_steps))
        if self._metre >= 0:
            costs[ids.metre + self._metre] = NEVER
            if not self._bar:  # a short first bar is an upbeat, which is written in a full one
                costs[ids.metre : ids.bar][np.array(ids.bar_steps) > self._bar_steps] = NEVER

    def _note_costs(self, costs: npt.NDArray[np.int64]) -> None:
        ids = self._ids
        can = self._free <= self._now
        can[: self._pitch + 1] = False
        if self._velocity >= 0:
            costs[ids.note : ids.length(1)] = np.where(can, 2, NEVER)
        if self._stage is not _Stage.VELOCITY and can.any():
            costs[ids.velocity : ids.note] = 3
            if self._velocity >= 0:
                costs[ids.velocity + self._velocity] = NEVER

    def _after_bar(self, line: int, steps: Steps | int) -> Steps | int:
        """Fewest tokens from the beginning of a bar to the end: bars in which all pitches sound, then a note.

        steps: of that bar, or of each of several that it may be.
        """
        sounding = max(0, int(self._free.min()) - line)  # steps during which all pitches do
        # a time signature with longer bars may be written once, before the next bar
        longest = max(self._ids.bar_steps)
        changed: Steps | int = 1 + np.maximum(0, sounding - steps) // longest
        return np.minimum(sounding // steps, 1 + changed) + 1 + self._note_cost


class BoundedBars(BoundedGrammar):
    """Bars and steps follow while a note at them may lead to the end, or as the form has them (`BarByBar`)."""

    def __init__(self, base: Grammar, bounds: Bounds, ids: BarsIds) -> None:
        super().__init__(base, bounds)
        self._ids = ids
        self._line = 0  # the step at which the bar that comes begins
        self._bar = 0  # the step at which this bar begins
        self._bar_steps = 0
        self._now = 0
        self._velocity = -1  # the token of the last velocity; -1 before the first
        self._pitch = -1  # of the last note at this step
        self._reached = 0  # the step at which the last note ends
        seen = bounds.tokens[ids.note : ids.length(1)]
        # the step from which on each pitch is free; pitches that may not be sampled never are
        self._free = np.where(seen, 0, np.iinfo(np.int64).max)
        self._bars = BarByBar(bounds, bounds.tokens[ids.length(1) :], seen)

    def _within(self) -> Mask:
        ids, bars, now = self._ids, self._bars, self._now
        if bars.forced is not None:
            forced: Mask = np.arange(ids.size) == bars.forced
            return forced
        within = self.bounds.tokens.copy()
        within[EOS] = bars.may_end
        if not self._bar_steps:
            return within
        within[ids.metre : ids.step] &= bars.may_follow(max(self._line, int(self._free.min())))
        within[ids.step + self._bar_steps : ids.velocity] = False
        places = np.flatnonzero(within[ids.step : ids.velocity])
        within[ids.step + places] = bars.may_begin(places, self._free)
        within[ids.length(1) :] &= bars.lengths(now, self._pitch)
        can = bars.can_begin(now, self._free, self._pitch < 0)
        can[: self._pitch + 1] = False
        within[ids.note : ids.length(1)] &= can
        within[ids.velocity : ids.note] &= can.any()
        return within

    @property
    def reached(self) -> int:
        return self._reached

    def _follow(self, token: int) -> None:
        ids, bars = self._ids, self._bars
        if token < ids.bar:
            self._bar_steps = ids.bar_steps[token - ids.metre]
            bars.measure(self.bounds.tokens[ids.step : ids.step + self._bar_steps])
            return
        if token == ids.bar:
            self._bar, self._now = self._line, self._line
            self._line += self._bar_steps
            bars.begin(self._bar, self._written)
            return
        bars.take(token)
        if token < ids.velocity:
            self._now, self._pitch = self._bar + token - ids.step, -1
        elif token < ids.note:
            self._velocity = token
        elif token < ids.length(1):
            self._pitch = token - ids.note
        else:
            length = token - ids.length(0)
            self._free[self._pitch] = self._now + length
            self._reached = max(self._reached, self._now + length)
            bars.note(self._pitch, self._now - self._bar, length, (self._velocity, ids.note + self._pitch, token))

    def _written(self, notes: list[Note]) -> list[int]:
        tokens, place, velocity = list[int](), -1, self._velocity
        for note in notes:
            tokens += [self._ids.step + note.place] * (note.place != place)
            tokens += note.tokens[note.tokens[0] == velocity :]
            place, velocity = note.place, note.tokens[0]
        return tokens
