"""Plan a preparation: cut the inputs into chunks, and fingerprint each input, the process and the plan."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from seqaudio.prepare.engine.code_versions import code_versions
from seqaudio.prepare.engine.items import Item, Process
from seqaudio.store import StoreDescription
from seqaudio.version import __version__

CHUNK = 256  # inputs, at most: few enough to lose little in a kill, enough to outweigh the cost of a chunk's files
MIN_CHUNK, CHUNKS = 16, 8  # few inputs are cut into so many chunks, so that all workers end together
CHUNK_BYTES = 1 << 25  # 32 MiB, a quarter of an hour of sound at 16 kHz: spreads long recordings over the workers


class Plan(NamedTuple):
    """Chunk n holds the inputs ends[n - 1] .. ends[n] - 1."""

    fingerprint: str  # SHA-256 of all that decides the chunks
    ends: list[int]


def process_fingerprint(process: Process, description: StoreDescription) -> str:
    """SHA-256 of what is done with each input, and by which version of the package and of the code of its parts.

    It covers the repr of both: renaming one of their classes or fields makes `--update` redo every existing store.
    """
    code = code_versions(description)
    return _sha256(__version__, process, description, *[code] * bool(code))


def input_fingerprint(item: Item, process: str) -> str:
    """96 bits of SHA-256 of an item and of the process (given as its fingerprint), in hexadecimal.

    Of the path only the file name counts, since a corpus may be moved. The file's content has a checksum of its own.
    """
    return _sha256(process, _identity(item))[:24]


def chunk_size(inputs: int) -> int:
    """The usual number of inputs in a chunk, of so many inputs in all."""
    return min(CHUNK, max(MIN_CHUNK, -(-inputs // CHUNKS)))


def make_plan(items: Sequence[Item], process: str, chunk: int, late: bool = False) -> Plan:
    """The plan for items, with their files as they are now, and a process (given as its fingerprint).

    A chunk ends after `chunk` inputs, or sooner with the file that brings it to CHUNK_BYTES.

    late: splits are chosen once all chunks are done.
    """
    digest = hashlib.sha256(f"{process} {chunk} {CHUNK_BYTES}{' late' * late}".encode())
    ends: list[int] = []
    begun = held = 0
    before: Path | None = None
    for number, item in enumerate(items, 1):
        stamp: tuple[int | str, ...] = ()
        if item.held is not None:
            stamp = (item.held.stamp,)
            held += item.held.size
        elif item.path is not None:
            try:
                status = item.path.stat()
                stamp = (status.st_size, status.st_mtime_ns)
                if item.path != before:  # else a further segment of the same recording
                    held += status.st_size
            except (OSError, ValueError):
                stamp = (-1,)  # missing, unreadable, or with a NUL character
        before = item.path
        digest.update(_bytes((_identity(item), str(item.path), stamp)))
        if number - begun == chunk or held >= CHUNK_BYTES or number == len(items):
            ends.append(number)
            begun, held, before = number, 0, None
    return Plan(digest.hexdigest(), ends)


def _identity(item: Item) -> tuple[str, ...]:
    name = "" if item.path is None else item.path.name
    segment = () if item.start == 0.0 and item.end is None else (str(item.start), str(item.end))
    word = () if item.word_start is None else ("word", str(item.word_start), str(item.word_end))
    return (item.key, name, item.id, item.split, item.label, item.text, item.speaker, item.condition, *segment, *word)


def _sha256(*parts: object) -> str:
    return hashlib.sha256(_bytes(parts)).hexdigest()


def _bytes(parts: tuple[object, ...]) -> bytes:
    return repr(parts).encode("utf-8", "surrogateescape")
