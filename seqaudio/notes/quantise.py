"""Notes on a grid, and equal pitches that do not overlap: what every token representation starts from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from seqaudio.notes.sequence import HIGHEST_RESOLUTION, KeySignature, NoteSequence, TimeSignature, tempo_map

Signature = TypeVar("Signature", TimeSignature, KeySignature)


def quantise(notes: NoteSequence, steps_per_quarter: int) -> NoteSequence:
    """Move everything to the nearest step of a grid; one tick of the result is one step.

    A note lasts at least one step. Equal pitches that overlap afterwards are resolved as `resolve_overlaps` does, so
    the result is its own quantisation. Tempos and signatures move, too; of two on one step the later stays.

    Raises:
        ValueError: steps_per_quarter outside 1..32767.
    """
    if not 1 <= steps_per_quarter <= HIGHEST_RESOLUTION:
        raise ValueError(f"{steps_per_quarter} steps per quarter, expected 1..{HIGHEST_RESOLUTION}")
    start, end = grid_steps(notes, steps_per_quarter)
    tempo_steps = nearest_step(notes.tempo_tick, notes.ticks_per_quarter, steps_per_quarter)
    tempo_tick, tempo = tempo_map(zip(tempo_steps.tolist(), notes.tempo.tolist(), strict=True))
    on_grid = replace(
        notes,
        ticks_per_quarter=steps_per_quarter,
        tempo_tick=tempo_tick,
        tempo=tempo,
        time_signatures=_moved(notes.time_signatures, notes.ticks_per_quarter, steps_per_quarter),
        key_signatures=_moved(notes.key_signatures, notes.ticks_per_quarter, steps_per_quarter),
    )
    return resolve_overlaps(on_grid.with_columns(start_tick=start, end_tick=end))


def nearest_step(ticks: npt.NDArray[np.int64], ticks_per_quarter: int, steps_per_quarter: int) -> npt.NDArray[np.int64]:
    """floor(ticks * steps / ticks_per_quarter + 1/2) in integers: halves go up."""
    return (2 * ticks * steps_per_quarter + ticks_per_quarter) // (2 * ticks_per_quarter)


def grid_steps(notes: NoteSequence, steps_per_quarter: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Start and end of each note in steps, [N] each, at least one step apart."""
    start = nearest_step(notes.start_tick, notes.ticks_per_quarter, steps_per_quarter)
    end = nearest_step(notes.end_tick, notes.ticks_per_quarter, steps_per_quarter)
    return start, np.maximum(end, start + 1)


def resolve_overlaps(notes: NoteSequence) -> NoteSequence:
    """Within a part (track, program, drum) let a note end where the next of its pitch begins.

    Of several that begin together the longest stays, of those the loudest. Repeated notes stay apart.
    """
    part = (notes.track.astype(np.int64) * 128 + notes.program) * 2 + notes.is_drum
    voice = part * 128 + notes.pitch
    order = np.lexsort((notes.velocity, notes.end_tick, notes.start_tick, voice))
    voice, start = voice[order], notes.start_tick[order]
    same_voice = voice[1:] == voice[:-1]
    last = np.ones(len(order), dtype=np.bool_)
    last[:-1] = ~(same_voice & (start[1:] == start[:-1]))
    kept = order[last]
    voice, start, end = voice[last], start[last], notes.end_tick[kept]
    end[:-1] = np.where(voice[1:] == voice[:-1], np.minimum(end[:-1], start[1:]), end[:-1])
    keep = np.zeros(len(notes), dtype=np.bool_)
    keep[kept] = True
    ends = notes.end_tick.copy()
    ends[kept] = end
    if keep.all() and np.array_equal(ends, notes.end_tick):
        return notes
    return notes.select(keep).with_columns(end_tick=ends[keep])


def _moved(signatures: Iterable[Signature], ticks_per_quarter: int, steps_per_quarter: int) -> tuple[Signature, ...]:
    latest = {}
    for signature in signatures:
        ticks = np.array(signature.tick, dtype=np.int64)
        step = int(nearest_step(ticks, ticks_per_quarter, steps_per_quarter))
        latest[step] = replace(signature, tick=step)
    return tuple(latest.values())
