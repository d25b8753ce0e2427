"""Replace time signatures by those that event tokens can write: bars of whole quarters, changed at bar lines only."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

import numpy as np

from seqaudio.notes.quantise import nearest_step
from seqaudio.notes.sequence import NoteSequence, TimeSignature

MAX_QUARTERS = 12  # in a bar
COMMON = 4  # quarters in a bar of 4/4, the default


def quarter_signatures(notes: NoteSequence, steps_per_quarter: int, last: int) -> tuple[TimeSignature, ...]:
    """The time signatures n/4 from step 0 to step `last`; their ticks are steps.

    6/8 becomes 3/4 and 3/2 becomes 6/4, whose bars are equally long. Where a bar is not a whole number of quarters,
    several bars become one: 3/8 becomes 3/4, 7/8 becomes 7/4. What would take more than twelve quarters becomes 4/4.
    A change within a bar is delayed to the next bar line; of several such changes the last one counts, and a change to
    the same time signature is dropped.
    """
    ticks = np.array([signature.tick for signature in notes.time_signatures], dtype=np.int64)
    steps = nearest_step(ticks, notes.ticks_per_quarter, steps_per_quarter).tolist()
    bars = [quarters_of(signature) for signature in notes.time_signatures]
    changes = _at_bars(zip(steps, bars, strict=True), steps_per_quarter)
    return tuple(TimeSignature(step, quarters, 4) for step, quarters in changes if step <= last)


def quarters_of(signature: TimeSignature) -> int:
    """Quarters in a bar, or in the fewest bars that are a whole number of quarters; 4 where those are over twelve."""
    whole = Fraction(4 * signature.numerator, signature.denominator).numerator
    return whole if whole <= MAX_QUARTERS else COMMON


def _at_bars(changes: Iterable[tuple[int, int]], steps_per_quarter: int) -> list[tuple[int, int]]:
    """Changes (step, quarters in a bar), each delayed to the next bar line."""
    delayed = [(0, COMMON)]
    for step, quarters in changes:
        begin, current = delayed[-1]
        bar = current * steps_per_quarter
        at_bar = begin + -(-max(0, step - begin) // bar) * bar
        if at_bar == begin:
            delayed.pop()
        if not delayed or delayed[-1][1] != quarters:
            delayed.append((at_bar, quarters))
    return delayed
