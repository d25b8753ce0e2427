"""Metres whose bars are whole numbers of quarters, each beginning with a bar: those that event tokens can say."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

import numpy as np

from seqaudio.notes.quantise import nearest_step
from seqaudio.notes.sequence import NoteSequence, TimeSignature

MAX_QUARTERS = 12  # of a bar
COMMON = 4  # quarters of a bar where none or no such metre is written


def quarter_metres(notes: NoteSequence, steps_per_quarter: int, last: int) -> tuple[TimeSignature, ...]:
    """The metres up to step `last`, in steps, from 0 on.

    6/8 becomes 3/4 and 3/2 becomes 6/4, as their bars are as long; where a bar is no whole number of quarters, two or
    more of them are one: 3/8 becomes 3/4, 7/8 becomes 7/4. What would take more than twelve quarters becomes 4/4. A
    change within a bar waits for the next bar, of several that wait the last counts, and one to the same metre is none.
    """
    ticks = np.array([metre.tick for metre in notes.time_signatures], dtype=np.int64)
    steps = nearest_step(ticks, notes.ticks_per_quarter, steps_per_quarter).tolist()
    bars = [_quarters(metre) for metre in notes.time_signatures]
    changes = list(_at_bars(zip(steps, bars, strict=True), steps_per_quarter))
    return tuple(TimeSignature(step, quarters, 4) for step, quarters in changes if step <= last)


def _quarters(metre: TimeSignature) -> int:
    """Quarters of one bar, or of as many bars as make whole quarters."""
    quarters = Fraction(4 * metre.numerator, metre.denominator)
    whole = quarters.numerator  # in lowest terms, so that many of the bars are this many quarters
    return whole if whole <= MAX_QUARTERS else COMMON


def _at_bars(metres: Iterable[tuple[int, int]], steps_per_quarter: int) -> list[tuple[int, int]]:
    changes = [(0, COMMON)]
    for step, quarters in metres:
        begin, held = changes[-1]
        bar = held * steps_per_quarter
        place = begin + -(-max(0, step - begin) // bar) * bar
        if place == begin:
            changes.pop()
        if not changes or changes[-1][1] != quarters:
            changes.append((place, quarters))
    return changes
