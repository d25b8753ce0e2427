"""Read the tables and lists of a corpus: CSV or TSV with a line of column names, or plain lines."""

from __future__ import annotations

import csv
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from seqaudio.errors import SourceError
from seqaudio.files import open_plain_text, read_plain_text

if TYPE_CHECKING:
    from _csv import Reader

DELIMITERS = (",", ";", "\t")


def read_table(path: Path, columns: Sequence[str] = (), only: Sequence[str] | None = None) -> list[dict[str, str]]:
    """The rows of a table, each a map from column name to text, in their order.

    UTF-8, with or without a byte order mark. A `.tsv` file has tabs and no quoting, as in most corpora; any other file
    may quote, and its delimiter is the most frequent of comma, semicolon and tab in its line of names. Empty lines are
    skipped.

    Args:
        columns: names that must be there.
        only: names to keep, to save memory in tables of a million rows. None keeps all.
    Raises:
        SourceError: no such file, not UTF-8, a column missing or named twice, a row of another width, no rows.
    """
    try:
        with open_plain_text(path, "utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            reader = _reader(path, file, first)
            names = [name.strip() for name in next(reader, [])]
            _check_names(path, names, columns)
            kept = [(name, index) for index, name in enumerate(names) if only is None or name in only]
            rows = []
            for fields in reader:
                if not any(fields):
                    continue
                if any("\0" in field for field in fields):
                    raise SourceError(f"{path}, line {reader.line_num}: has a NUL character; save the table as UTF-8")
                if len(fields) != len(names):
                    raise SourceError(
                        f"{path}, line {reader.line_num}: {len(fields)} fields, expected {len(names)} as in the line "
                        f"of column names"
                    )
                rows.append({name: fields[index].strip() for name, index in kept})
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or type(error).__name__}; give a CSV or TSV table") from None
    except UnicodeDecodeError as error:
        raise SourceError(f"{path}: not UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8") from None
    except csv.Error as error:
        raise SourceError(f"{path}, line {reader.line_num}: {error}; expected a CSV or TSV table") from None
    if not rows:
        raise SourceError(f"{path}: has no rows below its column names")
    return rows


def read_lines(path: Path, expected: str) -> list[str]:
    """The lines of a list in UTF-8, without empty ones.

    Raises SourceError for a file that is missing or not text; `expected` says what the file should be.
    """
    try:
        lines = read_plain_text(path, "utf-8-sig").splitlines()
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or type(error).__name__}; expected {expected}") from None
    except UnicodeDecodeError as error:
        raise SourceError(f"{path}: not UTF-8 ({error.reason} at byte {error.start}); expected {expected}") from None
    return [line.strip() for line in lines if line.strip()]


def listed_file(folder: Path, name: str) -> Path:
    """The file that a table names, relative to `folder`.

    The table and the disk may encode accents differently: where no file has the name as written, the file with its
    Unicode normal form C or D is taken.
    """
    forms = (name, unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name))
    return next((folder / form for form in forms if _exists(folder / form)), folder / name)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name too long for the file system, as where the wrong column is taken for paths
        return False


def _reader(path: Path, file: Iterable[str], first: str) -> Reader:
    if path.suffix.lower() == ".tsv":
        return csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
    return csv.reader(file, delimiter=max(DELIMITERS, key=first.count))


def _check_names(path: Path, names: list[str], wanted: Sequence[str]) -> None:
    if not any(names):
        raise SourceError(f"{path}: is empty, expected a line of column names")
    for name, count in Counter(names).items():
        if count > 1:
            raise SourceError(f"{path}: has {count} columns called {name!r}; rename all but one")
    for name in wanted:
        if name not in names:
            raise SourceError(f"{path}: has no column {name!r}; it has {', '.join(names)}")
