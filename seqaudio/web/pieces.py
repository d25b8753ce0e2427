"""Pieces of music for the page: as numbers for a piano roll, as files, as sound."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from fractions import Fraction
from math import floor
from typing import Annotated, Any

import numpy as np

from seqaudio.api.asked import ROLLS
from seqaudio.api.music import Music, Piece
from seqaudio.decoding.filling import require_marks
from seqaudio.decoding.trained_music import representation_of
from seqaudio.errors import OptionError, RunError
from seqaudio.json_files import Range
from seqaudio.midi import read_midi
from seqaudio.midi.writing import instrument_name, parts_of
from seqaudio.notes import NoteSequence
from seqaudio.notes.bars import bars
from seqaudio.notes.keys import key_name
from seqaudio.rendering.piece_files import piece_bytes
from seqaudio.run_folder import RunFolder
from seqaudio.units import Seconds

MOST_SECONDS: Seconds = 300.0  # of a piece that is heard or continued
MOST_NOTES = 5_000
WISHES = ("bars", "key", "tempo", "form")  # of a new piece, as `seqaudio generate` has them
MIDI_MEGABYTES = 1.0  # of a file that is given

Bar = Annotated[int, Range(1, 10_000)]


@dataclass(frozen=True)
class Asked:
    """What a client asks for: a new piece, one that goes on from `primer`, or `piece` with new bars."""

    model: str
    seed: Annotated[int, Range(0, 2**53)] = 1
    temperature: Annotated[float, Range(0.05, 5)] = 1.0
    bars: Annotated[int, Range(1, 64)] | None = None
    key: str | None = None
    tempo: Annotated[float, Range(20, 400)] | None = None
    form: str | None = None
    primer: str | None = None  # a MIDI file as base64
    piece: str | None = None  # likewise, whose bars are written anew
    first: Bar | None = None
    last: Bar | None = None


class Musician:
    """A model of music."""

    def __init__(self, music: Music) -> None:
        self.music = music
        self.run = music.run
        self.fills = can_fill(music.run)

    def about(self) -> dict[str, Any]:
        """What the page says of it."""
        return {"task": "music", "fills": self.fills, "forms": can_keep_form(self.run)}

    def piece(self, asked: Asked) -> Piece:
        """What is asked for. Raises OptionError for wishes that do not fit, MidiError for a file that is not read."""
        if asked.piece is not None:
            if not self.fills:
                raise OptionError(f"{asked.model} was not trained to fill in bars; choose another model")
            first = asked.first or 1
            given = notes_of(_decoded(asked.piece))
            return self.music.fill(given, first, asked.last, asked.seed, temperature=asked.temperature)
        wishes = {name: getattr(asked, name) for name in WISHES}
        primer = None if asked.primer is None else notes_of(_decoded(asked.primer))
        return self.music.generate(asked.seed, primer=primer, temperature=asked.temperature, **wishes)


def piece_of(musician: Musician, asked: Asked) -> dict[str, Any]:
    """What is asked for: the roll, the files as base64, how far the wishes are kept. Raises as `Musician.piece`."""
    piece = musician.piece(asked)
    if not len(piece.notes):
        raise OptionError("the piece has no notes; try another seed, or a higher temperature")
    files = {"midi": piece.bytes(".mid"), "musicxml": piece.bytes(".musicxml", f"{asked.model}, seed {asked.seed}")}
    told = {"seed": asked.seed, "remarks": list(piece.remarks)}
    return told | roll(piece.notes) | {name: base64.b64encode(content).decode() for name, content in files.items()}


def can_fill(run: RunFolder) -> bool:
    """Whether a run was trained to fill in bars."""
    try:
        require_marks(run)
    except RunError:
        return False
    return True


def can_keep_form(run: RunFolder) -> bool:
    """Whether bars of its pieces may return as a form asks."""
    return run.recipe != ROLLS and representation_of(run).keeps_form


def roll(notes: NoteSequence) -> dict[str, Any]:
    """A piece as numbers: times in seconds, bar lines, parts; for a piano roll."""
    parts = parts_of(notes)
    part = np.zeros(len(notes), dtype=np.int64)
    for number, one in enumerate(parts):
        part[one.of(notes)] = number
    lines = [bar.start for bar in bars(notes)]
    ends = [bar.end for bar in bars(notes)][-1:]
    columns = (np.round(notes.start, 4), np.round(notes.end, 4), notes.pitch, notes.velocity, part)
    return {
        "notes": list(zip(*(column.tolist() for column in columns), strict=True)),
        "parts": [notes.track_names[one.track] or instrument_name(one.program, one.is_drum) for one in parts],
        "bars": [round(_seconds(notes, tick), 4) for tick in lines + ends],
        "seconds": round(notes.duration, 4),
        "tempo": round(60e6 / int(notes.tempo[0]), 2),
        "metre": notes.time_signatures[0].name if notes.time_signatures else "4/4",
        "key": key_name(notes.key_signatures[0]) if notes.key_signatures else None,
    }


def sound_of(content: bytes) -> bytes:
    """A MIDI file as the bytes of a WAV, as `seqaudio render` plays it. Raises MidiError, OptionError."""
    return piece_bytes(notes_of(content, controls=True), ".wav")


def notes_of(content: bytes, controls: bool = False) -> NoteSequence:
    """The notes of a MIDI file that a client gave. Raises MidiError, and OptionError for a long one."""
    notes = read_midi(content, controls=controls)
    if notes.duration > MOST_SECONDS or len(notes) > MOST_NOTES:
        raise OptionError(
            f"a piece of {notes.duration:,.0f} s with {len(notes):,} notes, expected at most {MOST_SECONDS:g} s and "
            f"{MOST_NOTES:,} notes; cut it first"
        )
    return notes


def _decoded(text: str) -> bytes:
    """The bytes of base64. Raises OptionError for any other text."""
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise OptionError("a MIDI file that is not base64") from None
    if not 0 < len(content) <= MIDI_MEGABYTES * 1e6:
        raise OptionError(f"a MIDI file of {len(content):,} bytes, expected 1 to {MIDI_MEGABYTES * 1e6:,.0f}")
    return content


def _seconds(notes: NoteSequence, tick: Fraction) -> Seconds:
    """The time of a bar line, which may lie between two ticks."""
    whole = floor(tick)
    before, behind = notes.seconds([whole, whole + 1]).tolist()
    return float(before + float(tick - whole) * (behind - before))
