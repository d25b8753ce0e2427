"""Which pieces are versions of each other, whatever their key, tempo, note values, repeats and upbeats.

What sounds together, one sonority after the other, is cut into short windows. Versions of one piece share most of
their windows; other pieces, even of one composer and style, hardly any.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from seqaudio.notes.quantise import grid_steps
from seqaudio.notes.sequence import NoteSequence

SILENT = -1  # in place of a pitch

Windows = frozenset[bytes]


def sounding(notes: NoteSequence, steps_per_quarter: int = 4) -> npt.NDArray[np.int64]:
    """[T, V] the pitch of each of V tracks at each step, SILENT where it rests; the highest of several."""
    start, end = grid_steps(notes, steps_per_quarter)
    grid = np.full((end.max(initial=0), len(notes.track_names)), SILENT, dtype=np.int64)
    columns = (start, end, notes.pitch, notes.track)
    for begin, until, pitch, track in zip(*(column.tolist() for column in columns), strict=True):
        grid[begin:until, track] = np.maximum(grid[begin:until, track], pitch)
    return grid


def windows(pitches: npt.NDArray[np.int64], width: int) -> Windows:
    """Every `width` successive sonorities of pitches [T, V].

    A sonority is a row that differs from the one before; silence is left out. Pitches count in semitones above the
    last voice, usually the bass, that sounds in the window's first sonority, without their octave.
    """
    pitches = pitches[(pitches != SILENT).any(axis=1)]
    changed = np.ones(len(pitches), dtype=np.bool_)
    changed[1:] = (pitches[1:] != pitches[:-1]).any(axis=1)
    pitches = pitches[changed]
    silent = pitches == SILENT
    last = pitches.shape[1] - 1 - np.argmax(~silent[:, ::-1], axis=1)  # [S] the last voice that sounds
    found = set()
    for first in range(len(pitches) - width + 1):
        view = slice(first, first + width)
        intervals = np.where(silent[view], SILENT, (pitches[view] - pitches[first, last[first]]) % 12)
        found.add(intervals.astype(np.int8).tobytes())
    return frozenset(found)


def similarity(one: Windows, other: Windows) -> float:
    """The share of the smaller set that is in the other, 0..1; 0 where either is empty."""
    return len(one & other) / max(1, min(len(one), len(other)))


def clusters(pieces: Sequence[Windows], least: float) -> list[int]:
    """A number for each piece: that of the first piece to which versions lead, each at least `least` like the next."""
    cluster = list(range(len(pieces)))
    for later, piece in enumerate(pieces):
        for earlier in range(later):
            if cluster[earlier] != cluster[later] and similarity(piece, pieces[earlier]) >= least:
                old, new = sorted((cluster[earlier], cluster[later]), reverse=True)
                cluster = [new if member == old else member for member in cluster]
    return cluster
