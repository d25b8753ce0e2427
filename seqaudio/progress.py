"""Progress on stderr: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from seqaudio.terminal import plain, visible

PLAIN_SECONDS = 15.0  # between two lines without a terminal
quiet = False  # set by --quiet: neither bars nor lines


def say(line: str) -> None:
    """One line of progress on stderr."""
    if not quiet:
        print(visible(line), file=sys.stderr, flush=True)


class Advance(Protocol):
    """`advance(n, note)` counts n more items; `note` is shown after the count."""

    def __call__(self, items: int = 1, note: str = "") -> None: ...


@contextmanager
def progress(what: str, total: int, unit: str = "items", done: int = 0) -> Iterator[Advance]:
    """Show the progress of `what` with rate and remaining time; `done` items were finished before."""
    if quiet:
        yield lambda items=1, note="": None
    elif sys.stderr.isatty():
        with _bar(what, total, unit, done) as advance:
            yield advance
    else:
        yield _PlainLines(what, total, unit, done)


@contextmanager
def _bar(what: str, total: int, unit: str, done: int) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    start, count = time.monotonic(), 0
    with Progress(*columns, console=Console(file=plain(sys.stderr)), transient=True) as bars:
        task = bars.add_task(what, total=total, completed=done, note="", rate="")

        def advance(items: int = 1, note: str = "") -> None:
            nonlocal count
            count += items
            rate = count / max(time.monotonic() - start, 1e-9)
            bars.update(task, advance=items, note=visible(note), rate=f"{rate:,.0f}/s")

        yield advance


class _PlainLines:
    def __init__(self, what: str, total: int, unit: str, done: int) -> None:
        self.what, self.total, self.unit, self.done = what, total, unit, done
        self.before = done
        self.start = self.last = time.monotonic()

    def __call__(self, items: int = 1, note: str = "") -> None:
        self.done += items
        now = time.monotonic()
        if now - self.last < PLAIN_SECONDS:
            return
        self.last = now
        rate = (self.done - self.before) / (now - self.start)
        left = (self.total - self.done) / rate if rate else float("inf")
        line = f"{self.what}: {self.done:,} of {self.total:,} {self.unit}, {rate:,.1f}/s, {left:,.0f} s left"
        say(line + (f", {note}" if note else ""))
