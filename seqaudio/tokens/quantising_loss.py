"""Count the notes of a piece that a representation moves, merges or leaves out, and say it in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import gcd, lcm
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from seqaudio.notes.bars import COMMON_TIME
from seqaudio.notes.sequence import NoteSequence

_EXACT = 1e-9  # seconds or quarters: times closer than that are equal
FINEST_GRID = 48  # steps per quarter that are proposed: all that every representation takes
_SHOWN = 3  # time signatures of a piece that are listed
EVERYTHING, DRUMS = "performance", "miditok:MMM"  # representations that keep all voices, and that write drums


class Quantiser(Protocol):
    """What of a Representation is needed here."""

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
    grid: int = 0  # steps per quarter with which none of the kept notes would be moved; 0 where there is no such grid
    metre: str = ""  # time signatures that are written as others, such as `6/8 is written as 3/4`

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

    @property
    def is_none(self) -> bool:
        """Whether every note and every time signature is where it was."""
        return self.kept == self.notes and not self.moved and not self.metre

    def remarks(self, name: str, keeps: str = "") -> list[str]:
        """Lines for a user: what was left out, moved and rewritten, and what to give instead.

        `name`: of the representation; `keeps`: which notes it keeps.
        """
        lines = []
        if self.kept < self.notes:
            why = [keeps] if self.left_out and keeps else [f"{self.left_out:,} left out"] if self.left_out else []
            why += [f"{self.merged:,} joined with another of their pitch"] if self.merged else []
            why += [f"{self.percussion:,} of drums left out"] if self.percussion else []
            line = f"{name} kept {self.kept:,} of {self.notes:,} notes: {', '.join(why)}"
            if self.left_out and name != EVERYTHING:
                line += f"; --representation {EVERYTHING} keeps all" + " but drums" * bool(self.percussion)
            elif self.percussion:
                line += f"; --representation {DRUMS} keeps drums"
            lines.append(line)
        if self.moved:
            of = f"{self.notes:,} notes" if self.kept == self.notes else f"the {self.kept:,} kept notes"
            line = f"{self.moved:,} of {of} were moved by {self._furthest()} at most"
            lines.append(line + (f"; --steps-per-quarter {self.grid} holds them" if self.grid else ""))
        return [*lines, self.metre] if self.metre else lines

    def _furthest(self) -> str:
        fraction = Fraction(self.furthest).limit_denominator(2 * FINEST_GRID)
        if self.unit == "quarters" and fraction and abs(fraction - Fraction(self.furthest)) < _EXACT:
            return f"{fraction} quarter{'s' if fraction > 1 else ''}"
        return f"{self.furthest:.3f} {self.unit}"


def total_loss(losses: Sequence[QuantisingLoss]) -> QuantisingLoss:
    """The sum over pieces, at least one; of time signatures the number of pieces in which they changed."""
    counts = ("notes", "kept", "moved", "resized", "merged", "left_out", "percussion")
    changed = Counter(loss.metre for loss in losses if loss.metre)
    moved = [loss.grid for loss in losses if loss.moved]
    grid = lcm(*moved) if moved and all(moved) else 0
    pieces = f"{changed.total():,} piece{'s' if changed.total() > 1 else ''}"
    return QuantisingLoss(
        **{name: sum(getattr(loss, name) for loss in losses) for name in counts},
        furthest=max(loss.furthest for loss in losses),
        unit=losses[0].unit,
        grid=grid if grid <= FINEST_GRID else 0,
        metre=f"in {pieces}: {changed.most_common(1)[0][0]}" if changed else "",
    )


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
        grid=_finer_grid(representation, result, melodic.start_tick[claimed], notes.ticks_per_quarter)
        if moved_by.max(initial=0.0) > _EXACT
        else 0,
        metre=_changed_metre(notes, result, half),
    )


def _finer_grid(representation: Any, result: NoteSequence, ticks: npt.NDArray[np.int64], ticks_per_quarter: int) -> int:
    """The steps per quarter, a multiple of those of a piece, on which ticks lie; 0 where that is not to be had."""
    steps = result.ticks_per_quarter
    if representation.timing != "beat" or getattr(representation, "steps_per_quarter", None) != steps:
        return 0
    grid = lcm(steps, ticks_per_quarter // gcd(ticks_per_quarter, *np.unique(ticks).tolist()))
    return grid if steps < grid <= FINEST_GRID else 0


def _changed_metre(notes: NoteSequence, result: NoteSequence, half: float) -> str:
    """How time signatures are written where that is not as they were; nothing where the result has none."""
    if not result.time_signatures:
        return ""
    last = notes.start_tick.max(initial=0) / notes.ticks_per_quarter
    before, after = _signatures(notes, last), _signatures(result, last)
    if [name for _, name in before] == [name for _, name in after] and all(
        abs(one - other) <= half for (one, _), (other, _) in zip(before, after, strict=True)
    ):
        return ""
    return f"{_listed(before)} {'is' if len(before) == 1 else 'are'} written as {_listed(after)}"


def _signatures(notes: NoteSequence, last: float) -> list[tuple[float, str]]:
    """Time signatures up to a quarter, as (quarter, name); those that change nothing are left out."""
    latest = {0.0: COMMON_TIME.name}
    latest.update((signature.tick / notes.ticks_per_quarter, signature.name) for signature in notes.time_signatures)
    found: list[tuple[float, str]] = []
    for quarter in sorted(latest):
        if quarter <= last and (not found or latest[quarter] != found[-1][1]):
            found.append((quarter, latest[quarter]))
    return found


def _listed(signatures: list[tuple[float, str]]) -> str:
    """Such as `4/4, 3/4 from quarter 6`."""
    named = [name if not quarter else f"{name} from quarter {quarter:g}" for quarter, name in signatures[:_SHOWN]]
    more = len(signatures) - _SHOWN
    return ", ".join(named) + (f" and {more:,} more" if more > 0 else "")


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
