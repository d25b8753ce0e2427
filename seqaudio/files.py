"""Open files that are plain, and write atomically: after a crash a reader finds the new content or the old."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import math
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TextIO, cast, overload

DIGEST_BLOCK = 1 << 18  # bytes: 256 KiB


@overload
def open_plain(path: Path | str) -> io.BufferedReader: ...


@overload
def open_plain(path: Path | str, buffering: Literal[0]) -> io.FileIO: ...


def open_plain(path: Path | str, buffering: int = -1) -> io.BufferedReader | io.FileIO:
    """Open a file for reading bytes. Every file that a user names, or that a folder lists, is opened here.

    Raises OSError where there is none, and for a folder, a pipe, a device or a socket, since reading those could wait
    or go on for ever.
    """
    _refuse_nul(path)  # else a ValueError
    # Path.open takes no opener
    return cast("io.BufferedReader", open(path, "rb", buffering=buffering, opener=_open_plain))


def _refuse_nul(path: Path | str) -> None:
    if "\0" in str(path):
        raise OSError(errno.EINVAL, "has a NUL character in its name, expected the name of a file", os.fspath(path))


def _open_plain(path: str, flags: int) -> int:
    _refuse_nul(path)
    _refuse_odd(path, os.stat(path))  # noqa: PTH116  # before it is opened, which makes some devices act
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # else a pipe that nobody writes to waits
    try:
        status = os.fstat(descriptor)
        _refuse_odd(path, status)
        if not status.st_size and _has_more(descriptor):  # the kernel's own files have no size, and some no end
            raise OSError(errno.EINVAL, "has no size, expected a file on a disk", os.fspath(path))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _has_more(descriptor: int) -> bool:
    """Whether a file without a size gives bytes, or makes its readers wait."""
    try:
        found = os.read(descriptor, 1)
        os.lseek(descriptor, 0, os.SEEK_SET)
    except OSError:
        return True
    return bool(found)


def require_plain(path: Path | str) -> None:
    """Raise OSError as `open_plain` does, before a library opens the file itself."""
    open_plain(path, buffering=0).close()


def _refuse_odd(path: str, status: os.stat_result) -> None:
    if stat.S_ISREG(status.st_mode):
        return
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    kind = kinds.get(stat.S_IFMT(status.st_mode), "a device")
    number = errno.EISDIR if kind == "a folder" else errno.EINVAL
    raise OSError(number, f"is {kind}, expected a file", os.fspath(path))


def read_plain(path: Path | str) -> bytes:
    """The bytes of a file, as `open_plain` opens it."""
    content = read_small(path)
    assert content is not None
    return content


def read_small(path: Path | str, most: float = math.inf) -> bytes | None:
    """The bytes of a file as `read_plain` gives them; None for one of more than `most`.

    Calls of the system cost a third of a preparation of many small files, so this makes no more than it needs.
    """
    descriptor = _open_plain(os.fspath(path), os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        size = os.fstat(descriptor).st_size
        if size > most:
            return None
        content = os.read(descriptor, size + 1)
        if len(content) == size:
            return content
        with open(descriptor, "rb", buffering=0, closefd=False) as file:  # it grew meanwhile, or is very large
            return content + file.readall()
    finally:
        os.close(descriptor)


def open_plain_text(
    path: Path | str, encoding: str = "utf-8", errors: str = "strict", newline: str | None = None
) -> TextIO:
    """Open a file for reading text, as `open_plain` does; the other arguments are those of `open`."""
    return io.TextIOWrapper(open_plain(path), encoding, errors, newline)


def read_plain_text(path: Path | str, encoding: str = "utf-8", errors: str = "strict") -> str:
    """The text of a file, as `open_plain` opens it, with line ends as \\n. Raises UnicodeDecodeError too."""
    with open_plain_text(path, encoding, errors) as file:
        return file.read()


@contextmanager
def naming(path: Path | str) -> Iterator[None]:
    """Add the path to an error of the operating system that lacks one, as that of a full disk does."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.strerror is not None:
            error.filename = os.fspath(path)
        raise


def is_unicode(path: Path | str) -> bool:
    """Whether a path can be written as Unicode: on Unix, names are any bytes."""
    return str(path).isascii() or str(path).encode("utf-8", "replace").decode() == str(path)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes in hexadecimal."""
    with open_plain(path, buffering=0) as file:
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
    """Write a file atomically: under another name beside it, synced, then renamed.

    An error leaves no part of it.
    """
    partial = path.with_name(path.name + ".partial")
    with naming(path):
        try:
            partial.write_bytes(content)
            sync(partial)
            partial.replace(path)
        except OSError:
            with contextlib.suppress(OSError):  # the first error is the one to tell
                partial.unlink(missing_ok=True)
            raise
        sync(path.parent)


def json_text(data: Any, **options: Any) -> str:
    """JSON for all files and outputs: null in place of NaN and infinity, which JSON does not have.

    options: of `json.dumps`.
    """
    try:
        return json.dumps(data, allow_nan=False, **options)
    except ValueError:  # rare, so the data is copied only then
        return json.dumps(with_nulls(data), allow_nan=False, **options)


def with_nulls(value: Any) -> Any:
    """The same lists and dictionaries with None in place of NaN and infinity."""
    if isinstance(value, dict):
        return {key: with_nulls(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [with_nulls(part) for part in value]
    return value if not isinstance(value, float) or math.isfinite(value) else None


def write_json(path: Path, data: Any) -> None:
    """Write JSON atomically, indented, with the keys in their given order; see `json_text`.

    Bytes of a path that are not UTF-8, which Python holds as lone surrogates, become escapes of JSON.
    """
    write_bytes(path, (json_text(data, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace"))
