"""Writing that survives a crash: a reader sees the whole file or the one before, never a half."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

DIGEST_BLOCK = 1 << 18  # bytes: 256 KiB


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class GrowingDigest:
    """SHA-256 of a file while it is written, read behind the writer: what was written last lies in the cache yet.

    A hash in the end would read all of a large file from the disk again.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=0)
        self._sum = hashlib.sha256()
        self._block = memoryview(bytearray(DIGEST_BLOCK))
        self.bytes = 0  # that were taken in

    def read_on(self) -> None:
        """Take in what was written since."""
        while count := self._file.readinto(self._block):
            self._sum.update(self._block[:count])
            self.bytes += count

    def close(self) -> str:
        """The digest of the whole file in hexadecimal; nothing may be written after this."""
        with self._file:
            self.read_on()
        return self._sum.hexdigest()


def sync(path: Path) -> None:
    """Ask the operating system to put a file, or a folder's list of names, on the disk."""
    if path.is_dir() and os.name == "nt":
        return  # Windows opens no folder, and journals renames itself
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file beside its place, sync it, move it there."""
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(content)
    sync(partial)
    partial.replace(path)
    sync(path.parent)


def write_json(path: Path, data: Any) -> None:
    """Write JSON as `write_bytes` does, indented, with the keys in their given order."""
    write_bytes(path, (json.dumps(data, indent=2, ensure_ascii=False) + "\n").encode("utf-8"))


def swap_folder(new: Path, place: Path) -> None:
    """Move the finished folder `new` to `place`; what was there is removed after the move."""
    old = place.with_name(place.name + ".old")
    if old.exists():
        shutil.rmtree(old)
    if place.exists():
        place.replace(old)
    new.replace(place)
    sync(place.parent)
    if old.exists():
        shutil.rmtree(old)
