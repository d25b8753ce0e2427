"""Count what a representation leaves out of a piece, moves and rewrites, fast, and describe it in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from seqaudio.notes.bars import COMMON_TIME
from seqaudio.notes.sequence import NoteSequence, TimeSignature

FINEST_GRID = 48  # most steps per quarter that a remark proposes; not every representation takes more
DRUMS = "miditok:MMM"  # a representation that writes drums
_EXACT = 1e-9  # seconds or quarters: times closer than that are equal
_SMALLEST = 0.001  # seconds or quarters: smaller distances are not told as numbers
_SHOWN = 3  # time signatures of a piece that are listed

Ints = npt.NDArray[np.int64]


class Onsets(NamedTuple):
    """The M notes that an encoding begins, and the time signatures that it writes."""

    step: Ints  # [M] from the beginning
    pitch: Ints  # [M]
    steps_per_unit: float  # in a quarter, or in a second
    time_signatures: tuple[TimeSignature, ...] = ()  # in steps; none where the representation writes none

    @classmethod
    def of(cls, quantised: NoteSequence, seconds: bool) -> Onsets:
        """The onsets in a result of `quantise`; drums have pitches from 128 on."""
        pitch = quantised.pitch.astype(np.int64) + 128 * quantised.is_drum
        quarter = int(quantised.tempo[0]) / 1e6 if seconds else 1.0
        steps = quantised.ticks_per_quarter / quarter
        return cls(quantised.start_tick, pitch, steps, quantised.time_signatures)


@dataclass(frozen=True)
class Loss:
    """Counts of notes, of one piece or of several; percussion counts among the notes."""

    notes: int = 0  # in the piece
    kept: int = 0  # in the encoding, moved or not
    percussion: int = 0  # drum notes left out
    moved: int = 0  # kept, but with another start
    furthest: float = 0.0  # the largest distance by which a note was moved, in `unit`
    unit: str = "quarters"  # or "seconds"
    grid: int = 0  # steps per quarter with which none of them would be moved; 0 where there is no such grid
    metre: str = ""  # time signatures that are written as others, such as `6/8 is written as 3/4`

    @classmethod
    def of(cls, notes: NoteSequence, onsets: Onsets, seconds: bool = False, adjustable: bool = False) -> Loss:
        """Compare a piece with the onsets of its encoding.

        An onset is moved if no note of its pitch begins exactly there. Of several notes of a pitch at one step, in
        whatever parts, the nearest counts as the one that was kept.

        Args:
            seconds: the encoding keeps seconds, otherwise quarters.
            adjustable: the steps per quarter are an option.
        """
        drums = int(np.count_nonzero(notes.is_drum)) if notes.is_drum.any() else 0
        lost = 0 if drums and (onsets.pitch >= 128).any() else drums
        steps = onsets.steps_per_unit
        if seconds:
            exact = notes.start * steps
            nearest = np.floor(exact + 0.5).astype(np.int64)
            away = np.abs(exact - nearest) / steps
        else:
            scaled = notes.start_tick * int(steps)
            nearest = (2 * scaled + notes.ticks_per_quarter) // (2 * notes.ticks_per_quarter)
            away = np.abs(scaled - nearest * notes.ticks_per_quarter) / (steps * notes.ticks_per_quarter)
        moved, furthest, grid = 0, 0.0, 0
        if (away > _EXACT).any():
            pitch = notes.pitch + 128 * notes.is_drum if drums else notes.pitch
            key, written = (nearest << 8) + pitch, np.sort((onsets.step << 8) + onsets.pitch)
            place = np.minimum(np.searchsorted(written, key), max(0, len(written) - 1))
            source = np.flatnonzero(written[place] == key) if len(written) else np.zeros(0, dtype=np.int64)
            closest = np.full(len(written), np.inf)  # of the notes that each onset can be
            np.minimum.at(closest, place[source], away[source])
            by = closest[np.isfinite(closest) & (closest > _EXACT)]
            moved, furthest = len(by), float(by.max(initial=0.0))
            if adjustable and not seconds:
                off = source[closest[place[source]] > _EXACT]
                grid = _finer_grid(int(steps), notes.start_tick[off], notes.ticks_per_quarter)
        return cls(
            len(notes),
            len(onsets.step),
            lost,
            moved,
            furthest,
            "seconds" if seconds else "quarters",
            grid,
            _changed_metre(notes, onsets) if onsets.time_signatures else "",
        )

    def __bool__(self) -> bool:
        """Whether anything is lost."""
        return self.kept != self.notes or bool(self.moved) or bool(self.metre)

    def remarks(self, name: str, keeps: str, instead: str = "") -> list[str]:
        """Lines for a user: what was left out, moved and rewritten, and what to give instead.

        `name`, `keeps` and `instead` are those of the representation.
        """
        lines = []
        left_out = self.notes - self.kept - self.percussion
        if self.kept < self.notes:
            why = [keeps] if left_out else []
            why += [f"{self.percussion:,} of drums left out"] if self.percussion else []
            line = f"{name} kept {self.kept:,} of {self.notes:,} notes: {', '.join(why)}"
            if left_out and instead:
                line += f"; --representation {instead} keeps all" + " but drums" * bool(self.percussion)
            elif self.percussion:
                line += f"; --representation {DRUMS} keeps drums"
            lines.append(line)
        if self.moved:
            of = f"{self.notes:,} notes" if self.kept == self.notes else f"the {self.kept:,} kept notes"
            line = f"{self.moved:,} of {of} were moved by {self._distance()} at most"
            lines.append(line + (f"; --steps-per-quarter {self.grid} holds them" if self.grid else ""))
        return [*lines, self.metre] if self.metre else lines

    def _distance(self) -> str:
        fraction = Fraction(self.furthest).limit_denominator(2 * FINEST_GRID)
        if self.unit == "quarters" and fraction and abs(fraction - Fraction(self.furthest)) < _EXACT:
            return f"{fraction} quarter"
        return (
            f"{self.furthest:.3f} {self.unit}" if self.furthest >= _SMALLEST else f"less than {_SMALLEST} {self.unit}"
        )


def total_loss(losses: Sequence[Loss]) -> Loss:
    """The sum over pieces, of which there is at least one; `metre` counts the pieces whose time signature changed."""
    changed = Counter(loss.metre for loss in losses if loss.metre)
    grids = [loss.grid for loss in losses if loss.moved]
    grid = lcm(*grids) if grids and all(grids) else 0
    many = changed.total()
    metre = f"{many:,} piece{'s have' if many > 1 else ' has'} another time signature than its file: " if many else ""
    return Loss(
        notes=sum(loss.notes for loss in losses),
        kept=sum(loss.kept for loss in losses),
        percussion=sum(loss.percussion for loss in losses),
        moved=sum(loss.moved for loss in losses),
        furthest=max(loss.furthest for loss in losses),
        unit=next((loss.unit for loss in losses if loss.moved), losses[0].unit),
        grid=grid if grid <= FINEST_GRID else 0,
        metre=metre + ", ".join(f"{name} ({count:,})" for name, count in changed.most_common(_SHOWN)),
    )


def _finer_grid(steps: int, ticks: Ints, ticks_per_quarter: int) -> int:
    """The fewest steps per quarter, a multiple of `steps`, on which all ticks lie; 0 beyond FINEST_GRID."""
    common = int(np.gcd.reduce(ticks, initial=ticks_per_quarter))
    grid = lcm(steps, ticks_per_quarter // common)
    return grid if steps < grid <= FINEST_GRID else 0


def _changed_metre(notes: NoteSequence, onsets: Onsets) -> str:
    """Remark on time signatures that are written as others; empty where they stay."""
    last = notes.start_tick.max(initial=0) / notes.ticks_per_quarter
    before = _in_force(notes.time_signatures, notes.ticks_per_quarter, last)
    after = _in_force(onsets.time_signatures, onsets.steps_per_unit, last)
    if [name for _, name in before] == [name for _, name in after] and all(
        abs(one - other) <= 0.5 / onsets.steps_per_unit + _EXACT
        for (one, _), (other, _) in zip(before, after, strict=True)
    ):
        return ""
    return f"{_listed(before)} {'is' if len(before) == 1 else 'are'} written as {_listed(after)}"


def _in_force(signatures: Sequence[TimeSignature], per_quarter: float, last: float) -> list[tuple[float, str]]:
    """Time signatures up to the quarter `last`, as (quarter, name); repetitions are left out."""
    latest = {0.0: COMMON_TIME.name}
    latest.update((signature.tick / per_quarter, signature.name) for signature in signatures)
    found: list[tuple[float, str]] = []
    for quarter in sorted(latest):
        if quarter <= last and (not found or latest[quarter] != found[-1][1]):
            found.append((quarter, latest[quarter]))
    return found


def _listed(signatures: list[tuple[float, str]]) -> str:
    """Words such as `4/4, 3/4 from quarter 6`."""
    named = [name if not quarter else f"{name} from quarter {quarter:g}" for quarter, name in signatures[:_SHOWN]]
    more = len(signatures) - _SHOWN
    return ", ".join(named) + (f" and {more:,} more" if more > 0 else "")
