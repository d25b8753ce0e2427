"""Some of the tracks of a piece."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from seqaudio.notes.sequence import NoteSequence
from seqaudio.registry import did_you_mean


def select_tracks(notes: NoteSequence, tracks: Sequence[int | str]) -> NoteSequence:
    """The notes of these tracks, numbered anew in the order given; tempos, metres, keys and their pedals stay.

    Args:
        tracks: by number, from 0, or by name, in which case and spaces around do not count.

    Raises:
        ValueError: no such track, a name that several tracks have, or a track given twice.
    """
    chosen = [_number(notes, track) for track in tracks]
    if len(set(chosen)) != len(chosen):
        raise ValueError(f"tracks {list(tracks)} name one track twice")
    if not chosen:
        raise ValueError("no track was chosen, expected at least one")
    places = np.full(len(notes.track_names), -1, dtype=np.int16)
    places[chosen] = np.arange(len(chosen))
    track = places[notes.track]
    part = notes.select(track >= 0)
    return NoteSequence.from_columns(
        part.start_tick, part.end_tick, part.pitch, part.velocity, part.program, track[track >= 0], part.is_drum,
        ticks_per_quarter=notes.ticks_per_quarter,
        tempos=zip(notes.tempo_tick.tolist(), notes.tempo.tolist(), strict=True),
        time_signatures=notes.time_signatures,
        key_signatures=notes.key_signatures,
        track_names=[notes.track_names[number] for number in chosen],
        remarks=notes.remarks,
        pedals=_renumbered(notes.pedals, places),
    )  # fmt: skip


def _renumbered(pedals: npt.NDArray[np.int64], places: npt.NDArray[np.int16]) -> npt.NDArray[np.int64]:
    """Pedals of the chosen tracks only, `places` being the new number of each track, -1 for the others."""
    chosen = pedals[places[pedals[:, 0]] >= 0].copy()
    chosen[:, 0] = places[chosen[:, 0]]
    return chosen


def _number(notes: NoteSequence, track: int | str) -> int:
    names = notes.track_names
    if isinstance(track, int):
        if not 0 <= track < len(names):
            raise ValueError(f"no track {track}, the piece has 0..{len(names) - 1}")
        return track
    plain = [name.strip().lower() for name in names]
    found = [number for number, name in enumerate(plain) if name == track.strip().lower()]
    if len(found) > 1:
        raise ValueError(f"tracks {', '.join(map(str, found))} are all called {track!r}; choose by number")
    if not found:
        raise ValueError(f"no track is called {track!r}; {did_you_mean(track, [name for name in plain if name])}")
    return found[0]
