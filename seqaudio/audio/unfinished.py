"""Complete headers that were never finished, because the recorder was killed or a stream did not know its length.

format      the size of the sound, which a recorder writes last      unfinished
WAV         of the chunk `data`                                      0, or that of the whole file is 0
AIFF        of the chunk `SSND`                                      8 or less
RF64        in the chunk `ds64`                                      0, or all bits 1
CAF         of the chunk `data`                                      4 or less, or all bits 1
AU          at byte 8                                                0

The sound then extends to the end of the file. libsndfile reads it so for W64, and for WAV, AIFF and AU with all bits 1.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple

from seqaudio.files import open_plain

REMARK = "its header was never finished; the sound is read to the end of the file"
FEW_BEHIND = 1000  # bytes
MOST_CHUNKS = 1000  # that are looked at in a file
UNKNOWN = 0xFFFFFFFF
UNKNOWN_LONG = 0xFFFFFFFFFFFFFFFF

Patches = Mapping[int, bytes]  # bytes to read instead, by place in the file


class _Chunk(NamedTuple):
    name: bytes
    content: int  # place of its first byte
    size: int


def missing_sizes(path: Path) -> Patches:
    """The sizes that a header lacks, as bytes by offset in the file; empty for a finished file."""
    with open_plain(path) as file:
        start, end = file.read(12), file.seek(0, io.SEEK_END)
        mark = start[:4]
        if mark in (b"RIFF", b"RF64") and start[8:] == b"WAVE":
            return _wave(file, end, long=mark == b"RF64", begun=start[4:8] == bytes(4))
        if mark == b"FORM" and start[8:] in (b"AIFF", b"AIFC"):
            return _aiff(file, end)
        if mark == b"caff":
            return _caf(file, end)
        if mark == b".snd" and len(start) == 12:
            first, size = struct.unpack(">II", start[4:])
            return {8: _size(">I", end - first)} if size == 0 and first < end else {}
    return {}


def bytes_behind(path: Path) -> int:
    """The bytes of a WAV that follow the sound of a header that seems finished, and are no chunks; 0 for a few.

    A recorder that writes both sizes now and then leaves them where it is killed; but they may be no sound, so they are
    not read.
    """
    with open_plain(path) as file:
        end = file.seek(0, io.SEEK_END)
        for chunk in _chunks(file, 12, end, "<4sI"):
            if chunk.name == b"data":
                place = chunk.content + chunk.size + chunk.size % 2
                told = many_behind(end - place, chunk.size) and _is_sound(file, place, end, "<4sI")
                return end - place if told else 0
    return 0


def many_behind(rest: int, size: int) -> bool:
    """Whether bytes behind a sound of `size` bytes are more than a tag or a list of names."""
    return rest > FEW_BEHIND + size // 10


def _wave(file: BinaryIO, end: int, long: bool, begun: bool) -> Patches:
    sizes = 0  # place of the sizes in ds64
    for chunk in _chunks(file, 12, end, "<4sI"):
        if chunk.name == b"ds64" and chunk.size >= 24:
            sizes = chunk.content
        if chunk.name != b"data":
            continue
        room = end - chunk.content
        if not long:
            # some recorders update the size of the sound every few seconds, and write that of the file last
            if (chunk.size and not begun) or not _is_sound(file, chunk.content + chunk.size, end, "<4sI"):
                return {}
            return {4: _size("<I", end - 8), chunk.content - 4: _size("<I", room)}
        file.seek(sizes + 8)
        (size,) = struct.unpack("<Q", file.read(8).ljust(8, b"\0"))
        if not sizes or size not in (0, UNKNOWN_LONG) or not _is_sound(file, chunk.content, end, "<4sI"):
            return {}
        # the count of samples, which follows in ds64, matters only for compressed sound
        return {sizes: struct.pack("<QQ", end - 8, room), chunk.content - 4: struct.pack("<I", UNKNOWN)}
    return {}


def _aiff(file: BinaryIO, end: int) -> Patches:
    for chunk in _chunks(file, 12, end, ">4sI"):
        if chunk.name == b"SSND":
            if chunk.size > 8 or not _is_sound(file, chunk.content + 8, end, ">4sI"):
                return {}
            return {4: _size(">I", end - 8), chunk.content - 4: _size(">I", end - chunk.content)}
    return {}


def _caf(file: BinaryIO, end: int) -> Patches:
    for chunk in _chunks(file, 8, end, ">4sQ"):
        if chunk.name == b"data":
            known = 4 < chunk.size != UNKNOWN_LONG
            if known or not _is_sound(file, chunk.content + 4, end, ">4sQ"):
                return {}
            return {chunk.content - 8: struct.pack(">Q", end - chunk.content)}
    return {}


def _size(form: str, size: int) -> bytes:
    """The size in four bytes, all bits 1 where they cannot hold it."""
    return struct.pack(form, min(size, UNKNOWN))


def _chunks(file: BinaryIO, place: int, end: int, header: str) -> Iterator[_Chunk]:
    """The chunks from a place on; the last may go beyond the end."""
    width = struct.calcsize(header)
    for _ in range(MOST_CHUNKS):
        file.seek(place)
        head = file.read(width)
        if len(head) < width:
            return
        name, size = struct.unpack(header, head)
        yield _Chunk(name, place + width, size)
        place += width + size + (size % 2 if width == 8 else 0)
        if place >= end:
            return


def _is_sound(file: BinaryIO, place: int, end: int, header: str) -> bool:
    """Whether the bytes from a place to the end are sound: not none, and not whole chunks up to the end."""
    if place >= end:
        return False
    after = place
    for chunk in _chunks(file, place, end, header):
        if not (chunk.name.isascii() and chunk.name.decode("ascii").isprintable()):
            return True
        after = chunk.content + chunk.size
    return not end <= after + after % 2 <= end + 1


class PatchedFile(io.RawIOBase):
    """A file to read, some of whose bytes are replaced."""

    def __init__(self, path: Path, patches: Patches) -> None:
        super().__init__()
        self._file = open_plain(path)
        self._patches = patches

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        start = self._file.tell()
        count = self._file.readinto(buffer)
        for place, content in self._patches.items():
            for index, byte in enumerate(content, start=place - start):
                if 0 <= index < count:
                    buffer[index : index + 1] = bytes([byte])
        return count

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()
        super().close()
