"""Read untrusted files in a watched child process, so that a file that crashes or hangs it costs that file only.

`Guard` is the parent's side; `guarded/child.py` is the child's side.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from seqaudio.errors import SeqAudioError
from seqaudio.guarded.child import REPLY, REQUEST

START_DEADLINE = 60.0  # seconds for the imports of the child, enough on a busy machine
WATCH_INTERVAL = 0.1  # seconds between checks of the deadline
READ_SIZE = 2**20  # bytes read at once, so that a nonsensical length does not allocate memory


class ChildCrashedError(Exception):
    """The child died on a file; `str` gives its exit status."""


class ChildTimeoutError(Exception):
    """The child was killed because a file took too long."""


class Guard:
    """Sends requests to a child process and returns its replies. The first request starts the child.

    Threads take turns; `the_guard` gives each process a guard of its own.

    Args:
        script: the program of the child, which calls `child.serve`.
        megabytes: memory for a file in the child (enforced on Linux).
        what: name of the child in messages, such as "the decoder".
        imports: the modules that it needs, for the error about a child that does not start.
    """

    def __init__(self, script: Path, megabytes: int, what: str, imports: str) -> None:
        self.script = script
        self.megabytes = megabytes
        self.what = what
        self.imports = imports
        self._turn = threading.Lock()
        self._child: _Child | None = None

    def ask(self, data: bytes, deadline: float) -> tuple[dict[str, Any], bytes]:
        """The child's reply to a request about one file, JSON and bytes, within `deadline` seconds.

        If the child fails and has read other files before, one of those may be the cause, so the request is repeated
        with a fresh child.

        Raises:
            ChildCrashedError, ChildTimeoutError: a fresh child died, or took too long.
            SeqAudioError: the child does not start.
        """
        with self._turn:
            if self._child is not None and self._child.served:
                try:
                    return self._ask(data, deadline)
                except (ChildCrashedError, ChildTimeoutError):
                    self._end()
            return self._ask(data, deadline)

    def _ask(self, data: bytes, deadline: float) -> tuple[dict[str, Any], bytes]:
        if self._child is None:
            self._child = _Child(self)
        try:
            return self._child.ask(data, deadline)
        except BaseException:
            # also after Ctrl-C: a late reply would be taken for that of the next file
            self._end()
            raise

    def _end(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None

    def close(self) -> None:
        """End the child; the next request starts another."""
        with self._turn:
            self._end()

    def forget(self) -> None:
        """Drop the child after a fork, since it belongs to the parent process."""
        if self._child is not None:
            self._child.forget()
        self._turn, self._child = threading.Lock(), None


class _Child:
    """A running child, and the thread that kills it after its deadline."""

    def __init__(self, guard: Guard) -> None:
        # one BLAS thread, since each takes some of the limited address space
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            # -P: so that no module beside the script shadows the standard library
            [sys.executable, "-P", str(guard.script), str(guard.megabytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env=environment,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._requests, self._replies = self._process.stdin, self._process.stdout
        self._lock = threading.Lock()  # of the deadline
        self._due: float | None = None  # the time at which the child is killed; None between requests
        self._timed_out = False
        self._ended = threading.Event()
        threading.Thread(target=self._watch, name="guard-watch", daemon=True).start()
        self.served = 0  # requests answered
        try:
            self._within(START_DEADLINE, None)  # the child sends a first reply once its imports are done
        except BaseException as error:
            self.end()
            if not isinstance(error, (ChildCrashedError, ChildTimeoutError)):
                raise
            raise SeqAudioError(
                f"{guard.what} does not start ({error}); to see why: {sys.executable} -P -c 'import {guard.imports}'"
            ) from None

    def ask(self, data: bytes, deadline: float) -> tuple[dict[str, Any], bytes]:
        reply = self._within(deadline, data)
        self.served += 1
        return reply

    def _within(self, deadline: float, data: bytes | None) -> tuple[dict[str, Any], bytes]:
        """Send `data`, if any, and wait for a reply; the watching thread kills the child after the deadline."""
        with self._lock:
            self._due = time.monotonic() + deadline
        try:
            if data is not None:
                self._write(REQUEST.pack(len(data)) + data)
            text_length, columns_length = REPLY.unpack(self._read(REPLY.size))
            return json.loads(self._read(text_length)), self._read(columns_length)
        except (OSError, EOFError):
            status = self._process.wait()
            if self._timed_out:
                raise ChildTimeoutError(f"no reply within {deadline:g} s") from None
            raise ChildCrashedError(f"its process died with status {status}") from None
        except ValueError:
            raise ChildCrashedError("its process sent an invalid reply") from None
        finally:
            with self._lock:
                self._due = None

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self._requests.write(rest) :]

    def _read(self, count: int) -> bytes:
        parts = []
        while count:
            part = self._replies.read(min(count, READ_SIZE))
            if not part:
                raise EOFError
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def _watch(self) -> None:
        while not self._ended.wait(WATCH_INTERVAL):
            with self._lock:
                if self._due is not None and time.monotonic() > self._due:
                    self._timed_out = True
                    self._process.kill()
                    return

    def end(self) -> None:
        self._ended.set()
        self._process.kill()
        self._process.wait()
        self._requests.close()
        self._replies.close()

    def forget(self) -> None:
        # the child ends when all write ends of its stdin are closed, including this copy
        self._requests.close()
        self._replies.close()
        self._process.returncode = 0  # the parent waits for it, not this process


_guards: dict[tuple[Path, int], Guard] = {}


def the_guard(script: Path, megabytes: int, what: str, imports: str) -> Guard:
    """The guard of this process for a program and a memory limit; arguments are those of `Guard`."""
    key = (script, megabytes)
    if key not in _guards:
        _guards[key] = Guard(script, megabytes, what, imports)
    return _guards[key]


def close_all() -> None:
    """End all children of this process; the next request starts another."""
    for guard in _guards.values():
        guard.close()


def _forget_all() -> None:
    for guard in _guards.values():
        guard.forget()


atexit.register(close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
