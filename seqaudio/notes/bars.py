"""Bars and beats of a piece, from its time signatures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from seqaudio.notes.sequence import NoteSequence, TimeSignature

COMMON_TIME = TimeSignature(0, 4, 4)  # what a MIDI file without a time signature means


@dataclass(frozen=True)
class Bar:
    """A bar from `start` to `end`, in ticks; at a coarse resolution both may lie between two ticks."""

    start: Fraction
    end: Fraction
    beat: Fraction  # ticks from one beat to the next
    time_signature: TimeSignature  # in force in this bar

    @property
    def beats(self) -> Iterator[Fraction]:
        """The ticks at which its beats begin, the first with the bar."""
        tick = self.start
        while tick < self.end:
            yield tick
            tick += self.beat


def bars(notes: NoteSequence) -> Iterator[Bar]:
    """The bars from tick 0 to the one in which the last note ends; none without notes.

    A time signature begins a new bar, even where the previous bar is not full. A beat is one unit of the denominator,
    in compound time (6/8, 9/8, 12/8) three of them.
    """
    last = _last_tick(notes) if len(notes) else 0
    signatures = _time_signatures(notes)
    for index, signature in enumerate(signatures):
        until = signatures[index + 1].tick if index + 1 < len(signatures) else last
        compound = signature.denominator >= 8 and signature.numerator % 3 == 0 and signature.numerator > 3
        beat = _ticks(notes, 3 if compound else 1, signature.denominator)
        start = Fraction(signature.tick)
        while start < min(until, last):
            end = start + _ticks(notes, signature.numerator, signature.denominator)
            yield Bar(start, end if index + 1 == len(signatures) else min(end, Fraction(until)), beat, signature)
            start = end


def end_of_last_bar(notes: NoteSequence) -> int:
    """The first tick at which a bar ends and no note, pedal, tempo or signature lies later."""
    ticks = [int(notes.tempo_tick[-1]), int(notes.pedals[:, 2].max(initial=0))]
    ticks += [signature.tick for signature in notes.time_signatures]
    ticks += [key.tick for key in notes.key_signatures]
    last = max([*ticks, _last_tick(notes)] if len(notes) else ticks)
    signature = _time_signatures(notes)[-1]  # no time signature comes after `last`
    length = _ticks(notes, signature.numerator, signature.denominator)
    return ceil(signature.tick + ceil((last - signature.tick) / length) * length)


def _last_tick(notes: NoteSequence) -> int:
    # a note without length at the beginning of a bar belongs to that bar
    return max(int(notes.end_tick.max()), int(notes.start_tick.max()) + 1)


def _time_signatures(notes: NoteSequence) -> list[TimeSignature]:
    """The time signatures from tick 0 on; of two at one tick, the one given later."""
    latest = {0: COMMON_TIME}
    latest.update((signature.tick, signature) for signature in notes.time_signatures)
    return [latest[tick] for tick in sorted(latest)]


def _ticks(notes: NoteSequence, count: int, denominator: int) -> Fraction:
    return Fraction(4 * notes.ticks_per_quarter * count, denominator)
