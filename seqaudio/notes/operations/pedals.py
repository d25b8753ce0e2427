"""Prolong notes by the sustain pedal."""

from __future__ import annotations

import numpy as np

from seqaudio.notes.quantise import voices
from seqaudio.notes.sequence import NoteSequence


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
