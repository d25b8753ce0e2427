"""Find the soprano, alto, tenor and bass of a piece, and turn four voices back into notes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from seqaudio.errors import OptionError
from seqaudio.notes.sequence import MAX_TEMPO, NoteSequence, TimeSignature
from seqaudio.tokens.representation import TokenRepresentation
from seqaudio.tokens.voice import Voice, voice_of

VOICES = ("Soprano", "Alto", "Tenor", "Bass")  # in the order of the tokens of a step
ANDANTE = 750_000  # microseconds per quarter: 80 quarters a minute


def four_voices(notes: NoteSequence, steps_per_quarter: int) -> list[Voice]:
    """At most four voices on a grid, the soprano first, each the skyline of its track.

    The tracks are those named after the voices if there is one for each, otherwise the first four tracks with notes,
    by falling mean pitch; of equal means the earlier track comes first. Drums are left out.
    """
    notes = notes.select(~notes.is_drum)
    names = [name.strip().lower() for name in notes.track_names]
    wanted = [voice.lower() for voice in VOICES]
    if all(names.count(voice) == 1 for voice in wanted):
        tracks = [names.index(voice) for voice in wanted]
    else:
        first = np.unique(notes.track)[: len(VOICES)].tolist()
        tracks = sorted(first, key=lambda track: -float(notes.pitch[notes.track == track].mean()))
    return [voice_of(notes, steps_per_quarter, notes.track == track) for track in tracks]


@dataclass(frozen=True)
class FourVoiceRepresentation(TokenRepresentation):
    """Base class for four voices: the grid, and properties of decoded notes that no token holds."""

    keeps: ClassVar[str] = "the highest voice of each of four tracks"
    instead: ClassVar[str] = "performance"

    steps_per_quarter: int = 4  # 4: sixteenths
    program: int = 19  # General MIDI program, counted from 0, of all decoded voices; 19: church organ
    velocity: int = 80  # of all decoded notes, 1..127
    tempo: int = ANDANTE  # microseconds per quarter of decoded pieces

    def __post_init__(self) -> None:
        if not 1 <= self.steps_per_quarter <= 48:
            raise OptionError(f"{self.steps_per_quarter} steps per quarter, expected 1..48")
        if not 0 <= self.program <= 127 or not 1 <= self.velocity <= 127:
            raise OptionError(f"program {self.program} and velocity {self.velocity}, expected 0..127 and 1..127")
        if not 1 <= self.tempo <= MAX_TEMPO:
            raise OptionError(f"tempo {self.tempo}, expected 1..{MAX_TEMPO} microseconds per quarter")

    def notes_of_voices(self, voices: Sequence[Voice], time_signatures: Sequence[TimeSignature] = ()) -> NoteSequence:
        """At most four voices, from the soprano down, as notes, each on the track of its name; one tick is one step."""
        start, end, pitch = np.concatenate([np.zeros((3, 0), dtype=np.int64), *map(np.stack, voices)], axis=1)
        track = np.repeat(np.arange(len(voices)), [len(voice.start) for voice in voices])
        return NoteSequence.from_columns(
            start,
            end,
            pitch,
            self.velocity,
            self.program,
            track,
            ticks_per_quarter=self.steps_per_quarter,
            tempos=[(0, self.tempo)],
            time_signatures=time_signatures,
            track_names=VOICES,
        )
