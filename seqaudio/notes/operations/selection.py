"""Select notes: the tracks of a piece, or its highest notes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from seqaudio.notes.columns import sorted_by
from seqaudio.notes.sequence import NoteSequence
from seqaudio.registry import did_you_mean


def select_tracks(notes: NoteSequence, tracks: Sequence[int | str]) -> NoteSequence:
    """The notes and pedals of these tracks, renumbered in the order given; tempos and signatures stay.

    Args:
        tracks: numbers from 0, or names; upper and lower case and surrounding spaces do not matter.

    Raises:
        ValueError: an unknown track, a name that several tracks have, a track given twice, or none at all.
    """
    chosen = [_number(notes, track) for track in tracks]
    if len(set(chosen)) != len(chosen):
        raise ValueError(f"tracks {list(tracks)} name one track twice, expected each once")
    if not chosen:
        raise ValueError("got no track, expected at least one")
    new_number = np.full(len(notes.track_names), -1, dtype=np.int16)
    new_number[chosen] = np.arange(len(chosen))
    track = new_number[notes.track]
    part = notes.select(track >= 0)
    return NoteSequence.from_columns(
        part.start_tick, part.end_tick, part.pitch, part.velocity, part.program, track[track >= 0], part.is_drum,
        ticks_per_quarter=notes.ticks_per_quarter,
        tempos=zip(notes.tempo_tick.tolist(), notes.tempo.tolist(), strict=True),
        time_signatures=notes.time_signatures,
        key_signatures=notes.key_signatures,
        track_names=[notes.track_names[number] for number in chosen],
        remarks=notes.remarks,
        pedals=_renumbered(notes.pedals, new_number),
    )  # fmt: skip


def _renumbered(pedals: npt.NDArray[np.int64], new_number: npt.NDArray[np.int16]) -> npt.NDArray[np.int64]:
    """The pedals of the chosen tracks. `new_number` [tracks]: -1 for a track that is not chosen."""
    chosen = pedals[new_number[pedals[:, 0]] >= 0].copy()
    chosen[:, 0] = new_number[chosen[:, 0]]
    return chosen


def _number(notes: NoteSequence, track: int | str) -> int:
    names = notes.track_names
    if isinstance(track, int):
        if not 0 <= track < len(names):
            raise ValueError(f"no track {track}, expected 0..{len(names) - 1}")
        return track
    plain = [name.strip().lower() for name in names]
    found = [number for number, name in enumerate(plain) if name == track.strip().lower()]
    if len(found) > 1:
        raise ValueError(f"tracks {', '.join(map(str, found))} are all called {track!r}; choose by number")
    if not found:
        raise ValueError(f"no track is called {track!r}; {did_you_mean(track, [name for name in plain if name])}")
    return found[0]


Column = npt.NDArray[np.int64]


def skyline(notes: NoteSequence) -> NoteSequence:
    """The highest sounding note at each time, over all tracks, drums left out.

    A note is cut where a higher one, or the same pitch again, begins; a lower one that begins while it sounds is left
    out altogether. Tracks, velocities, tempos and signatures stay. Notes without length are left out.

    Source: Uitdenbogerd & Zobel (1998), "Manipulation of music for melody matching", the algorithm all-mono.
    """
    notes = notes.select(~notes.is_drum & (notes.end_tick > notes.start_tick))
    kept, end = highest(notes.start_tick, notes.end_tick, notes.pitch.astype(np.int64))
    which = np.zeros(len(notes), dtype=np.bool_)
    which[kept] = True
    # the kept notes rise in their starts, as all notes do
    melody = notes.select(which)
    return melody.at_ticks(melody.start_tick, end, notes.pedals)


def highest(start: Column, end: Column, pitch: Column) -> tuple[Column, Column]:
    """Indices [M] of the notes in the skyline, by rising start, and their ends [M]; all N notes must have a length."""
    order = sorted_by(start * 128 + (127 - pitch), -end)
    first = np.ones(len(order), dtype=np.bool_)
    starts = start[order]
    first[1:] = starts[1:] != starts[:-1]
    order = order[first]  # of notes that begin together the highest, of equal pitches the longest
    starts, ends = starts[first], end[order]
    if (starts[1:] >= ends[:-1]).all():
        return order, ends
    kept: list[int] = []
    ended, sounding = -1, -1
    columns = zip(starts.tolist(), ends.tolist(), pitch[order].tolist(), strict=True)
    for place, (begin, until, height) in enumerate(columns):
        if height >= sounding or begin >= ended:
            kept.append(place)
            ended, sounding = until, height
    starts, ends = starts[kept], ends[kept]
    ends[:-1] = np.minimum(ends[:-1], starts[1:])
    return order[kept], ends
