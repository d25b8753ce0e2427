"""MIDI files into NoteSequences, by way of a guarded child process: no file can end or hang the program."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from seqaudio.errors import MidiError
from seqaudio.ledger import Reason
from seqaudio.notes.chunks import Song, songs_of
from seqaudio.notes.guard import ParserCrashedError, ParserTimeoutError, the_guard
from seqaudio.notes.sequence import KeySignature, NoteSequence, TimeSignature

_BYTES_PER_NOTE = 10  # start and duration int32, pitch and velocity int8


@dataclass(frozen=True)
class ReadingLimits:
    """What one untrusted file may take."""

    deadline: float = 2.0  # seconds in the parser
    memory: int = 500  # megabytes in the parser, enforced on Linux
    largest_file: int = 10  # megabytes; they take seconds to check at worst

    def __post_init__(self) -> None:
        if min(self.deadline, self.memory, self.largest_file) <= 0:
            raise ValueError(f"{self}: every limit must be above 0")


LIMITS = ReadingLimits()


def read_midi(source: Path | str | bytes, limits: ReadingLimits = LIMITS) -> NoteSequence:
    """The notes of a MIDI file.

    A note ends at the first note-off of its pitch and channel that no earlier note took; notes that are never
    released are left out. Each channel and program of a track becomes a track. A file with an SMPTE clock gets a
    quarter of one second (1.001 s at drop frame) and loses its tempos. Nonsensical signatures are left out with a
    remark.

    Args:
        source: a path, or the bytes of a file.

    Raises:
        MidiError: MISSING or UNREADABLE, EMPTY, NOT_MIDI, TRUNCATED, DAMAGED (format 2 with several songs too:
            `read_songs` reads those), NO_NOTES, TOO_LONG for a file of more bytes than the limit, PARSER_CRASHED,
            PARSER_TIMEOUT.
        SeqAudioError: the parser does not start at all.
    """
    data, name = _load(source, limits)
    songs = songs_of(data, name)
    if len(songs) > 1:
        raise MidiError(name, Reason.DAMAGED, f"{len(songs)} songs in one file of format 2; use read_songs")
    return _parse(songs[0], name, limits)


def read_songs(source: Path | str | bytes, limits: ReadingLimits = LIMITS) -> tuple[NoteSequence, ...]:
    """As `read_midi`, for files of format 2 too: one NoteSequence a song, songs without notes left out."""
    data, name = _load(source, limits)
    songs = songs_of(data, name)
    if len(songs) == 1:
        return (_parse(songs[0], name, limits),)
    sequences = []
    for song in songs:
        try:
            sequences.append(_parse(song, name, limits))
        except MidiError as error:
            if error.reason is not Reason.NO_NOTES:
                raise
    if not sequences:
        raise MidiError(name, Reason.NO_NOTES, f"no notes in any of {len(songs)} songs")
    return tuple(sequences)


def _load(source: Path | str | bytes, limits: ReadingLimits) -> tuple[bytes, Path | str]:
    most = limits.largest_file * 10**6
    if isinstance(source, bytes):
        data, name = source, "<bytes>"
    else:
        name = str(source)
        try:
            with Path(source).open("rb", buffering=0) as file:
                data = file.read(most + 1)
        except FileNotFoundError:
            raise MidiError(source, Reason.MISSING, "no such file") from None
        except OSError as error:
            raise MidiError(source, Reason.UNREADABLE, error.strerror or type(error).__name__) from None
    if len(data) > most:
        raise MidiError(name, Reason.TOO_LONG, f"more than {limits.largest_file} megabytes of MIDI")
    return data, name


def _parse(song: Song, name: Path | str, limits: ReadingLimits) -> NoteSequence:
    try:
        reply, columns = the_guard(limits.memory).parse(song.data, limits.deadline)
    except ParserCrashedError as error:
        raise MidiError(name, Reason.PARSER_CRASHED, str(error)) from None
    except ParserTimeoutError as error:
        raise MidiError(name, Reason.PARSER_TIMEOUT, str(error)) from None
    if "error" in reply:
        raise MidiError(name, Reason.DAMAGED, " ".join(reply["error"].split()))
    count = sum(notes for _, _, _, notes in reply["tracks"])
    if len(columns) != _BYTES_PER_NOTE * count:
        raise MidiError(name, Reason.PARSER_CRASHED, f"{len(columns)} bytes from the parser for {count} notes")
    if count == 0:
        raise MidiError(name, Reason.NO_NOTES, "no note that is struck and released")
    try:
        return _sequence(song, reply, columns, count)
    except ValueError as error:
        raise MidiError(name, Reason.DAMAGED, str(error)) from None


def _sequence(song: Song, reply: dict[str, Any], columns: bytes, count: int) -> NoteSequence:
    """Put a reply together. Raises ValueError for what no piece can have: a tempo of 0, ticks beyond int32."""
    start, duration = np.frombuffer(columns, "<i4", 2 * count).reshape(2, count).astype(np.int64)
    pitch, velocity = np.frombuffer(columns, np.int8, offset=8 * count).reshape(2, count).astype(np.int16)
    names, programs, drums, sizes = zip(*reply["tracks"], strict=True)
    remarks = list(song.remarks)
    return NoteSequence.from_columns(
        start,
        start + duration,
        pitch,
        velocity,
        np.repeat(np.array(programs, dtype=np.int16), sizes),
        np.repeat(np.arange(len(names), dtype=np.int16), sizes),
        np.repeat(np.array(drums, dtype=np.bool_), sizes),
        ticks_per_quarter=reply["ticks_per_quarter"],
        tempos=reply["tempos"] if song.tempo is None else [(0, song.tempo)],
        time_signatures=_signatures(TimeSignature, reply["time_signatures"], remarks),
        key_signatures=_signatures(KeySignature, reply["key_signatures"], remarks),
        track_names=names,
        remarks=remarks,
    )


def _signatures(kind: type[Any], found: Iterable[tuple[int, int, int]], remarks: list[str]) -> list[Any]:
    """Those of the signatures that make sense; of two at one tick the later."""
    latest = {}
    for tick, first, second in found:
        try:
            if kind is KeySignature and second not in (0, 1):
                raise ValueError(f"mode {second} at tick {tick}: expected 0 for major or 1 for minor")
            latest[tick] = kind(tick, first, bool(second) if kind is KeySignature else second)
        except ValueError as error:
            remarks.append(f"left out: {error}")
    return list(latest.values())
