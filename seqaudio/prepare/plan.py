"""Fingerprints: of one input, by which an update knows it again, and of a whole preparation."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import seqaudio
from seqaudio.prepare.items import Item, Process
from seqaudio.store import StoreDescription


def process_fingerprint(process: Process, description: StoreDescription) -> str:
    """SHA-256 of what is done with each input, and by which version."""
    return _sha256(seqaudio.__version__, process, description)


def input_fingerprint(item: Item, process: str) -> str:
    """96 bits of SHA-256 of an item and of the process (its fingerprint), in hexadecimal.

    Of the path only the file name counts: a corpus may be moved. What is in the file is told by its own checksum.
    """
    return _sha256(process, _identity(item))[:24]


def plan_fingerprint(items: Sequence[Item], process: str, chunk: int) -> str:
    """SHA-256 of all that decides the chunks: the process, the items, the sizes and times of their files."""
    digest = hashlib.sha256(f"{process} {chunk}".encode())
    for item in items:
        stamp: tuple[int, ...] = ()
        if item.path is not None:
            try:
                status = item.path.stat()
                stamp = (status.st_size, status.st_mtime_ns)
            except OSError:
                stamp = (-1,)  # not there, or not to be seen
        digest.update(_bytes((_identity(item), str(item.path), stamp)))
    return digest.hexdigest()


def _identity(item: Item) -> tuple[str, ...]:
    name = "" if item.path is None else item.path.name
    return (item.key, name, item.id, item.split, item.label, item.text, item.speaker, item.condition)


def _sha256(*parts: object) -> str:
    return hashlib.sha256(_bytes(parts)).hexdigest()


def _bytes(parts: tuple[object, ...]) -> bytes:
    return repr(parts).encode("utf-8", "surrogateescape")
