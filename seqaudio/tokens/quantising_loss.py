"""What a representation could not say of a piece, counted note by note."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seqaudio.notes.sequence import NoteSequence
from seqaudio.tokens.representation import Representation

_EXACT = 1e-9  # seconds or quarters within which two places are one


@dataclass(frozen=True)
class QuantisingLoss:
    """Counts of notes; kept + merged + left_out + percussion are all notes of the piece."""

    notes: int  # of the piece
    kept: int  # that are in the result, moved or not
    moved: int  # of those kept: that begin elsewhere
    resized: int  # of those kept: that last longer or shorter, other than by moving
    merged: int  # that became one with another note of their pitch
    left_out: int  # without any trace: another voice, track or range
    percussion: int  # drum notes left out
    furthest: float  # the largest distance a note was moved, in `unit`
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


def quantising_loss(representation: Representation, notes: NoteSequence) -> QuantisingLoss:
    """Compare a piece with its quantisation, which is what `decode(encode(notes))` gives back.

    A note is kept where the result has a note of its pitch that begins within half a step of it; of several that claim
    one note the nearest is kept and the others are merged, as are those that begin where a note of their pitch sounds.
    Places are in quarters, or in seconds where the representation keeps those. Where it cuts long silences, notes
    behind them are looked for where they come then, and count as moved by what was cut.
    """
    result = representation.quantise(notes)
    drums_kept = bool(result.is_drum.any())
    melodic = notes if drums_kept else notes.select(~notes.is_drum)
    seconds = representation.timing == "second"
    earlier = representation.earlier(melodic)
    before, after = _Places(melodic, seconds, earlier), _Places(result, seconds)
    half = 0.5 * (result.tempo[0] / 1e6 if seconds else 1.0) / result.ticks_per_quarter + _EXACT

    nearest = after.nearest(before)  # [N] the note of the same pitch that begins nearest, -1 where there is none
    distance = np.full(len(melodic), np.inf)
    found = nearest >= 0
    distance[found] = np.abs(after.start[nearest[found]] - before.start[found])
    near = np.flatnonzero(distance <= half)
    # notes of the result that begin together in one pitch, in several parts, take as many, the most alike first
    ends_apart = np.abs(after.end[nearest[near]] - before.end[near])
    near = near[np.lexsort((ends_apart, distance[near], after.together[nearest[near]]))]
    group = after.together[nearest[near]]
    taken = _rank(group) < after.count[group]
    claimed = near[taken]
    # and of those the first to end is the first to end
    claimed = claimed[np.lexsort((before.end[claimed], after.together[nearest[claimed]]))]
    group = after.together[nearest[claimed]]
    twin = after.member(group, _rank(group))
    kept = np.zeros(len(melodic), dtype=np.bool_)
    kept[claimed] = True

    moved_by = np.abs(after.start[twin] - before.start[claimed] - earlier[claimed])
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
    """[N] how many of a group came before, in rising numbers of groups."""
    return np.arange(len(group)) - np.searchsorted(group, group)


class _Places:
    """Where notes begin and end, in quarters or seconds, and a search by pitch."""

    def __init__(self, notes: NoteSequence, seconds: bool, earlier: npt.NDArray[np.float64] | float = 0.0) -> None:
        start, end = (
            (notes.start, notes.end)
            if seconds
            else (notes.start_tick / notes.ticks_per_quarter, notes.end_tick / notes.ticks_per_quarter)
        )
        self.start: npt.NDArray[np.float64] = start - earlier
        self.end: npt.NDArray[np.float64] = end - earlier
        # percussion is not a pitch
        self.pitch = notes.pitch.astype(np.int64) + 128 * notes.is_drum
        self._order = np.lexsort((self.end, self.start, self.pitch))
        changes = np.ones(len(self._order), dtype=np.bool_)
        pitch, start = self.pitch[self._order], self.start[self._order]
        changes[1:] = (pitch[1:] != pitch[:-1]) | (start[1:] != start[:-1])
        self._firsts = np.flatnonzero(changes)
        self.together = np.empty(len(self._order), dtype=np.int64)  # [N] a number for each pitch and beginning
        self.together[self._order] = np.cumsum(changes) - 1
        self.count = np.diff(np.append(self._firsts, len(self._order)))  # how many share that
        self._width = 1.0 + max(self.start.max(initial=0.0), self.end.max(initial=0.0))

    def member(self, group: npt.NDArray[np.int64], rank: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The note that is `rank`-th, from 0, to end, of those of a number of `together`."""
        found: npt.NDArray[np.int64] = self._order[self._firsts[group] + rank]
        return found

    def nearest(self, others: _Places) -> npt.NDArray[np.int64]:
        """[N] for each of the others the note of its pitch that begins nearest; -1 where none has its pitch."""
        if not len(self.start):
            return np.full(len(others.start), -1, dtype=np.int64)
        after = self._search(others)
        best = np.full(len(others.start), -1, dtype=np.int64)
        distance = np.full(len(others.start), np.inf)
        for place in (after - 1, after):
            inside = (place >= 0) & (place < len(self._order))
            note = self._order[np.clip(place, 0, len(self._order) - 1)]
            away = np.where(
                inside & (self.pitch[note] == others.pitch), np.abs(self.start[note] - others.start), np.inf
            )
            # of two as near the later one: halves go up
            nearer = np.isfinite(away) & (away <= distance + _EXACT)
            best[nearer], distance[nearer] = note[nearer], away[nearer]
        return best

    def sounds(self, others: _Places, half: float) -> npt.NDArray[np.bool_]:
        """[N] whether a note of the pitch of each of the others sounds, or ends within half a step, where it begins."""
        if not len(self.start):
            return np.zeros(len(others.start), dtype=np.bool_)
        place = self._search(others, half) - 1
        note = self._order[np.clip(place, 0, None)]
        same: npt.NDArray[np.bool_] = (place >= 0) & (self.pitch[note] == others.pitch)
        return same & np.greater(self.end[note] + half, others.start)

    def _search(self, others: _Places, later: float = 0.0) -> npt.NDArray[np.int64]:
        """[N] how many notes come before each of the others, by pitch and beginning."""
        width = max(self._width, others._width) + 1.0
        keys = (self.pitch * width + self.start)[self._order]
        found: npt.NDArray[np.int64] = np.searchsorted(keys, others.pitch * width + others.start + later, side="right")
        return found
