"""Watched child processes for what untrusted files may kill or hang: the next file is read all the same.

`Guard` is the parent's side; `guarded/child.py` has what its children share.
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

START_DEADLINE = 60.0  # seconds for the imports of the child, on a machine with much else to do
WATCH_INTERVAL = 0.1  # seconds between two looks at the clock
READ_SIZE = 2**20  # bytes at once: a length that is nonsense must not reserve memory


class ChildCrashedError(Exception):
    """The child died on a file; `str` tells its exit status."""


class ChildTimeoutError(Exception):
    """The child was ended because a file took too long."""


class Guard:
    """Sends requests to a child process and brings its replies back. Starts the child when first asked.

    Threads take turns; `the_guard` gives each process its own.

    Args:
        script: the program of the child, which calls `guarded_child.serve`.
        megabytes: memory for a file in the child (enforced on Linux).
        what: its name in messages, such as "the decoder".
        imports: the modules that it needs, for the message about one that does not start.
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

        Where a child fails that has read other files before, one of those may have damaged it; so this file is given
        to a fresh child before it is blamed.

        Raises:
            ChildCrashedError, ChildTimeoutError: a fresh child died, or took too long, too.
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
            # after Ctrl-C, too: a late reply would be taken for that of the next file
            self._end()
            raise

    def _end(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None

    def close(self) -> None:
        """End the child; the next file starts another."""
        with self._turn:
            self._end()

    def forget(self) -> None:
        """Let go of a child that belongs to the process this one was forked from."""
        if self._child is not None:
            self._child.forget()
        self._turn, self._child = threading.Lock(), None


class _Child:
    """A running child and the thread that ends it when its time is up."""

    def __init__(self, guard: Guard) -> None:
        # one BLAS thread: each takes address space, of which the child has little
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            # -P: no module of the script's own folder shadows the standard library
            [sys.executable, "-P", str(guard.script), str(guard.megabytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env=environment,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._requests, self._replies = self._process.stdin, self._process.stdout
        self._clock = threading.Lock()
        self._due: float | None = None
        self._timed_out = False
        self._ended = threading.Event()
        threading.Thread(target=self._watch, name="guard-watch", daemon=True).start()
        self.served = 0
        try:
            self._within(START_DEADLINE, None)
        except BaseException as error:
            self.end()
            if not isinstance(error, (ChildCrashedError, ChildTimeoutError)):
                raise
            raise SeqAudioError(
                f"{guard.what} does not start ({error}); try: {sys.executable} -c 'import {guard.imports}'"
            ) from None

    def ask(self, data: bytes, deadline: float) -> tuple[dict[str, Any], bytes]:
        reply = self._within(deadline, data)
        self.served += 1
        return reply

    def _within(self, deadline: float, data: bytes | None) -> tuple[dict[str, Any], bytes]:
        """Send `data`, if any, and wait for a reply; the watching thread ends the child when time is up."""
        with self._clock:
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
            raise ChildCrashedError("its process sent nonsense") from None
        finally:
            with self._clock:
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
            with self._clock:
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
        # the child ends when every write end of its stdin is closed, this copy too
        self._requests.close()
        self._replies.close()
        self._process.returncode = 0  # not ours to wait for


_guards: dict[tuple[Path, int], Guard] = {}


def the_guard(script: Path, megabytes: int, what: str, imports: str) -> Guard:
    """The guard of this process for a program and a limit of memory; arguments are those of `Guard`."""
    key = (script, megabytes)
    if key not in _guards:
        _guards[key] = Guard(script, megabytes, what, imports)
    return _guards[key]


def close_all() -> None:
    """End the children of this process; the next file starts another."""
    for guard in _guards.values():
        guard.close()


def _forget_all() -> None:
    for guard in _guards.values():
        guard.forget()


atexit.register(close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
