"""Print text from files and servers safely: control characters become visible, and streams may be closed.

    with shown_streams():            once, where a command begins
        print(anything)              ESC is printed as \\x1b, as Python writes it
        print(visible(name))         line breaks too, so a name stays in its line

A file name, a track name, a label or a server's reply could otherwise move the cursor, rename the window, or reverse
the text around it. Letters that the terminal's encoding lacks are written as their numbers.
"""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, cast

# C0 and C1 controls, and characters that change the direction of text or break lines: Unicode 15, 23.1 and 23.2
_CONTROLS = [*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x2028, 0x2029]
_COLOUR = re.compile(r"(\x1b\[[0-9;]*m)")
_SPOKEN = {9: "\\t", 10: "\\n", 13: "\\r"}
_NAMES = {code: _SPOKEN.get(code, f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}") for code in _CONTROLS}
_NAMES |= {0xDC00 + byte: f"\\x{byte:02x}" for byte in range(0x80, 0x100)}  # bytes of a path that are not UTF-8
_LINES = {code: name for code, name in _NAMES.items() if code not in (9, 10)}
_STREAMS = {"stdout": 1, "stderr": 2}
LONGEST_NAME = 1000  # characters that a message shows of a name


def visible(text: object) -> str:
    """The text in one line, with control characters and bytes that are not UTF-8 escaped as in Python."""
    return _whole(str(text).translate(_NAMES))


def _whole(text: str) -> str:
    """The text with lone surrogates, which no encoding takes, written as numbers."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def few(names: Iterable[object], most: int, between: str = ", ") -> str:
    """The first names as `visible` writes them, each cut where it is long, and how many more there are."""
    texts = [visible(name) for name in names]
    shown = [text if len(text) <= LONGEST_NAME else f"{text[:LONGEST_NAME]}..." for text in texts[:most]]
    return between.join(shown) + (f" and {len(texts) - most:,} more" if len(texts) > most else "")


def complain(line: str) -> None:
    """Print an error in one line on stderr, or on stdout where stderr is closed."""
    stream = sys.stdout if _is_closed(sys.stderr) else sys.stderr
    print(visible(line), file=stream, flush=True)


def _is_closed(stream: object) -> bool:
    return stream is None or (isinstance(stream, Shown) and stream.closed_at_start)


class Shown:
    """A text stream that makes control characters visible, except tabs and line breaks.

    An error in writing to stderr is ignored, so that the work goes on.
    """

    def __init__(self, stream: TextIO, name: str, closed_at_start: bool) -> None:
        self.stream = stream
        self.label = name
        self.closed_at_start = closed_at_start
        self.colours = False  # whether escapes for colours pass, as in a help text

    def write(self, text: str) -> int:
        """Write the text. Returns the number of characters of the given text."""
        if self.colours:
            parts = _COLOUR.split(text)
            shown = "".join(part if place % 2 else part.translate(_LINES) for place, part in enumerate(parts))
        else:
            shown = text.translate(_LINES)
        with self._errors():
            self.stream.write(_whole(shown))
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Write each of the lines."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flush the stream beneath."""
        with self._errors():
            self.stream.flush()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            discard(self.stream)
            if self.label == "stdout":
                error.filename = error.filename or "standard output"
                raise

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def discard(stream: TextIO) -> None:
    """Discard what a stream still holds and what will be written to it; otherwise it fails again at exit."""
    try:
        number = stream.fileno()
    except (OSError, ValueError):  # no stream of the operating system
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)


@contextmanager
def shown_streams() -> Iterator[None]:
    """Make printed control characters visible, and discard what is written to streams that were closed at the start."""
    before = {name: getattr(sys, name) for name in _STREAMS}
    missing = _open_missing()
    for name, stream in before.items():
        if isinstance(stream, Shown):
            continue
        below = stream if stream is not None else Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
        if isinstance(below, io.TextIOWrapper):
            below.reconfigure(errors="backslashreplace")
        shown = Shown(below, name, stream is None or _STREAMS[name] in missing)
        setattr(sys, name, cast("TextIO", shown))
    try:
        yield
    finally:
        for name, stream in before.items():
            if stream is not None:
                setattr(sys, name, stream)


def _open_missing() -> set[int]:
    """Open closed standard streams on the null device, and return their numbers.

    Otherwise a file that is opened later gets such a number, and native code that writes to stderr writes into it.
    """
    missing = set()
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # takes the lowest free number
            missing.add(number)
    return missing


@contextmanager
def colours() -> Iterator[None]:
    """Let colours through while a help text is printed."""
    streams = [stream for stream in (sys.stdout, sys.stderr) if isinstance(stream, Shown)]
    for stream in streams:
        stream.colours = True
    try:
        yield
    finally:
        for stream in streams:
            stream.colours = False


def plain(stream: TextIO) -> TextIO:
    """The stream beneath, for progress bars, which move the cursor; their texts pass `visible` before."""
    return stream.stream if isinstance(stream, Shown) else stream
