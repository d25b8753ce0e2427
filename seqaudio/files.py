"""Atomic writing of files: after a crash a reader finds the new content or the old, never a part."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

DIGEST_BLOCK = 1 << 18  # bytes: 256 KiB


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class GrowingDigest:
    """SHA-256 of a file while it is being written: it reads what has just been written, which is still in the cache.

    Hashing at the end would read a large file from the disk again.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=0)
        self._sum = hashlib.sha256()
        self._block = memoryview(bytearray(DIGEST_BLOCK))
        self.bytes = 0  # hashed so far

    def read_on(self) -> None:
        """Hash what was written since the last call."""
        while count := self._file.readinto(self._block):
            self._sum.update(self._block[:count])
            self.bytes += count

    def close(self) -> str:
        """The digest of the whole file in hexadecimal; the file must not change after this."""
        with self._file:
            self.read_on()
        return self._sum.hexdigest()


def sync(path: Path) -> None:
    """Flush a file, or a folder's list of names, to the disk (fsync)."""
    if path.is_dir() and os.name == "nt":
        return  # Windows cannot open folders, and journals renames itself
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically: under another name beside it, synced, then renamed."""
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(content)
    sync(partial)
    partial.replace(path)
    sync(path.parent)


def write_json(path: Path, data: Any) -> None:
    """Write JSON atomically, indented, with the keys in their given order."""
    write_bytes(path, (json.dumps(data, indent=2, ensure_ascii=False) + "\n").encode("utf-8"))
