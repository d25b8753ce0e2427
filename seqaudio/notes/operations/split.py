"""A piece in parts of one metre each."""

from __future__ import annotations

from seqaudio.notes.bars import COMMON_TIME
from seqaudio.notes.operations.excerpt import excerpt
from seqaudio.notes.sequence import NoteSequence


def split_at_metres(notes: NoteSequence) -> list[NoteSequence]:
    """The parts of a piece between its changes of metre, in their order; parts without a note are left out.

    A time signature that repeats the one before is no change. What each part holds is told by `excerpt`: a note that
    lasts over the change is cut there. Common time holds before the first signature.
    """
    if not len(notes):
        return []
    metre = (COMMON_TIME.numerator, COMMON_TIME.denominator)
    latest = {signature.tick: (signature.numerator, signature.denominator) for signature in notes.time_signatures}
    borders = [0]
    for tick, changed in latest.items():
        if changed != metre and tick:
            borders.append(tick)
        metre = changed
    end = max(int(notes.end_tick.max()), int(notes.start_tick.max())) + 1
    ends = [*borders[1:], max(end, borders[-1] + 1)]
    parts = [excerpt(notes, first, until) for first, until in zip(borders, ends, strict=True)]
    return [part for part in parts if len(part)]
