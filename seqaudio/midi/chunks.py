"""Check the chunks of a Standard MIDI File before any parser sees them, and bring the file into a standard form.

The result is songs, each the bytes of a regular file: `MThd` of six bytes, ticks per quarter, as many `MTrk` as
announced. Unusual but readable files are converted: RIFF wrappers, longer headers, chunks of other kinds, SMPTE clocks,
format 2, system exclusive messages in several packets.
Source: Standard MIDI Files 1.0, MIDI Manufacturers Association (1996).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from seqaudio.errors import MidiError
from seqaudio.ledger import Reason
from seqaudio.midi.events import check_events, without

MAX_TRACKS = 2**15 - 1  # track numbers are int16
_HEAD = struct.Struct(">4sI")  # name and length of a chunk
_HEADER = struct.Struct(">4sIHHH")  # MThd, 6, format, tracks, division
_CLIP_FILE = b"SMF2CLIP"
_END_MARKS = (b"\xff\x2f\x00", b"\xff\x2f")  # whole, and without its last byte
# frames a second in a header -> microseconds of that many frames; 29 means 30 frames in 1.001 s (drop frame)
_SMPTE = {24: 1_000_000, 25: 1_000_000, 29: 1_001_000, 30: 1_000_000}


@dataclass(frozen=True)
class Song:
    """One sequence of tracks, as a regular file. `tempo` replaces the tempos of a file with an SMPTE clock."""

    data: bytes
    tempo: int | None = None  # microseconds per quarter
    remarks: tuple[str, ...] = ()
    messages: tuple[bytes, ...] = ()  # of each track, those with two data bytes, notes among them
    programs: tuple[bytes, ...] = ()  # of each track, those with one data byte, changes of program among them


@dataclass(frozen=True)
class _Tracks:
    chunks: tuple[bytes, ...]  # the events of each
    regular: bool  # whether the file holds exactly these tracks, unchanged, and nothing else
    remarks: tuple[str, ...]
    messages: tuple[bytes, ...]  # of each track, those with two data bytes
    programs: tuple[bytes, ...]  # of each track, those with one


def songs_of(data: bytes, name: Path | str) -> tuple[Song, ...]:
    """The songs of a file: one, or in format 2 one for each track.

    A format 0 file with several tracks, and a file with more tracks than its header says, are read completely, with a
    remark.

    Raises:
        MidiError: EMPTY, NOT_MIDI, TRUNCATED for a file that is shorter than its headers say, DAMAGED for an invalid
            header or event, TOO_LONG for more tracks than can be numbered. `name`: of the file, for errors.
    """
    if not data:
        raise MidiError(name, Reason.EMPTY, "no bytes")
    if data[:4] == b"RIFF":
        data = _unwrap(data, name)
    if data[:4] != b"MThd":
        found = "a clip file of MIDI 2.0" if data.startswith(_CLIP_FILE) else f"begins with {data[:4]!r}"
        raise MidiError(name, Reason.NOT_MIDI, f"{found}, expected b'MThd'")
    if len(data) < _HEADER.size:
        raise MidiError(name, Reason.TRUNCATED, f"{len(data)} bytes, the header alone needs {_HEADER.size}")
    _, length, form, announced, division = _HEADER.unpack_from(data)
    if length < 6 or form > 2:
        raise MidiError(name, Reason.DAMAGED, f"header of {length} bytes, format {form}; expected 6 bytes, format 0..2")
    if announced > MAX_TRACKS:
        raise MidiError(name, Reason.TOO_LONG, f"{announced:,} tracks, expected at most {MAX_TRACKS:,}")
    resolution, tempo = _resolution(division, name)
    tracks = _tracks(data, 8 + length, announced, name)
    if form == 0 and len(tracks.chunks) > 1:
        tracks = replace(tracks, remarks=(*tracks.remarks, f"format 0 with {len(tracks.chunks)} tracks"))
    if form == 2 and len(tracks.chunks) > 1:
        each = zip(tracks.chunks, tracks.messages, tracks.programs, strict=True)
        return tuple(
            Song(_assemble(0, resolution, (chunk,)), tempo, tracks.remarks, (messages,), (programs,))
            for chunk, messages, programs in each
        )
    regular = tracks.regular and length == 6 and tempo is None and form < 2
    song = data if regular else _assemble(1, resolution, tracks.chunks)
    return (Song(song, tempo, tracks.remarks, tracks.messages, tracks.programs),)


def tracks_of(song: bytes) -> Iterator[bytes]:
    """The events of each track of a `Song`'s bytes."""
    place = 0
    while place + _HEAD.size <= len(song):
        kind, length = _HEAD.unpack_from(song, place)
        place += _HEAD.size + length
        if kind == b"MTrk":
            yield song[place - length : place]


def with_tracks(song: bytes, tracks: Sequence[bytes]) -> bytes:
    """A `Song`'s bytes with other events in its tracks, as many as it has."""
    return b"".join((song[: _HEADER.size], *map(_chunk, tracks)))


def _unwrap(data: bytes, name: Path | str) -> bytes:
    """The MIDI file in a RIFF RMID wrapper."""
    if data[8:12] != b"RMID":
        raise MidiError(name, Reason.NOT_MIDI, f"a RIFF file of kind {data[8:12]!r}, expected b'RMID'")
    place = 12
    while place + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, place)
        if kind == b"data":
            if place + 8 + length > len(data):
                raise MidiError(
                    name, Reason.TRUNCATED, f"RIFF RMID of {length} bytes, only {len(data) - place - 8} are there"
                )
            return data[place + 8 : place + 8 + length]
        place += 8 + length + length % 2
    raise MidiError(name, Reason.TRUNCATED, "a RIFF RMID file without a data chunk")


def _resolution(division: int, name: Path | str) -> tuple[int, int | None]:
    """Ticks per quarter; and for an SMPTE clock the tempo at which a quarter is a whole second of frames."""
    if division & 0x8000:
        frames, ticks = 256 - (division >> 8), division & 0xFF
        if frames not in _SMPTE or ticks == 0:
            raise MidiError(
                name,
                Reason.DAMAGED,
                f"SMPTE clock of {frames} frames a second and {ticks} ticks a frame, expected 24, 25, 29 or 30 frames "
                f"and 1..255 ticks",
            )
        return (30 if frames == 29 else frames) * ticks, _SMPTE[frames]
    if division == 0:
        raise MidiError(name, Reason.DAMAGED, "0 ticks per quarter, expected at least 1")
    return division, None


def _tracks(data: bytes, place: int, announced: int, name: Path | str) -> _Tracks:
    found: list[bytes] = []
    messages: list[bytes] = []
    programs: list[bytes] = []
    others, remarks = 0, list[str]()
    unchanged = True
    while place + _HEAD.size <= len(data):
        kind, length = _HEAD.unpack_from(data, place)
        first = place + _HEAD.size
        events = data[first : first + length]
        if kind != b"MTrk" and (len(events) < length or not _is_name(kind)):
            # bytes that belong to no chunk: the next track may be whole
            following = data.find(b"MTrk", place)
            if following < 0:
                break
            remarks.append(f"{following - place:,} bytes between tracks left out")
            unchanged, place = False, following
            continue
        if len(events) < length:
            if not events.endswith(_END_MARKS):
                break
            # only the length is wrong: the end mark is there, perhaps without its last byte
            remarks.append(f"track {len(found)} has {len(events)} bytes, its header says {length}")
            unchanged, events = False, events.removesuffix(b"\x00") + b"\x00"
        if kind == b"MTrk":
            try:
                checked = check_events(events)
                messages.append(b"".join(checked.track[run] for run in checked.messages))
                programs.append(b"".join(checked.track[run] for run in checked.programs))
                if checked.misleading or checked.remarks:
                    unchanged, events = False, without(checked.track, checked.misleading)
                    remarks += (f"track {len(found)}: {remark}" for remark in checked.remarks)
            except ValueError as error:
                raise MidiError(name, Reason.DAMAGED, f"track {len(found)}, {error}") from None
            found.append(events)
        else:
            others += 1
        place = min(first + length, len(data))
    # some programs count chunks of other kinds as tracks
    if len(found) + others < announced:
        detail = f"{len(found)} complete tracks, the header says {announced}"
        raise MidiError(name, Reason.TRUNCATED, detail)
    if len(found) > announced:
        remarks.append(f"{len(found)} tracks, the header says {announced}")
    if place < len(data):
        remarks.append(f"{len(data) - place} bytes after the last track left out")
    regular = unchanged and not others and len(found) == announced and place == len(data)
    return _Tracks(tuple(found), regular, tuple(remarks), tuple(messages), tuple(programs))


def _is_name(kind: bytes) -> bool:
    """Whether four bytes can be the name of a chunk: printable ASCII."""
    return kind.isascii() and kind.decode().isprintable()


def _assemble(form: int, resolution: int, tracks: tuple[bytes, ...]) -> bytes:
    return with_tracks(_HEADER.pack(b"MThd", 6, form, len(tracks), resolution), tracks)


def _chunk(events: bytes) -> bytes:
    return _HEAD.pack(b"MTrk", len(events)) + events
