"""Split a piece at long silences."""

from __future__ import annotations

from math import floor

import numpy as np

from seqaudio.notes.bars import bars
from seqaudio.notes.operations.excerpt import excerpt
from seqaudio.notes.sequence import NoteSequence


def split_at_silence(notes: NoteSequence, seconds: float = 4.0) -> list[NoteSequence]:
    """The parts of a piece between its silences of at least `seconds`, in order.

    Each part begins at the bar line before its first note, which keeps its bars aligned, or at the end of the previous
    part where that is later; the silence before that is dropped. Tempos, signatures and pedals as in `excerpt`.

    Raises ValueError unless `seconds` is above 0.
    """
    if not seconds > 0:
        raise ValueError(f"got a silence of {seconds} seconds, expected more than 0")
    if not len(notes):
        return []
    ended_by = np.maximum.accumulate(notes.end_tick)  # [N] tick at which this note and all before it have ended
    silent = notes.start[1:] - notes.seconds(ended_by[:-1]) >= seconds
    firsts = [0, *(np.flatnonzero(silent) + 1).tolist()]
    lasts = [*(first - 1 for first in firsts[1:]), len(notes) - 1]
    bar_starts = np.array([floor(bar.start) for bar in bars(notes)])
    parts = []
    ended = 0
    for first, last in zip(firsts, lasts, strict=True):
        begin = int(notes.start_tick[first])
        bar = int(bar_starts[np.searchsorted(bar_starts, begin, side="right") - 1])
        end = max(int(ended_by[last]), int(notes.start_tick[last]) + 1)
        parts.append(excerpt(notes, max(bar, ended), end))
        ended = end
    return parts
