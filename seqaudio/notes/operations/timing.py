"""Change the times of notes: towards a grid, slower or faster, held by the sustain pedal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from seqaudio.notes.quantise import nearest_step, resolve_overlaps, voices
from seqaudio.notes.sequence import MAX_TEMPO, NoteSequence, tempo_map


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


def stretch(notes: NoteSequence, factor: float) -> NoteSequence:
    """The piece `factor` times as long: 2 is half as fast. Ticks, bars and note values stay; tempos change.

    Tempos are rounded to whole microseconds per quarter, so times are off by at most half a microsecond for each
    quarter before them. Representations in quarters stay the same, those in seconds change.

    Raises ValueError for a factor that is not above 0, or that takes a tempo out of 1..16777215.
    """
    if not 0 < factor < float("inf"):
        raise ValueError(f"got a stretch by {factor}, expected a finite number above 0")
    tempo = np.rint(notes.tempo * factor)
    if tempo.min() < 1 or tempo.max() > MAX_TEMPO:
        raise ValueError(
            f"a stretch by {factor:g} gives {tempo.max():.0f} microseconds per quarter, expected 1..{MAX_TEMPO}"
            if tempo.max() > MAX_TEMPO
            else f"a stretch by {factor:g} leaves less than 1 microsecond per quarter; choose a larger factor"
        )
    ticks, tempos = tempo_map(zip(notes.tempo_tick.tolist(), tempo.astype(np.int64).tolist(), strict=True))
    return replace(notes, tempo_tick=ticks, tempo=tempos)


def apply_pedals(notes: NoteSequence) -> NoteSequence:
    """Notes as they sound: one that is released while the pedal of its track is down lasts until the pedal goes up.

    It ends earlier where its pitch is struck again in its part. A pedal that goes down at the tick of the release
    holds the note, one that goes up at that tick does not. The result has no pedals.
    """
    end = notes.end_tick.copy()
    by_track = np.argsort(notes.track, kind="stable")
    pedals = notes.pedals[np.argsort(notes.pedals[:, 0], kind="stable")]
    for track in np.unique(pedals[:, 0]):
        first, end_row = np.searchsorted(pedals[:, 0], [track, track + 1])
        low, high = np.searchsorted(notes.track, [track, track + 1], sorter=by_track)
        here = by_track[low:high]
        _, down, up = pedals[first:end_row].T
        up = np.maximum.accumulate(up)
        last = np.searchsorted(down, end[here], side="right") - 1  # the pedal that went down last
        end[here] = np.where(last >= 0, np.maximum(end[here], up[last]), end[here])
    voice = voices(notes)
    order = np.argsort(voice, kind="stable")  # by start within a voice
    struck_again = np.full(len(notes), np.iinfo(np.int64).max)
    struck_again[order[:-1]] = np.where(
        voice[order[1:]] == voice[order[:-1]], notes.start_tick[order[1:]], struck_again[order[:-1]]
    )
    end = np.maximum(notes.end_tick, np.minimum(end, struck_again))
    return notes.at_ticks(notes.start_tick, end, notes.pedals[:0])
