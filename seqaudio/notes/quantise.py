"""Put notes on a grid and resolve overlaps of equal pitches, as every token representation needs them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from seqaudio.notes.columns import sorted_rows
from seqaudio.notes.sequence import MAX_RESOLUTION, KeySignature, NoteSequence, TimeSignature, tempo_map

Signature = TypeVar("Signature", TimeSignature, KeySignature)
Ticks = npt.NDArray[np.int64]


def quantise(notes: NoteSequence, steps_per_quarter: int) -> NoteSequence:
    """Move everything to the nearest step of a grid; one tick of the result is one step.

    A note lasts at least one step. Equal pitches that overlap afterwards are resolved by `resolve_overlaps`, so
    quantising the result again changes nothing. Tempos and signatures move, too; of two on one step the later stays.

    Raises:
        ValueError: steps_per_quarter outside 1..32767.
    """
    if not 1 <= steps_per_quarter <= MAX_RESOLUTION:
        raise ValueError(f"{steps_per_quarter} steps per quarter, expected 1..{MAX_RESOLUTION}")
    start, end = grid_steps(notes, steps_per_quarter)
    tempo_steps = nearest_step(notes.tempo_tick, notes.ticks_per_quarter, steps_per_quarter)
    tempo_tick, tempo = tempo_map(zip(tempo_steps.tolist(), notes.tempo.tolist(), strict=True))
    on_grid = replace(
        notes.at_ticks(start, end, notes.pedals),
        ticks_per_quarter=steps_per_quarter,
        tempo_tick=tempo_tick,
        tempo=tempo,
        time_signatures=_moved(notes.time_signatures, notes.ticks_per_quarter, steps_per_quarter),
        key_signatures=_moved(notes.key_signatures, notes.ticks_per_quarter, steps_per_quarter),
        pedals=_pedal_steps(notes, steps_per_quarter),
        controls=notes.controls[:0],
    )
    return resolve_overlaps(on_grid)


def nearest_step(ticks: npt.NDArray[np.int64], ticks_per_quarter: int, steps_per_quarter: int) -> npt.NDArray[np.int64]:
    """floor(ticks * steps_per_quarter / ticks_per_quarter + 1/2) in integers: halves round up."""
    return (2 * ticks * steps_per_quarter + ticks_per_quarter) // (2 * ticks_per_quarter)


def grid_steps(notes: NoteSequence, steps_per_quarter: int) -> tuple[Ticks, Ticks]:
    """Start and end of each note in steps, [N] each; every note lasts at least one step."""
    start = nearest_step(notes.start_tick, notes.ticks_per_quarter, steps_per_quarter)
    end = nearest_step(notes.end_tick, notes.ticks_per_quarter, steps_per_quarter)
    return start, np.maximum(end, start + 1, out=end)


def pitches_on_grid(
    notes: NoteSequence, steps_per_quarter: int, which: npt.NDArray[np.bool_] | None = None
) -> tuple[Ticks, Ticks, Ticks]:
    """Start and end in steps, and pitch, [M] int64 each, of the notes for which `which` [N] is true, or of all.

    The same as `grid_steps` after `NoteSequence.select`, but the other columns are not copied.
    """
    start, end = grid_steps(notes, steps_per_quarter)
    pitch = notes.pitch.astype(np.int64)
    if which is None or which.all():
        return start, end, pitch
    return start[which], end[which], pitch[which]


def resolve_overlaps(notes: NoteSequence) -> NoteSequence:
    """Within a part (track, program, drum), end a note where the next one of its pitch begins.

    Of several notes of a pitch that begin together the longest is kept, of equally long ones the loudest. Repeated
    notes stay separate.
    """
    kept, end = without_overlaps(voices(notes), notes.start_tick, notes.end_tick)
    if kept is None and end is notes.end_tick:
        return notes
    stayed = notes if kept is None else notes.select(kept)
    return stayed.at_ticks(stayed.start_tick, end, notes.pedals)


def without_overlaps(voice: npt.NDArray[Any], start: Ticks, end: Ticks) -> tuple[npt.NDArray[np.bool_] | None, Ticks]:
    """Which of N notes are kept, [N], or None for all; and the ends of those that are kept.

    Args:
        voice: [N] equal for notes that must not overlap.
        start, end: [N]; within a voice notes are sorted by start, end and velocity.
    """
    order = np.argsort(voice, kind="stable")
    ordered, begin, until = voice[order], start[order], end[order]
    same = ordered[1:] == ordered[:-1]
    if not (same & (until[:-1] > begin[1:])).any() and not (same & (begin[:-1] == begin[1:])).any():
        return None, end
    last = np.ones(len(order), dtype=np.bool_)
    last[:-1] = ~(same & (begin[1:] == begin[:-1]))
    ordered, begin, until = ordered[last], begin[last], until[last]
    until[:-1] = np.where(ordered[1:] == ordered[:-1], np.minimum(until[:-1], begin[1:]), until[:-1])
    ends = end.copy()
    ends[order[last]] = until
    keep = np.zeros(len(end), dtype=np.bool_)
    keep[order[last]] = True
    return keep, ends[keep]


def as_one_part(start: Ticks, end: Ticks, pitch: Ticks, *loudness: Ticks) -> list[Ticks]:
    """Resolve the overlaps of N notes as `resolve_overlaps` does, all of them taken as one part.

    Returns:
        start, end, pitch, and loudness where that was given, of the M notes that are kept, sorted by pitch and start.
    """
    rows = sorted_rows(pitch, start, end - start, *loudness)
    pitch, start = rows[:2]
    same = pitch[1:] == pitch[:-1]
    together = same & (start[1:] == start[:-1])
    if together.any():
        last = np.append(~together, True)
        rows = [column[last] for column in rows]
        pitch, start = rows[:2]
        same = pitch[1:] == pitch[:-1]
    length = rows[2]
    np.minimum(length[:-1], start[1:] - start[:-1], out=length[:-1], where=same)
    return [start, start + length, pitch, *rows[3:]]


def voices(notes: NoteSequence) -> npt.NDArray[np.int64] | npt.NDArray[np.int16]:
    """[N] for each note a number that identifies its pitch and its part (track, program, drum)."""
    if not (notes.track.any() or notes.program.any() or notes.is_drum.any()):
        return notes.pitch  # int16 sorts faster
    part = (notes.track.astype(np.int64) * 128 + notes.program) * 2 + notes.is_drum
    return part * 128 + notes.pitch


def _pedal_steps(notes: NoteSequence, steps_per_quarter: int) -> npt.NDArray[np.int64]:
    """[P, 3] the pedals in steps; those that go up at the step at which they go down are left out."""
    down, up = (nearest_step(notes.pedals[:, column], notes.ticks_per_quarter, steps_per_quarter) for column in (1, 2))
    return np.column_stack([notes.pedals[:, 0], down, up])[up > down]


def _moved(signatures: Iterable[Signature], ticks_per_quarter: int, steps_per_quarter: int) -> tuple[Signature, ...]:
    latest = {}
    for signature in signatures:
        ticks = np.array(signature.tick, dtype=np.int64)
        step = int(nearest_step(ticks, ticks_per_quarter, steps_per_quarter))
        latest[step] = replace(signature, tick=step)
    return tuple(latest.values())
