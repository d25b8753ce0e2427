"""Where bars and beats lie, by the time signatures of a piece."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from seqaudio.notes.sequence import NoteSequence, TimeSignature

COMMON_TIME = TimeSignature(0, 4, 4)  # what a MIDI file without a time signature means


@dataclass(frozen=True)
class Bar:
    """From `start` to `end`, in ticks; both may lie between two ticks of a coarse resolution."""

    start: Fraction
    end: Fraction
    beat: Fraction  # ticks from one beat to the next
    metre: TimeSignature  # that holds in it

    @property
    def metre_name(self) -> str:
        """Such as `6/8`."""
        return f"{self.metre.numerator}/{self.metre.denominator}"

    @property
    def beats(self) -> Iterator[Fraction]:
        """Where its beats begin, the first with the bar."""
        place = self.start
        while place < self.end:
            yield place
            place += self.beat


def bars(notes: NoteSequence) -> Iterator[Bar]:
    """The bars from tick 0 to the one in which the last note ends; none without notes.

    A time signature begins a new bar, even where the bar before is not full. A beat is what the denominator says,
    three of them in compound time (6/8, 9/8, 12/8).
    """
    last = _last_tick(notes) if len(notes) else 0
    spans = _spans(notes)
    for place, metre in enumerate(spans):
        until = spans[place + 1].tick if place + 1 < len(spans) else last
        compound = metre.denominator >= 8 and metre.numerator % 3 == 0 and metre.numerator > 3
        beat = _ticks(notes, 3 if compound else 1, metre.denominator)
        start = Fraction(metre.tick)
        while start < min(until, last):
            end = start + _ticks(notes, metre.numerator, metre.denominator)
            yield Bar(start, end if place + 1 == len(spans) else min(end, Fraction(until)), beat, metre)
            start = end


def end_of_last_bar(notes: NoteSequence) -> int:
    """The first tick at or behind all notes, pedals, tempos and signatures with which a bar is full."""
    ticks = [int(notes.tempo_tick[-1]), int(notes.pedals[:, 2].max(initial=0))]
    ticks += [metre.tick for metre in notes.time_signatures]
    ticks += [key.tick for key in notes.key_signatures]
    last = max([*ticks, _last_tick(notes)] if len(notes) else ticks)
    metre = _spans(notes)[-1]  # no time signature comes after `last`
    length = _ticks(notes, metre.numerator, metre.denominator)
    return ceil(metre.tick + ceil((last - metre.tick) / length) * length)


def _last_tick(notes: NoteSequence) -> int:
    # a note without length at the beginning of a bar lies in that bar
    return max(int(notes.end_tick.max()), int(notes.start_tick.max()) + 1)


def _spans(notes: NoteSequence) -> list[TimeSignature]:
    """The time signatures from tick 0 on, of two at one tick the later given."""
    latest = {0: COMMON_TIME}
    latest.update((metre.tick, metre) for metre in notes.time_signatures)
    return [latest[tick] for tick in sorted(latest)]


def _ticks(notes: NoteSequence, count: int, denominator: int) -> Fraction:
    return Fraction(4 * notes.ticks_per_quarter * count, denominator)
