"""What a preparation does with one MIDI file: read, translate into tokens, choose the split by content."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from seqaudio.errors import MidiError, OptionError
from seqaudio.ledger import Reason
from seqaudio.notes.quantise import grid_steps
from seqaudio.notes.reading import read_songs
from seqaudio.notes.representation import Representation
from seqaudio.notes.sequence import NoteSequence
from seqaudio.prepare import Item, Row
from seqaudio.prepare.splits import check_percentages, hash_split

_CONTENT_STEPS = 12  # steps per quarter at which two pieces count as the same


@dataclass(frozen=True)
class MidiPreparation:
    """A `Process` of `build_store`: token rows of a MIDI file, one a song.

    Raises:
        OptionError: percentages that `hash_split` refuses; a longest piece of no length.
        MidiError: when called, what `read_songs` raises; PERCUSSION_ONLY and TOO_LONG.
    """

    representation: Representation
    valid_percent: float = 10.0
    test_percent: float = 10.0
    longest_minutes: float = 240.0  # longer pieces are refused: often a damaged file with a huge pause

    def __post_init__(self) -> None:
        check_percentages(self.valid_percent, self.test_percent)
        if self.longest_minutes <= 0:
            raise OptionError(f"--longest-minutes {self.longest_minutes:g}, expected more than 0")

    def __call__(self, item: Item) -> list[Row]:
        songs = read_songs(item.file)
        melodic = [song for song in songs if not song.is_drum.all()]
        if not melodic:
            raise MidiError(item.file, Reason.PERCUSSION_ONLY, "every note is percussion")
        longest = max(song.duration for song in melodic)
        if longest > self.longest_minutes * 60:
            detail = f"{longest / 60:,.0f} minutes, at most {self.longest_minutes:g} are taken"
            raise MidiError(item.file, Reason.TOO_LONG, detail)
        return [
            Row(
                id=item.id if len(melodic) == 1 else f"{item.id}#{number}",
                sequence=self.representation.encode(song),
                duration=song.duration,
                split=item.split or self.split(song),
                remark="; ".join(song.remarks),
            )
            for number, song in enumerate(melodic, start=1)
        ]

    def split(self, song: NoteSequence) -> str:
        """train, valid or test, the same for every copy and transposition of a piece."""
        return hash_split(content_hash(song), self.valid_percent, self.test_percent)


def content_hash(song: NoteSequence) -> str:
    """SHA-256 of onsets, lengths and intervals of all notes but percussion, in hexadecimal.

    The same whatever the key, the octave, the tempo, the instruments, the velocities and the silence before the
    first note; onsets and lengths count at twelve steps per quarter.
    """
    song = song.select(~song.is_drum)
    start, end = grid_steps(song, _CONTENT_STEPS)
    pitch = song.pitch.astype(np.int64)
    order = np.lexsort((end, pitch, start))
    notes = np.stack([start, end - start, pitch])[:, order]
    if len(song):
        notes -= np.array([[notes[0, 0]], [0], [notes[2, 0]]])
    return hashlib.sha256(notes.astype("<i8").tobytes()).hexdigest()
