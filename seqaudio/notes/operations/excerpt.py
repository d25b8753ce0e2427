"""Cut a piece into pieces of their own: a span of ticks, between silences, between time signatures."""

from __future__ import annotations

from dataclasses import replace
from math import floor
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from seqaudio.notes.bars import COMMON_TIME, bars
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
        controls=notes.controls[:0],
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


def split_at_silence(notes: NoteSequence, seconds: float = 4.0) -> list[NoteSequence]:
    """The parts of a piece between its silences of at least `seconds`, in order.

    Each part begins at the bar line before its first note, which keeps its bars aligned, or at the end of the previous
    part where that is later; the silence before that is dropped. Tempos, signatures and pedals as in `excerpt`.

    Raises ValueError unless `seconds` is above 0.
    """
    if not seconds > 0:
        raise ValueError(f"got a silence of {seconds} seconds, expected more than 0")
    if not len(notes):
        return []
    ended_by = np.maximum.accumulate(notes.end_tick)  # [N] tick at which this note and all before it have ended
    silent = notes.start[1:] - notes.seconds(ended_by[:-1]) >= seconds
    firsts = [0, *(np.flatnonzero(silent) + 1).tolist()]
    lasts = [*(first - 1 for first in firsts[1:]), len(notes) - 1]
    bar_starts = np.array([floor(bar.start) for bar in bars(notes)])
    parts = []
    ended = 0
    for first, last in zip(firsts, lasts, strict=True):
        begin = int(notes.start_tick[first])
        bar = int(bar_starts[np.searchsorted(bar_starts, begin, side="right") - 1])
        end = max(int(ended_by[last]), int(notes.start_tick[last]) + 1)
        parts.append(excerpt(notes, max(bar, ended), end))
        ended = end
    return parts


def split_at_time_signatures(notes: NoteSequence) -> list[NoteSequence]:
    """The parts of a piece between changes of its time signature, in order; parts without a note are left out.

    A time signature equal to the previous one is no change. Each part is an `excerpt`: a note that lasts beyond the
    change is cut there. Before the first signature the time is 4/4.
    """
    if not len(notes):
        return []
    current = COMMON_TIME.name
    latest = {signature.tick: signature.name for signature in notes.time_signatures}
    borders = [0]
    for tick, name in latest.items():
        if name != current and tick:
            borders.append(tick)
        current = name
    end = max(int(notes.end_tick.max()), int(notes.start_tick.max())) + 1
    ends = [*borders[1:], max(end, borders[-1] + 1)]
    parts = [excerpt(notes, first, until) for first, until in zip(borders, ends, strict=True)]
    return [part for part in parts if len(part)]
