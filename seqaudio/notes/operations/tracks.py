"""Select tracks of a piece."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

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
