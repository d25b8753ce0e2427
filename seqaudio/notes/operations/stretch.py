"""Slow a piece down or speed it up, through its tempos."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from seqaudio.notes.sequence import MAX_TEMPO, NoteSequence, tempo_map


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
