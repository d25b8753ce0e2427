"""Bars and beats of a piece, from its time signatures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil

import numpy as np

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


def with_full_upbeat(notes: NoteSequence) -> NoteSequence:
    """The piece with silence before its upbeat, so that tick 0 begins a full bar; a piece without one as it is.

    An upbeat is a first bar that is shorter than the bars after it and has its own time signature, such as 1/4 before
    3/4. Where the missing time is a fraction of a tick, the piece stays as it is.
    """
    first, *later = _time_signatures(notes)
    if not later:
        return notes
    length = _ticks(notes, first.numerator, first.denominator)
    full = _ticks(notes, later[0].numerator, later[0].denominator)
    missing = full - length
    if later[0].tick != length or missing <= 0 or missing.denominator != 1:
        return notes
    shift = missing.numerator
    pedals = notes.pedals + np.array([0, shift, shift], dtype=np.int64)
    signatures = [replace(signature, tick=signature.tick + shift) for signature in later[1:]]
    keys = [replace(key, tick=key.tick + shift if key.tick else 0) for key in notes.key_signatures]
    return replace(
        notes.at_ticks(notes.start_tick + shift, notes.end_tick + shift, pedals),
        tempo_tick=np.append(0, notes.tempo_tick[1:] + shift),
        time_signatures=(replace(later[0], tick=0), *signatures),
        key_signatures=tuple(keys),
        controls=notes.controls[:0],
    )


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
