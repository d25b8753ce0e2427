"""Ctrl-C and SIGTERM: both let a command save what is done, then end it; the exit status says which signal it was.

The same signal a second time ends the command at once.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

CHILD = "SEQAUDIO_ENDS_WITH_STDIN"  # in the environment of a command that ends when its stdin closes


class Interrupted(KeyboardInterrupt):
    """An interruption by Ctrl-C or the signal `number`; the message says how to go on."""

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
    """Raise Interrupted on SIGTERM, as Ctrl-C raises KeyboardInterrupt; a handler that is already there stays."""
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
    """Yield a function that gives the signal that came, SIGINT or SIGTERM, or 0; the same again raises at once.

    One of each is one request: a scheduler may send SIGTERM to a sweep and its training, to which the sweep sends
    Ctrl-C too.
    """
    came: list[int] = []

    def note(number: int, frame: object) -> None:
        del frame
        if number in came:
            raise Interrupted(number=number)
        came.append(number)

    if threading.current_thread() is not threading.main_thread():  # only there handlers can be set
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
    """End this process as SIGTERM does when the parent that started it with `CHILD` ends, even by a kill.

    The parent holds the other end of stdin and never writes to it; it closes when the parent ends.
    """
    if os.environ.get(CHILD) != "1":
        return

    def watch() -> None:
        while os.read(0, 1):
            pass
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # stderr was read by the parent, which is gone
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
