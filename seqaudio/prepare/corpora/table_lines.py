"""Read the lines of a table and cut them into fields; a stray quotation mark never swallows later rows."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TextIO

from seqaudio.errors import SourceError
from seqaudio.files import open_plain, open_plain_text
from seqaudio.prepare.corpora.file_kinds import HEAD, refuse_other_kind

DELIMITERS = (",", ";", "\t", "|")
SEPARATOR = re.compile(r'"?sep=(.)"?$', re.IGNORECASE)  # a first line that some spreadsheets write
MOST_LINE = 1 << 20  # characters
MOST_FIELD = 1 << 17  # characters
MOST_LINES = 100  # of a quoted field
EXPECTED = "a CSV or TSV table"


class Record(NamedTuple):
    """One row: the number of its first line, and its fields."""

    line: int
    fields: list[str]


class TableLines:
    """The rows of a table, the line of column names first.

        with path.open(...) as file:
            table = TableLines(path, file)
            for line, fields in table: ...

    The delimiter is that of a first line `sep=;`, or the most frequent of comma, semicolon, tab and bar in the line of
    names. A `.tsv` file has tabs, unless its line of names has none but other delimiters, and `quotes` only where all
    its column names are quoted: in most corpora a quotation mark there is a character. Empty lines are skipped.

    A quoted field may run over several lines, unless one of these is a row by itself: then the mark is stray. It is
    read as a character if that makes the line a row (`stray` has the numbers of such lines), otherwise refused.

    Raises, while rows are read:
        SourceError: a line that is too long, has a NUL character, or a quotation mark that is never closed.
    """

    def __init__(self, path: Path, file: TextIO) -> None:
        self.path = path
        self.file = file
        self.delimiter = "\t"
        self.stray: list[int] = []
        self.quotes = True
        self._waiting = deque[tuple[int, str]]()
        self._number = 0

    def __iter__(self) -> Iterator[Record]:
        first = self._next()
        while first is not None and not first[1].strip():
            first = self._next()
        if first is None:
            return
        given = SEPARATOR.match(first[1])
        if given:
            first = self._next() or first
        names = self._header(first[1], given[1] if given else None)
        yield Record(first[0], names)
        while names and not names[-1].strip():  # spreadsheets leave empty columns behind the last one
            names.pop()
        while (line := self._next()) is not None:
            if line[1].strip():
                yield Record(line[0], self._record(*line, len(names)))

    def _header(self, line: str, delimiter: str | None) -> list[str]:
        unquoted = re.sub(r'"[^"]*"', "", line)
        self.delimiter = delimiter or max(DELIMITERS, key=unquoted.count)
        if self.path.suffix.lower() == ".tsv" and (delimiter or "\t" in line or not unquoted.count(self.delimiter)):
            self.delimiter = delimiter or "\t"
            self.quotes = all(
                len(name.strip()) > 1 and name.strip()[0] == name.strip()[-1] == '"'
                for name in line.split(self.delimiter)
            )
        return self._cut(line) or line.split(self.delimiter)

    def _next(self) -> tuple[int, str] | None:
        """Number and text of the next line, without its end; None after the last one."""
        if self._waiting:
            return self._waiting.popleft()
        line = self.file.readline(MOST_LINE)
        if not line:
            return None
        self._number += 1
        if len(line) == MOST_LINE:
            raise self._error(self._number, f"has {MOST_LINE:,} characters or more")
        if "\0" in line:
            raise SourceError(f"{self.path}, line {self._number}: has a NUL character; save the table as UTF-8")
        return self._number, line.rstrip("\n")

    def _record(self, number: int, line: str, width: int) -> list[str]:
        fields = self._cut(line)
        if fields is None:
            fields = self._joined(number, line, width)
        while len(fields) > width and not fields[-1].strip():
            fields.pop()
        if max(map(len, fields)) > MOST_FIELD:
            raise self._error(number, f"has a field of more than {MOST_FIELD:,} characters")
        return fields

    def _joined(self, number: int, line: str, width: int) -> list[str]:
        """The fields of a line with a stray mark, or with a quoted field that continues in later lines."""
        later: list[tuple[int, str]] = []
        text = line
        while len(later) < MOST_LINES and len(text) < MOST_LINE and (following := self._next()) is not None:
            later.append(following)
            if len(following[1].split(self.delimiter)) == width:
                break  # a row by itself
            text += "\n" + following[1]
            fields = self._cut(text)
            if fields is not None and len(fields) == width:
                return fields
        self._waiting.extendleft(reversed(later))
        plain = line.split(self.delimiter)
        if len(plain) != width:
            at = line.index('"') + 1
            raise self._error(number, f"the quotation mark at character {at} is not closed")
        self.stray.append(number)
        return plain

    def _cut(self, line: str) -> list[str] | None:
        """The fields of a line; None where a quoted field is not closed."""
        if '"' not in line or not self.quotes:
            return line.split(self.delimiter)
        end = re.escape(self.delimiter)
        quoted = re.compile(rf' *"((?:[^"]|"")*)" *(?={end}|\Z)')
        fields, place = [], 0
        while True:
            if found := quoted.match(line, place):
                fields.append(found[1].replace('""', '"'))
                place = found.end()
            else:
                rest = line[place:].lstrip(" ")
                if rest.startswith('"') and '"' not in rest[1:].replace('""', ""):
                    return None
                stop = line.find(self.delimiter, place)
                stop = len(line) if stop < 0 else stop
                fields.append(line[place:stop])
                place = stop
            if place >= len(line):
                return fields
            place += 1

    def _error(self, number: int, what: str) -> SourceError:
        return SourceError(f"{self.path}, line {number}: {what}; expected {EXPECTED}")


def open_table(path: Path) -> TextIO:
    """Open a table as text: UTF-8 or UTF-16, with or without a byte order mark.

    Raises:
        SourceError: a folder, a device; an archive, a recording, a workbook ...
        OSError: the file cannot be read.
    """
    if path.exists() and not path.is_file():
        raise SourceError(f"{path}: not a file; give {EXPECTED}")
    refuse_other_kind(path, f"{EXPECTED}, or a folder")
    with open_plain(path) as file:
        start = file.read(HEAD)
    return open_plain_text(path, _encoding(start))


def _encoding(start: bytes) -> str:
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    if 4 * start[1::2].count(0) > len(start):  # every other byte is 0 where letters are Latin
        return "utf-16-le"
    return "utf-16-be" if 4 * start[0::2].count(0) > len(start) else "utf-8-sig"
