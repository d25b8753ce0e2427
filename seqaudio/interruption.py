"""Ctrl-C and SIGTERM: both end a command in the same way, after what is done is saved; the exit status tells which.

The same a second time ends it at once.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

CHILD = "SEQAUDIO_ENDS_WITH_STDIN"  # environment of a command that ends with the process at the other end of its stdin


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, or the signal `number`; the message says how to go on."""

    def __init__(self, message: str = "", number: int = signal.SIGINT) -> None:
        super().__init__(*[message] * bool(message))
        self.number = number


def number_of(interrupt: KeyboardInterrupt) -> int:
    """The signal of an interruption: SIGINT, or SIGTERM."""
    return interrupt.number if isinstance(interrupt, Interrupted) else signal.SIGINT


def exit_status_of(interrupt: KeyboardInterrupt) -> int:
    """The exit status that shells give to a command ended by a signal: 130 for Ctrl-C, 143 for SIGTERM."""
    return 128 + number_of(interrupt)


@contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """Raise Interrupted on SIGTERM, as Ctrl-C raises KeyboardInterrupt; where it is handled already, leave it."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def interrupt(number: int, frame: object) -> None:
        del frame
        raise Interrupted(number=number)

    signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def interruptible() -> Iterator[Callable[[], int]]:
    """Yield a function that gives the signal that came, Ctrl-C or SIGTERM, or 0; the same again is raised at once.

    A scheduler may send SIGTERM to a sweep and to its training, which then gets Ctrl-C from the sweep too: one request.
    """
    came: list[int] = []

    def note(number: int, frame: object) -> None:
        del frame
        if number in came:
            raise Interrupted(number=number)
        came.append(number)

    if threading.current_thread() is not threading.main_thread():  # where alone handlers can be set
        yield lambda: 0
        return
    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: came[0] if came else 0
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def ctrl_c_later() -> Iterator[None]:
    """Keep Ctrl-C back, from this thread and for good from processes that are started meanwhile.

    A terminal sends Ctrl-C to those as well, and while they import, each would print a traceback. `end_at_ctrl_c` lets
    them take it.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_at_ctrl_c() -> None:
    """End this process, a worker of one that handles Ctrl-C, at once and without a word where Ctrl-C comes or came."""

    def end(number: int, frame: object) -> None:
        del frame
        os._exit(128 + number)

    signal.signal(signal.SIGINT, end)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT,))


def end_with_parent() -> None:
    """End this process as SIGTERM does once the parent that started it with `CHILD` ends, however that ends.

    The parent holds the other end of stdin, which nothing is written to: it closes when the parent is killed.
    """
    if os.environ.get(CHILD) != "1":
        return

    def watch() -> None:
        while os.read(0, 1):
            pass
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # the parent, which read it, is gone
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
