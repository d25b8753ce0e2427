"""The text events at the beginning of a MIDI file: where `write_midi` says what a piece comes from."""

from __future__ import annotations

from pathlib import Path

_HEADER = 14  # bytes of the header chunk of a format 0 or 1 file
_META, _TEXT = 0xFF, 0x01
_LONGEST = 4  # bytes of a length


def read_comments(path: Path) -> tuple[str, ...]:
    """The texts at tick 0 of the first track; none for a file that begins otherwise. Never raises for its content."""
    with path.open("rb") as file:
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
    """A number of septets at `place`, and the place behind it."""
    value = 0
    for byte in data[place : place + _LONGEST]:
        value = value << 7 | byte & 0x7F
        place += 1
        if byte < 0x80:
            break
    return value, place
