"""Reduce a piece to its skyline: the highest note at each time, as an estimate of the melody."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from seqaudio.notes.columns import sorted_by
from seqaudio.notes.sequence import NoteSequence

Column = npt.NDArray[np.int64]


def skyline(notes: NoteSequence) -> NoteSequence:
    """The highest sounding note at each time, over all tracks, drums left out.

    A note is cut where a higher one, or the same pitch again, begins; a lower one that begins while it sounds is left
    out altogether. Tracks, velocities, tempos and signatures stay. Notes without length are left out.

    Source: Uitdenbogerd & Zobel (1998), "Manipulation of music for melody matching", the algorithm all-mono.
    """
    notes = notes.select(~notes.is_drum & (notes.end_tick > notes.start_tick))
    kept, end = highest(notes.start_tick, notes.end_tick, notes.pitch.astype(np.int64))
    which = np.zeros(len(notes), dtype=np.bool_)
    which[kept] = True
    # the kept notes rise in their starts, as all notes do
    melody = notes.select(which)
    return melody.at_ticks(melody.start_tick, end, notes.pedals)


def highest(start: Column, end: Column, pitch: Column) -> tuple[Column, Column]:
    """Indices [M] of the notes in the skyline, by rising start, and their ends [M]; all N notes must have a length."""
    order = sorted_by(start * 128 + (127 - pitch), -end)
    first = np.ones(len(order), dtype=np.bool_)
    starts = start[order]
    first[1:] = starts[1:] != starts[:-1]
    order = order[first]  # of notes that begin together the highest, of equal pitches the longest
    starts, ends = starts[first], end[order]
    if (starts[1:] >= ends[:-1]).all():
        return order, ends
    kept: list[int] = []
    ended, sounding = -1, -1
    columns = zip(starts.tolist(), ends.tolist(), pitch[order].tolist(), strict=True)
    for place, (begin, until, height) in enumerate(columns):
        if height >= sounding or begin >= ended:
            kept.append(place)
            ended, sounding = until, height
    starts, ends = starts[kept], ends[kept]
    ends[:-1] = np.minimum(ends[:-1], starts[1:])
    return order[kept], ends
