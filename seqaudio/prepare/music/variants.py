"""Find versions of a piece that differ in key, tempo, note values, repeats or upbeats.

The sequence of sonorities of a piece is cut into short windows. Versions of a piece share most of their windows; other
pieces, even of one composer and style, share hardly any.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from seqaudio.notes.quantise import grid_steps
from seqaudio.notes.sequence import NoteSequence

SILENT = -1  # instead of a pitch

Windows = frozenset[bytes]


def sounding(notes: NoteSequence, steps_per_quarter: int = 4) -> npt.NDArray[np.int64]:
    """[T, V] the highest pitch of each of V tracks at each step, SILENT in rests."""
    start, end = grid_steps(notes, steps_per_quarter)
    grid = np.full((end.max(initial=0), len(notes.track_names)), SILENT, dtype=np.int64)
    columns = (start, end, notes.pitch, notes.track)
    for begin, until, pitch, track in zip(*(column.tolist() for column in columns), strict=True):
        grid[begin:until, track] = np.maximum(grid[begin:until, track], pitch)
    return grid


def windows(pitches: npt.NDArray[np.int64], width: int) -> Windows:
    """All windows of `width` successive sonorities of pitches [T, V].

    A sonority is a row that differs from the one before; silence is left out. Pitches are in semitones, modulo the
    octave, above the last voice (usually the bass) that sounds in the first sonority of the window.
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


def clusters(pieces: Sequence[Windows], threshold: float) -> list[int]:
    """The cluster of each piece, as the index of its first piece: pieces are linked by a similarity >= `threshold`."""
    cluster = list(range(len(pieces)))
    for later, piece in enumerate(pieces):
        for earlier in range(later):
            if cluster[earlier] != cluster[later] and similarity(piece, pieces[earlier]) >= threshold:
                old, new = sorted((cluster[earlier], cluster[later]), reverse=True)
                cluster = [new if member == old else member for member in cluster]
    return cluster
