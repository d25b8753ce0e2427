"""Split a piece where its time signature changes."""

from __future__ import annotations

from seqaudio.notes.bars import COMMON_TIME
from seqaudio.notes.operations.excerpt import excerpt
from seqaudio.notes.sequence import NoteSequence


def split_at_time_signatures(notes: NoteSequence) -> list[NoteSequence]:
    """The parts of a piece between changes of its time signature, in order; parts without a note are left out.

    A time signature equal to the previous one is no change. Each part is an `excerpt`: a note that lasts beyond the
    change is cut there. Before the first signature the time is 4/4.
    """
    if not len(notes):
        return []
    current = COMMON_TIME.name
    latest = {signature.tick: signature.name for signature in notes.time_signatures}
    borders = [0]
    for tick, name in latest.items():
        if name != current and tick:
            borders.append(tick)
        current = name
    end = max(int(notes.end_tick.max()), int(notes.start_tick.max())) + 1
    ends = [*borders[1:], max(end, borders[-1] + 1)]
    parts = [excerpt(notes, first, until) for first, until in zip(borders, ends, strict=True)]
    return [part for part in parts if len(part)]
