"""Tables that list a corpus: CSV or TSV with a line of column names."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from seqaudio.errors import SourceError

if TYPE_CHECKING:
    from _csv import Reader

DELIMITERS = (",", ";", "\t")


def read_table(path: Path, columns: Sequence[str] = ()) -> list[dict[str, str]]:
    """The rows of a table, each a map from column name to text, in their order.

    UTF-8, with or without a byte order mark. A `.tsv` has tabs and no quoting, as corpora write it; any other file
    may quote, and has whichever of comma, semicolon and tab is most frequent in its line of names. Empty lines are
    passed over.

    Args:
        columns: names that must be there.
    Raises:
        SourceError: no such file, not UTF-8, a column missing or named twice, a row of another width, no rows.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            reader = _reader(path, file, first)
            names = [name.strip() for name in next(reader, [])]
            _check_names(path, names, columns)
            rows = []
            for fields in reader:
                if not any(fields):
                    continue
                if len(fields) != len(names):
                    raise SourceError(
                        f"{path}, line {reader.line_num}: {len(fields)} fields, expected {len(names)} as in the line "
                        f"of column names"
                    )
                rows.append({name: field.strip() for name, field in zip(names, fields, strict=True)})
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or type(error).__name__}; give a CSV or TSV table") from None
    except UnicodeDecodeError as error:
        raise SourceError(f"{path}: not UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8") from None
    except csv.Error as error:
        raise SourceError(f"{path}, line {reader.line_num}: {error}; expected a CSV or TSV table") from None
    if not rows:
        raise SourceError(f"{path}: has no rows below its column names")
    return rows


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
