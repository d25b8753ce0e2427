"""Translate one voice on a grid to tokens and back: a rest, a hold, or a new pitch at each step."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from seqaudio.notes.operations.selection import highest
from seqaudio.notes.quantise import pitches_on_grid
from seqaudio.notes.sequence import NoteSequence
from seqaudio.tokens.representation import FIRST_ID

REST = FIRST_ID
HOLD = FIRST_ID + 1
NOTE = FIRST_ID + 2  # the id of pitch 0
VOCABULARY_END = NOTE + 128  # the first id after these tokens
NAMES = ("rest", "hold", *(f"note_{pitch}" for pitch in range(128)))


class Voice(NamedTuple):
    """N notes one after the other, without overlaps; columns [N] int64, times in steps."""

    start: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    pitch: npt.NDArray[np.int64]


def voice_of(notes: NoteSequence, steps_per_quarter: int, which: npt.NDArray[np.bool_] | None = None) -> Voice:
    """The skyline, on a grid, of the notes for which `which` [N] is true, or of all notes."""
    start, end, pitch = pitches_on_grid(notes, steps_per_quarter, which)
    kept, end = highest(start, end, pitch)
    return Voice(start[kept], end, pitch[kept])


def voice_tokens(voice: Voice, length: int) -> npt.NDArray[np.int64]:
    """The ids [length] of the first `length` steps, within which all notes must end."""
    ids = np.full(length, REST, dtype=np.int64)
    borders = np.zeros(length + 1, dtype=np.int8)
    borders[voice.start] += 1
    borders[voice.end] -= 1
    ids[np.cumsum(borders[:-1]) > 0] = HOLD
    ids[voice.start] = NOTE + voice.pitch
    return ids


def voice_from_tokens(ids: npt.NDArray[np.int64]) -> Voice:
    """The notes of the steps; a hold without a note before it is silent."""
    start = np.flatnonzero(ids >= NOTE)
    borders = np.append(np.flatnonzero(ids != HOLD), len(ids))
    end = borders[np.searchsorted(borders, start, side="right")]
    return Voice(start, end, ids[start] - NOTE)
