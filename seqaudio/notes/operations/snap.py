"""Move notes towards a grid, fully or in part."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from seqaudio.notes.quantise import nearest_step, resolve_overlaps
from seqaudio.notes.sequence import NoteSequence


def snap(notes: NoteSequence, steps_per_quarter: int | Sequence[int] = 4, strength: float = 1.0) -> NoteSequence:
    """Move the start and the end of each note towards the nearest line of a grid.

        tick' = tick + strength (line - tick), rounded; a note that would get no length keeps its own

    Resolution, tempos, signatures and pedals stay. Equal pitches that overlap afterwards are resolved by
    `resolve_overlaps`. A line between two ticks is rounded to the nearest tick.

    Args:
        steps_per_quarter: lines per quarter; several numbers superimpose their grids: (4, 3) is sixteenths and
            eighth triplets, (4, 6) sixteenths and sixteenth triplets.
        strength: 0 leaves notes where they are, 0.5 moves them halfway, 1 puts them on the grid.

    Raises:
        ValueError: a strength outside 0..1; steps that are not in 1..ticks_per_quarter.
    """
    grids = (steps_per_quarter,) if isinstance(steps_per_quarter, int) else tuple(steps_per_quarter)
    if not grids or not all(1 <= steps <= notes.ticks_per_quarter for steps in grids):
        raise ValueError(f"{steps_per_quarter} steps per quarter, expected 1..{notes.ticks_per_quarter}")
    if not 0 <= strength <= 1:
        raise ValueError(f"strength {strength}, expected 0..1")
    start = _pulled(notes.start_tick, grids, notes.ticks_per_quarter, strength)
    end = _pulled(notes.end_tick, grids, notes.ticks_per_quarter, strength)
    end = np.where(end > start, end, start + notes.end_tick - notes.start_tick)
    return resolve_overlaps(notes.at_ticks(start, end, notes.pedals))


def _pulled(
    ticks: npt.NDArray[np.int64], grids: tuple[int, ...], ticks_per_quarter: int, strength: float
) -> npt.NDArray[np.int64]:
    lines = np.stack([_nearest_line(ticks, steps, ticks_per_quarter) for steps in grids])  # [G, N]
    nearest = np.abs(lines - ticks).argmin(axis=0)
    away = lines[nearest, np.arange(len(ticks))] - ticks
    pulled: npt.NDArray[np.int64] = ticks + np.rint(strength * away).astype(np.int64)
    return pulled


def _nearest_line(ticks: npt.NDArray[np.int64], steps: int, ticks_per_quarter: int) -> npt.NDArray[np.int64]:
    return nearest_step(nearest_step(ticks, ticks_per_quarter, steps), steps, ticks_per_quarter)
