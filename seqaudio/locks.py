"""Locks of folders that one process at a time may write to: OUT of a preparation, a run, a sweep, a demo.

    with locked(run / "lock", "run", run):
        ...

A lock is a lock of the operating system (flock; a locked byte on Windows) on a small file that names the holder. It
ends with its process, even by a kill; the file that a kill leaves is free and is taken over. Where a file system has no
locks, the text of the file decides: a process of this machine is looked up, one of another machine counts as running.
The file is removed when the lock is released.
"""

from __future__ import annotations

import errno
import os
import re
import socket
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from seqaudio.errors import FolderError, InUseError
from seqaudio.files import naming
from seqaudio.progress import say

LOCK = "lock"  # name of the file in the folder that it locks
NO_LOCKS = frozenset((errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL))
LONGEST = 1000  # bytes of a lock's text
PLACE = 1 << 30  # of the byte that is locked on Windows, after the text, so that others can still read the text
FIRST_WORDS = "seqaudio lock"
TEXT = re.compile(FIRST_WORDS + r": process (\d+) on (\S+) since (.+)\n")


class Holder(NamedTuple):
    """The process that holds a lock, or held it when it was killed."""

    pid: int
    host: str
    since: str  # UTC

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} since {self.since}"


@contextmanager
def locked(file: Path, what: str, folder: Path) -> Iterator[None]:
    """Hold a lock. A lock that a killed process left is taken over, which one line reports.

    Args:
        file: the lock; its folder is made where it is missing.
        what, folder: what is locked, such as "run", and where; for messages.
    Raises:
        InUseError: another process holds it.
        FolderError: the file is something else.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor, left = _acquire(file, f"the {what} {folder}")
    try:
        if left:
            seen = "" if left.host == _host() else "; that machine cannot be seen from here, so make sure that it ended"
            say(f"note: the lock of the {what} {folder} was left by {left}, which no longer holds it; taken over{seen}")
        yield
    finally:
        _release(descriptor, file)


def is_held(file: Path) -> bool:
    """Whether another process holds a lock."""
    try:
        descriptor = os.open(file, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        return not _is_ours(descriptor, _read(descriptor))
    finally:
        os.close(descriptor)


def _acquire(file: Path, what: str) -> tuple[int, Holder | None]:
    """The descriptor of the locked file, and the holder that left it."""
    while True:
        descriptor = _open(file)
        try:
            text = _read(descriptor)
            if not text.startswith(FIRST_WORDS) and not FIRST_WORDS.startswith(text):  # a power cut may leave a part
                raise _in_the_way(file)
            if not _is_ours(descriptor, text):
                raise InUseError(f"{what} is in use by {_holder(text) or 'another process'}; {_advice(file, text)}")
            if _is_at(descriptor, file):
                now = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
                try:
                    with naming(file):
                        _write(descriptor, f"{FIRST_WORDS}: process {os.getpid()} on {_host()} since {now}\n")
                except OSError:  # a full disk
                    file.unlink(missing_ok=True)
                    raise
                return descriptor, _holder(text)
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # its holder removed it meanwhile: make a new one


def _open(file: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(file, flags, 0o644)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR):
            raise _in_the_way(file) from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _in_the_way(file)
    return descriptor


def _in_the_way(file: Path) -> FolderError:
    return FolderError(f"{file} is not a lock of seqaudio, expected one or no file; move it elsewhere")


def _is_ours(descriptor: int, text: str) -> bool:
    """Lock the file unless another process has; returns whether this process has the lock now."""
    try:
        _lock(descriptor)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            return False
        holder = _holder(text)
        return holder is None or (holder.host == _host() and not _runs(holder.pid))
    return True


def _lock(descriptor: int) -> None:
    """Lock the file. Raises OSError where another process has the lock, or the file system has no locks."""
    if sys.platform == "win32":
        import msvcrt

        os.lseek(descriptor, PLACE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _release(descriptor: int, file: Path) -> None:
    if os.name == "nt":  # an open file cannot be removed there; one that another process has opened stays
        os.close(descriptor)
        try:
            file.unlink(missing_ok=True)
        except PermissionError:
            return
        return
    try:
        if _is_at(descriptor, file):
            file.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _is_at(descriptor: int, file: Path) -> bool:
    """Whether the opened file is still the file of that name."""
    try:
        return os.path.samestat(os.fstat(descriptor), file.stat(follow_symlinks=False))
    except FileNotFoundError:
        return False


def _read(descriptor: int) -> str:
    os.lseek(descriptor, 0, os.SEEK_SET)
    return os.read(descriptor, LONGEST).decode("utf-8", "replace").strip("\0")  # zeros of a power cut


def _write(descriptor: int, text: str) -> None:
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, text.encode("utf-8"))


def _holder(text: str) -> Holder | None:
    found = TEXT.fullmatch(text)
    return Holder(int(found[1]), found[2], found[3]) if found else None


def _advice(file: Path, text: str) -> str:
    holder = _holder(text)
    if holder is None or holder.host == _host():
        return "wait for it, or stop it"
    return f"wait for it, or stop it there; if that machine is gone, remove {file}"


def _host() -> str:
    return re.sub(r"[^\w.-]", "_", socket.gethostname()) or "unknown"


def _runs(pid: int) -> bool:
    """Whether a process of this machine runs; used only where the file system has no locks, never on Windows."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
