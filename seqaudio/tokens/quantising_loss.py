"""Count the notes of a piece that a representation moves, merges or leaves out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from seqaudio.notes.sequence import NoteSequence

_EXACT = 1e-9  # seconds or quarters: times closer than that are equal


class Quantiser(Protocol):
    """The methods of a Representation that are used here."""

    @property
    def timing(self) -> Literal["beat", "second"]: ...

    def aligned(self, notes: NoteSequence) -> NoteSequence: ...

    def quantise(self, notes: NoteSequence) -> NoteSequence: ...

    def cut_silence(self, notes: NoteSequence) -> npt.NDArray[np.float64]: ...


@dataclass(frozen=True)
class QuantisingLoss:
    """Counts of notes; kept + merged + left_out + percussion = notes."""

    notes: int  # in the piece
    kept: int  # in the result, moved or not
    moved: int  # kept, but with another start
    resized: int  # kept, but with another length
    merged: int  # joined with another note of the same pitch
    left_out: int  # missing from the result: in another voice or track, or out of range
    percussion: int  # drum notes left out
    furthest: float  # the largest distance by which a note was moved, in `unit`
    unit: str  # "quarters" or "seconds"

    def __str__(self) -> str:
        """Such as `120 of 124 notes kept (3 moved, at most 0.042 quarters; 1 resized), 3 merged, 1 left out`."""
        changes = []
        if self.moved:
            changes.append(f"{self.moved:,} moved, at most {self.furthest:.3f} {self.unit}")
        if self.resized:
            changes.append(f"{self.resized:,} resized")
        parts = [f"{self.kept:,} of {self.notes:,} notes kept" + (f" ({'; '.join(changes)})" if changes else "")]
        for count, name in (
            (self.merged, "merged"),
            (self.left_out, "left out"),
            (self.percussion, "drum notes left out"),
        ):
            if count:
                parts.append(f"{count:,} {name}")
        return ", ".join(parts)


def quantising_loss(representation: Quantiser, notes: NoteSequence) -> QuantisingLoss:
    """Compare a piece with its quantisation, which is the result of `decode(encode(notes))`.

    A note is kept if the result has a note of its pitch that begins within half a step of it. Where several notes
    match one note of the result, the nearest is kept and the others are merged, as are notes that begin while a note
    of their pitch sounds in the result. Times are in quarters, or in seconds where the representation keeps seconds.
    Where it cuts long silences, later notes are searched at their new times, and count as moved by what was cut.
    """
    notes = representation.aligned(notes)
    result = representation.quantise(notes)
    drums_kept = bool(result.is_drum.any())
    melodic = notes if drums_kept else notes.select(~notes.is_drum)
    seconds = representation.timing == "second"
    cut = representation.cut_silence(melodic)
    before, after = _Times(melodic, seconds, cut), _Times(result, seconds)
    half = 0.5 * (result.tempo[0] / 1e6 if seconds else 1.0) / result.ticks_per_quarter + _EXACT

    nearest = after.nearest(before)  # [N] index of the note of the same pitch that begins nearest; -1 for none
    distance = np.full(len(melodic), np.inf)
    found = nearest >= 0
    distance[found] = np.abs(after.start[nearest[found]] - before.start[found])
    near = np.flatnonzero(distance <= half)
    # k notes of one pitch that begin together in the result, in different parts, match the k most similar notes
    ends_apart = np.abs(after.end[nearest[near]] - before.end[near])
    near = near[np.lexsort((ends_apart, distance[near], after.together[nearest[near]]))]
    group = after.together[nearest[near]]
    taken = _rank(group) < after.count[group]
    claimed = near[taken]
    # paired in the order of their ends
    claimed = claimed[np.lexsort((before.end[claimed], after.together[nearest[claimed]]))]
    group = after.together[nearest[claimed]]
    twin = after.member(group, _rank(group))
    kept = np.zeros(len(melodic), dtype=np.bool_)
    kept[claimed] = True

    moved_by = np.abs(after.start[twin] - before.start[claimed] - cut[claimed])
    length, new_length = (before.end - before.start)[claimed], (after.end - after.start)[twin]
    ends_moved = np.abs(after.end[twin] - before.end[claimed]) > half
    merged = ~kept & after.sounds(before, half)
    return QuantisingLoss(
        notes=len(notes),
        kept=int(kept.sum()),
        moved=int((moved_by > _EXACT).sum()),
        resized=int((ends_moved & (np.abs(new_length - length) > _EXACT)).sum()),
        merged=int(merged.sum()),
        left_out=int((~kept & ~merged).sum()),
        percussion=len(notes) - len(melodic),
        furthest=float(moved_by.max(initial=0.0)),
        unit="seconds" if seconds else "quarters",
    )


def _rank(group: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """[N] the rank of each element within its group, from 0. `group` [N] must be sorted."""
    return np.arange(len(group)) - np.searchsorted(group, group)


class _Times:
    """Starts and ends of notes, in quarters or seconds, with a search by pitch.

    `cut`: [N] silence that is removed before each note.
    """

    def __init__(self, notes: NoteSequence, seconds: bool, cut: npt.NDArray[np.float64] | float = 0.0) -> None:
        start, end = (
            (notes.start, notes.end)
            if seconds
            else (notes.start_tick / notes.ticks_per_quarter, notes.end_tick / notes.ticks_per_quarter)
        )
        self.start: npt.NDArray[np.float64] = start - cut
        self.end: npt.NDArray[np.float64] = end - cut
        # drums get pitches of their own, so that they never match melodic notes
        self.pitch = notes.pitch.astype(np.int64) + 128 * notes.is_drum
        self._order = np.lexsort((self.end, self.start, self.pitch))
        changes = np.ones(len(self._order), dtype=np.bool_)
        pitch, start = self.pitch[self._order], self.start[self._order]
        changes[1:] = (pitch[1:] != pitch[:-1]) | (start[1:] != start[:-1])
        self._firsts = np.flatnonzero(changes)
        self.together = np.empty(len(self._order), dtype=np.int64)  # [N] group number: same pitch and same start
        self.together[self._order] = np.cumsum(changes) - 1
        self.count = np.diff(np.append(self._firsts, len(self._order)))  # notes in each group
        self._width = 1.0 + max(self.start.max(initial=0.0), self.end.max(initial=0.0))

    def member(self, group: npt.NDArray[np.int64], rank: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Index of the note of a group of `together` that is the `rank`-th, from 0, to end."""
        found: npt.NDArray[np.int64] = self._order[self._firsts[group] + rank]
        return found

    def nearest(self, others: _Times) -> npt.NDArray[np.int64]:
        """[N] for each of the others the index of the note of its pitch that begins nearest; -1 for none."""
        if not len(self.start):
            return np.full(len(others.start), -1, dtype=np.int64)
        after = self._search(others)
        best = np.full(len(others.start), -1, dtype=np.int64)
        distance = np.full(len(others.start), np.inf)
        for index in (after - 1, after):
            inside = (index >= 0) & (index < len(self._order))
            note = self._order[np.clip(index, 0, len(self._order) - 1)]
            away = np.where(
                inside & (self.pitch[note] == others.pitch), np.abs(self.start[note] - others.start), np.inf
            )
            # of two equally near notes the later one: halves round up
            nearer = np.isfinite(away) & (away <= distance + _EXACT)
            best[nearer], distance[nearer] = note[nearer], away[nearer]
        return best

    def sounds(self, others: _Times, half: float) -> npt.NDArray[np.bool_]:
        """[N] for each of the others whether a note of its pitch sounds at its start, or within half a step of it."""
        if not len(self.start):
            return np.zeros(len(others.start), dtype=np.bool_)
        index = self._search(others, half) - 1
        note = self._order[np.clip(index, 0, None)]
        same: npt.NDArray[np.bool_] = (index >= 0) & (self.pitch[note] == others.pitch)
        return same & np.greater(self.end[note] + half, others.start)

    def _search(self, others: _Times, later: float = 0.0) -> npt.NDArray[np.int64]:
        """[N] for each of the others the number of notes before it, by pitch, then start; `later` is added to it."""
        width = max(self._width, others._width) + 1.0
        keys = (self.pitch * width + self.start)[self._order]
        found: npt.NDArray[np.int64] = np.searchsorted(keys, others.pitch * width + others.start + later, side="right")
        return found
