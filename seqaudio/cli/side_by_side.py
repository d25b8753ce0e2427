"""Run pieces of work side by side, each in a process of its own, so that a command uses several cores.

    results = side_by_side({"words": functools.partial(train_words, config), "chorales": ...})

What a process prints goes where this one prints, line by line, each beginning with the name of its work; progress comes
as lines, since two bars would overwrite each other. Ctrl-C and SIGTERM reach every process once, through this one, so
that each can save. When this process ends, even by a kill, the others save and end too.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import connection, get_context, parent_process
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

from seqaudio import extensions, progress, terminal
from seqaudio.errors import SeqAudioError
from seqaudio.interruption import ctrl_c_later, sigterm_as_ctrl_c
from seqaudio.prepare.engine.pool import safe_path

Result = TypeVar("Result")

TOLD_IN_A_LINE = (SeqAudioError, OSError, MemoryError, KeyboardInterrupt)  # the command says these without a traceback


class EndedError(SeqAudioError):
    """A process that ended without a result: killed, or out of memory."""


class _Child(NamedTuple):
    process: Any  # of multiprocessing's context
    answer: Connection

    def result(self, name: str) -> Any:
        """The result of the work. Raises what the work raised, and EndedError where its process ended without one."""
        try:
            result, error = self.answer.recv()
        except EOFError:
            self.process.join()
            code = self.process.exitcode
            how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
            raise EndedError(
                f"the process of the {name} {how}; give the same command again to go on, with --workers 1 if memory "
                f"was short"
            ) from None
        if error is not None:
            raise error
        return result


def side_by_side(works: Mapping[str, Callable[[], Result]]) -> dict[str, Result]:
    """Do each work in a process of its own. Returns their results by name.

    Args:
        works: functions and results that can be pickled; each may be stopped by Ctrl-C at any time.
    Raises:
        the first error of a work, after the others were stopped as by Ctrl-C; KeyboardInterrupt, after all were.
    """
    children: dict[str, _Child] = {}
    results: dict[str, Result] = {}
    try:
        for name, work in works.items():
            children[name] = _start(name, work)
        names = {child.answer: name for name, child in children.items()}
        while names:
            for answer in connection.wait(list(names)):
                name = names.pop(cast(Connection, answer))
                results[name] = children[name].result(name)
    except BaseException:
        _stop([child for name, child in children.items() if name not in results])
        raise
    for child in children.values():
        child.process.join()
    return {name: results[name] for name in works}


def _start(name: str, work: Callable[[], Any]) -> _Child:
    context = get_context("spawn")  # a forked child of a process with running torch threads can hang
    ours, theirs = context.Pipe(duplex=False)
    files = extensions.as_options()[1::2]
    process = context.Process(target=_work, args=(theirs, name, work, progress.quiet, files), name=name)
    # Ctrl-C waits in the child until `_work` takes it
    with safe_path(), ctrl_c_later():
        process.start()
    theirs.close()
    return _Child(process, ours)


def _stop(children: list[_Child]) -> None:
    """Let each work save and end; a second Ctrl-C kills them."""
    try:
        for child in children:
            if child.process.is_alive() and os.name != "nt":  # on Windows Ctrl-C reaches every process by itself
                os.kill(child.process.pid, signal.SIGINT)
        for child in children:
            child.process.join()
    except KeyboardInterrupt:
        for child in children:
            child.process.kill()
            child.process.join()


def _work(answer: Connection, name: str, work: Callable[[], Any], quiet: bool, files: list[str]) -> None:
    """In the child: do the work, and send its result or its error."""
    if hasattr(os, "setsid"):
        os.setsid()  # else a terminal's Ctrl-C comes from it and from our parent; a second one would end us unsaved
    progress.quiet = quiet
    with terminal.shown_streams(), _labelled(name):
        _end_with_parent()
        outcome: tuple[Any, BaseException | None]
        try:
            with sigterm_as_ctrl_c(), _ctrl_c():
                for file in files:
                    extensions.use(Path(file))
                outcome = work(), None
        except BaseException as error:  # noqa: BLE001  # all go to the parent, which raises them
            outcome = None, error if isinstance(error, TOLD_IN_A_LINE) else RuntimeError(traceback.format_exc())
    answer.send(outcome)


@contextmanager
def _ctrl_c() -> Iterator[None]:
    """Take Ctrl-C, also one that came while the process started; keep it back again behind the work."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a command in the background starts with it ignored
    masked = hasattr(signal, "pthread_sigmask")
    try:
        if masked:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT,))
        yield
    finally:
        if masked:
            signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))


def _end_with_parent() -> None:
    """End this process as SIGTERM does when its parent ends, even by a kill."""
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        connection.wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


class _Labelled(terminal.Shown):
    """A stream that writes whole lines, each with a label before it."""

    def __init__(self, shown: terminal.Shown, name: str) -> None:
        super().__init__(shown.stream, shown.label, shown.closed_at_start)
        self.name = name
        self.begun = ""  # a line without its end

    def write(self, text: str) -> int:
        """Write the lines that are whole."""
        *lines, self.begun = (self.begun + text).split("\n")
        if lines:
            super().write("".join(f"{self.name}: {line}\n" for line in lines))
            super().flush()  # a buffer would be written in parts, between the lines of the other process
        return len(text)

    def isatty(self) -> bool:
        """No: a bar would be drawn over by the other process."""
        return False


@contextmanager
def _labelled(name: str) -> Iterator[None]:
    before = {stream: cast(terminal.Shown, getattr(sys, stream)) for stream in ("stdout", "stderr")}
    for stream, shown in before.items():
        setattr(sys, stream, _Labelled(shown, name))
    try:
        yield
    finally:
        for stream, shown in before.items():
            labelled = getattr(sys, stream)
            if labelled.begun:
                labelled.write("\n")
            setattr(sys, stream, shown)
