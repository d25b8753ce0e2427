"""Find the soprano, alto, tenor and bass of a piece, and turn four voices back into notes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from seqaudio.notes.sequence import NoteSequence, TimeSignature
from seqaudio.tokens.voice import Voice, voice_of

VOICES = ("Soprano", "Alto", "Tenor", "Bass")  # in the order of the tokens of a step
ANDANTE = 750_000  # microseconds per quarter: 80 quarters a minute


def four_voices(notes: NoteSequence, steps_per_quarter: int) -> list[Voice]:
    """At most four voices on a grid, the soprano first, each the skyline of its track.

    The tracks are those named after the voices if there is one for each, otherwise the first four tracks with notes.
    Drums are left out.
    """
    notes = notes.select(~notes.is_drum)
    names = [name.strip().lower() for name in notes.track_names]
    wanted = [voice.lower() for voice in VOICES]
    if all(names.count(voice) == 1 for voice in wanted):
        tracks = [names.index(voice) for voice in wanted]
    else:
        tracks = np.unique(notes.track)[: len(VOICES)].tolist()
    return [voice_of(notes, steps_per_quarter, notes.track == track) for track in tracks]


def notes_of_voices(
    voices: Sequence[Voice],
    steps_per_quarter: int,
    *,
    program: int,
    velocity: int,
    tempo: int,
    time_signatures: Iterable[TimeSignature] = (),
) -> NoteSequence:
    """At most four voices, from the soprano down, as notes, each on the track of its name; one tick is one step."""
    start, end, pitch = np.concatenate([np.zeros((3, 0), dtype=np.int64), *map(np.stack, voices)], axis=1)
    track = np.repeat(np.arange(len(voices)), [len(voice.start) for voice in voices])
    return NoteSequence.from_columns(
        start,
        end,
        pitch,
        velocity,
        program,
        track,
        ticks_per_quarter=steps_per_quarter,
        tempos=[(0, tempo)],
        time_signatures=time_signatures,
        track_names=VOICES,
    )
