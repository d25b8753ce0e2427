"""Cut a span of ticks out of a piece, as a piece of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from seqaudio.notes.sequence import KeySignature, NoteSequence, TimeSignature, tempo_map

Signature = TypeVar("Signature", TimeSignature, KeySignature)


def excerpt(notes: NoteSequence, start: int, end: int) -> NoteSequence:
    """The notes that begin in [start, end) ticks, moved so that `start` becomes tick 0, and cut at `end`.

    Notes that began before `start` are left out, even if they still sound. Tempo, time signature, key and pedal that
    are in force at `start` are so from tick 0 on. Where `start` is not the beginning of a bar, bar lines shift.

    Raises ValueError unless 0 <= start < end.
    """
    if not 0 <= start < end:
        raise ValueError(f"an excerpt from tick {start} to {end}, expected 0 <= start < end")
    inside = notes.select((notes.start_tick >= start) & (notes.start_tick < end))
    current = int(np.searchsorted(notes.tempo_tick, start, side="right")) - 1  # the tempo in force at `start`
    tempos = zip(notes.tempo_tick[current:].tolist(), notes.tempo[current:].tolist(), strict=True)
    tempo_tick, tempo = tempo_map((max(0, tick - start), value) for tick, value in tempos if tick < end)
    moved = inside.with_columns(start_tick=inside.start_tick - start, end_tick=np.minimum(inside.end_tick, end) - start)
    return replace(
        moved,
        tempo_tick=tempo_tick,
        tempo=tempo,
        time_signatures=_within(notes.time_signatures, start, end),
        key_signatures=_within(notes.key_signatures, start, end),
        pedals=_pedals_within(notes.pedals, start, end),
    )


def _within(signatures: tuple[Signature, ...], start: int, end: int) -> tuple[Signature, ...]:
    """Those in force in [start, end), their ticks counted from `start`."""
    current = sum(signature.tick <= start for signature in signatures[1:])  # index of the one in force at `start`
    return tuple(
        replace(signature, tick=max(0, signature.tick - start))
        for signature in signatures[current:]
        if signature.tick < end
    )


def _pedals_within(pedals: npt.NDArray[np.int64], start: int, end: int) -> npt.NDArray[np.int64]:
    """Those that are down in [start, end), cut at both ends, their ticks counted from `start`."""
    _, down, up = pedals.T
    inside = pedals[(down < end) & (up > start)].copy()
    inside[:, 1:] = np.clip(inside[:, 1:], start, end) - start
    ordered: npt.NDArray[np.int64] = inside[np.lexsort((inside[:, 0], inside[:, 1]))]
    return ordered
