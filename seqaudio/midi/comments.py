"""Read the text events at the beginning of a MIDI file, where `write_midi` stores comments."""

from __future__ import annotations

from pathlib import Path

from seqaudio.files import open_plain

_HEADER = 14  # bytes of the header chunk of a format 0 or 1 file
_META, _TEXT = 0xFF, 0x01
_MAX_LENGTH_BYTES = 4


def read_comments(path: Path) -> tuple[str, ...]:
    """The texts at tick 0 of the first track; none for anything but a MIDI file. Never raises for invalid content."""
    with open_plain(path) as file:
        data = file.read(2**16)
    if data[:4] != b"MThd" or data[_HEADER : _HEADER + 4] != b"MTrk":
        return ()
    place = _HEADER + 8
    comments = []
    while data[place : place + 2] == bytes([0, _META]):  # a delta time of 0 and a meta event
        kind = data[place + 2 : place + 3]
        length, place = _number(data, place + 3)
        text = data[place : place + length]
        if len(text) < length or not kind:
            break
        if kind[0] == _TEXT:
            comments.append(text.decode("utf-8", "replace"))
        place += length
    return tuple(comments)


def _number(data: bytes, place: int) -> tuple[int, int]:
    """The variable-length number at `place`, and the place after it."""
    value = 0
    for byte in data[place : place + _MAX_LENGTH_BYTES]:
        value = value << 7 | byte & 0x7F
        place += 1
        if byte < 0x80:
            break
    return value, place
