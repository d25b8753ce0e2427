"""A piece in parts that silence keeps apart."""

from __future__ import annotations

from math import floor

import numpy as np

from seqaudio.notes.bars import bars
from seqaudio.notes.operations.excerpt import excerpt
from seqaudio.notes.sequence import NoteSequence


def split_at_silence(notes: NoteSequence, seconds: float = 4.0) -> list[NoteSequence]:
    """The parts of a piece between its silences of at least `seconds`, in their order.

    Each part begins with the bar of its first note, so that bars stay where they are, or where the part before ends,
    where that is later; the silence itself is in no part but for the rest of that bar. Maps as in `excerpt`.

    Raises ValueError for a silence that is not longer than 0.
    """
    if not seconds > 0:
        raise ValueError(f"a silence of {seconds} seconds, expected more than 0")
    if not len(notes):
        return []
    sounded = np.maximum.accumulate(notes.end_tick)  # [N] where all notes up to each have ended
    silent = notes.start[1:] - notes.seconds(sounded[:-1]) >= seconds
    firsts = [0, *(np.flatnonzero(silent) + 1).tolist()]
    lasts = [*(first - 1 for first in firsts[1:]), len(notes) - 1]
    bar_starts = np.array([floor(bar.start) for bar in bars(notes)])
    parts = []
    ended = 0
    for first, last in zip(firsts, lasts, strict=True):
        begin = int(notes.start_tick[first])
        bar = int(bar_starts[np.searchsorted(bar_starts, begin, side="right") - 1])
        end = max(int(sounded[last]), int(notes.start_tick[last]) + 1)
        parts.append(excerpt(notes, max(bar, ended), end))
        ended = end
    return parts
