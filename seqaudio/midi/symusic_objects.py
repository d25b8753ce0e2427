"""Convert NoteSequences to symusic scores and back, for symusic's tools and libraries that use its scores.

For files use `read_midi` and `write_midi`: symusic crashes the process on some damaged files.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from seqaudio.midi.events import PEDAL
from seqaudio.midi.writing import parts_of
from seqaudio.notes.sequence import KeySignature, NoteSequence, TimeSignature

_MAX_TICK = 2**31 - 1  # inclusive; symusic's ticks are int32


def to_symusic(notes: NoteSequence) -> Any:
    """A `symusic.Score` in ticks with one track for each (track, program, drum), in that order, tempos and signatures.

    Pedals are stored twice, as symusic does for files: as pedals, and as the controllers that it writes to a file.

    Raises:
        ValueError: a tick beyond 2^31 - 1.
    """
    import symusic

    last = max(notes.last_tick, int(notes.tempo_tick[-1]), int(notes.pedals.max(initial=0)))
    if last > _MAX_TICK:
        raise ValueError(f"tick {last}, but symusic holds at most {_MAX_TICK}; quantise first")
    score: Any = symusic.Score(notes.ticks_per_quarter)
    for part in parts_of(notes):
        here = notes.select(part.of(notes))
        track: Any = symusic.Track(notes.track_names[part.track], part.program, part.is_drum)
        length = here.end_tick - here.start_tick
        times = (here.start_tick.astype(np.int32), length.astype(np.int32))
        track.notes = track.notes.from_numpy(*times, here.pitch.astype(np.int8), here.velocity.astype(np.int8))
        pedals = notes.pedals[notes.pedals[:, 0] == part.track]
        down, up = pedals[:, 1], pedals[:, 2]
        track.pedals = track.pedals.from_numpy(down.astype(np.int32), (up - down).astype(np.int32))
        values = np.tile(np.array([127, 0], dtype=np.uint8), len(pedals))
        number = np.full(len(values), PEDAL, dtype=np.uint8)
        track.controls = track.controls.from_numpy(pedals[:, 1:].ravel().astype(np.int32), number, values)
        score.tracks.append(track)
    score.tempos = score.tempos.from_numpy(notes.tempo_tick.astype(np.int32), notes.tempo.astype(np.int32))
    for signature in notes.time_signatures:
        score.time_signatures.append(symusic.TimeSignature(signature.tick, signature.numerator, signature.denominator))
    for key in notes.key_signatures:
        score.key_signatures.append(symusic.KeySignature(key.tick, key.sharps, int(key.minor)))
    return score


def from_symusic(score: Any) -> NoteSequence:
    """The notes of a `symusic.Score` in ticks, quarters or seconds: each track with notes becomes a track.

    Controllers, bends and lyrics are left out.

    Raises:
        ValueError: values that a NoteSequence cannot have, such as an invalid time signature.
    """
    ticks: Any = score.to("tick")
    tracks = [track for track in ticks.tracks if len(track.notes)]
    found = [track.notes.numpy() for track in tracks]
    counts = [len(track.notes) for track in tracks]

    def column(name: str) -> np.ndarray[Any, np.dtype[np.int64]]:
        return np.concatenate([np.zeros(0, np.int64), *(columns[name].astype(np.int64) for columns in found)])

    pedals = []
    for number, track in enumerate(tracks):
        spans = track.pedals.numpy()
        down = spans["time"].astype(np.int64)
        pedals.append(np.stack([np.full(len(down), number), down, down + spans["duration"]], axis=1))
    start = column("time")
    tempos = ticks.tempos.numpy()
    return NoteSequence.from_columns(
        start,
        start + column("duration"),
        column("pitch"),
        column("velocity"),
        np.repeat(np.array([track.program for track in tracks], dtype=np.int64), counts),
        np.repeat(np.arange(len(tracks)), counts),
        np.repeat(np.array([track.is_drum for track in tracks], dtype=np.bool_), counts),
        ticks_per_quarter=ticks.ticks_per_quarter,
        tempos=zip(tempos["time"].tolist(), tempos["mspq"].tolist(), strict=True),
        time_signatures=[TimeSignature(s.time, s.numerator, s.denominator) for s in ticks.time_signatures],
        key_signatures=[KeySignature(s.time, s.key, bool(s.tonality)) for s in ticks.key_signatures],
        track_names=[track.name for track in tracks] or None,
        pedals=np.concatenate([np.zeros((0, 3), np.int64), *pedals]),
    )
