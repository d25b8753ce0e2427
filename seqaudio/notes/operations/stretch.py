"""A piece slower or faster."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from seqaudio.notes.sequence import HIGHEST_TEMPO, NoteSequence, tempo_map


def stretch(notes: NoteSequence, factor: float) -> NoteSequence:
    """The piece lasting `factor` times as long: 2 is half as fast. Ticks, bars and note values stay; tempos change.

    A tempo is a whole number of microseconds a quarter, so each second is off by at most half a microsecond for every
    quarter in it. Representations that count in quarters do not see the difference, those that count in seconds do.

    Raises ValueError where a factor is not above 0, or takes a tempo out of 1..16777215.
    """
    if not 0 < factor < float("inf"):
        raise ValueError(f"a stretch by {factor}, expected a number above 0")
    tempo = np.rint(notes.tempo * factor)
    if tempo.min() < 1 or tempo.max() > HIGHEST_TEMPO:
        raise ValueError(
            f"a stretch by {factor:g} gives {tempo.max():.0f} microseconds per quarter, expected 1..{HIGHEST_TEMPO}"
            if tempo.max() > HIGHEST_TEMPO
            else f"a stretch by {factor:g} leaves less than one microsecond per quarter; take a larger factor"
        )
    ticks, tempos = tempo_map(zip(notes.tempo_tick.tolist(), tempo.astype(np.int64).tolist(), strict=True))
    return replace(notes, tempo_tick=ticks, tempo=tempos)
