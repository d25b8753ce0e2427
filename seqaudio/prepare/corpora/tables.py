"""Read the tables and lists of a corpus: CSV or TSV with a line of column names, JSON, or plain lines."""

from __future__ import annotations

import contextlib
import functools
import sys
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from seqaudio.errors import SourceError
from seqaudio.files import read_plain_text
from seqaudio.prepare.corpora.json_rows import read_json_rows
from seqaudio.prepare.corpora.table_lines import EXPECTED, TableLines, open_table
from seqaudio.terminal import few

NAMED, NAMED_COLUMNS = 3, 20  # lines, and columns, that a message names


def read_table(path: Path, columns: Sequence[str] = (), only: Sequence[str] | None = None) -> list[dict[str, str]]:
    """The rows of a table, each a map from column name to text, in their order.

    UTF-8 or UTF-16, with or without a byte order mark; `TableLines` says how lines are cut. JSON is a table too: an
    object in each line, or a list of objects.

    Args:
        columns: names that must be there.
        only: names to keep, to save memory in tables of a million rows. None keeps all.
    Raises:
        SourceError: no such file, an archive or a recording, not a text, a column missing or named twice, a row of
            another width, a quotation mark that is not closed, no rows.
    """
    try:
        with open_table(path) as file:
            start = file.read(1)
            while start.isspace():
                start = file.read(1)
            file.seek(0)
            if start in ("{", "[") and path.suffix.lower() not in (".csv", ".tsv"):
                rows = read_json_rows(path, file)
                _check_names(path, list(rows[0]) if rows else ["none"], columns)
                rows = [{name: row[name] for name in row if only is None or name in only} for row in rows]
            else:
                rows = _rows(path, TableLines(path, file), columns, only)
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or type(error).__name__}; give {EXPECTED}") from None
    except UnicodeDecodeError as error:
        name = error.encoding.upper()
        raise SourceError(f"{path}: not {name} ({error.reason} at byte {error.start}); save it as UTF-8") from None
    if not rows:
        raise SourceError(f"{path}: has no rows below its column names")
    return rows


def _rows(path: Path, lines: TableLines, columns: Sequence[str], only: Sequence[str] | None) -> list[dict[str, str]]:
    records = iter(lines)
    _, names = next(records, (0, []))
    names = [name.strip() for name in names]
    while names and not names[-1]:
        names.pop()
    _check_names(path, names, columns)
    kept = [(name, index) for index, name in enumerate(names) if only is None or name in only]
    rows = []
    for number, fields in records:
        if len(fields) != len(names):
            raise SourceError(
                f"{path}, line {number}: {len(fields)} fields, expected {len(names)} as in the line of column names"
            )
        if any(field.strip() for field in fields):
            rows.append({name: fields[index].strip() for name, index in kept})
    tell_stray(lines)
    for name, _ in kept if not lines.quotes else ():
        # quotation marks around every value of a column do not belong to the values
        if rows and all(len(row[name]) > 1 and row[name][0] == row[name][-1] == '"' for row in rows):
            for row in rows:
                row[name] = row[name][1:-1].replace('""', '"')
    return rows


def tell_stray(lines: TableLines) -> None:
    """Warn on stderr of quotation marks that were read as characters."""
    if lines.stray:
        shown = few(lines.stray, NAMED)
        print(
            f"warning: {lines.path}, line {shown}: a quotation mark is not closed, so it is read as a character",
            file=sys.stderr,
        )


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
    """The file that a table names, relative to `folder`; the plain path where there is none."""
    return find_file(folder, name) or folder / name


def find_file(folder: Path, name: str) -> Path | None:
    """The file that a table names, relative to `folder`; None where there is none.

    The table and the disk may differ: in how they encode accents (Unicode normal form C or D), in backslashes for
    slashes, in letter case, such as `.WAV` for `.wav`. The name as written comes first.
    """
    slashes = name.replace("\\", "/")
    normal = (unicodedata.normalize(form, written) for written in (name, slashes) for form in ("NFC", "NFD"))
    for form in dict.fromkeys((name, *normal)):
        if _exists(folder / form):
            return folder / form
    place = folder
    for part in PurePosixPath(slashes).parts:
        if part in ("/", "..") or _exists(place / part):
            place = place / part
            continue
        alike = _entries(place, _changed(place)).get(_plain(part), ())
        if len(alike) != 1:  # none, or several, of which only the user can choose
            return None
        place = place / alike[0]
    return place


@functools.lru_cache(maxsize=64)
def _entries(folder: Path, changed: int) -> Mapping[str, Sequence[str]]:
    """The names in a folder, by the name without case in normal form C."""
    found: dict[str, list[str]] = {}
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            found.setdefault(_plain(path.name), []).append(path.name)
    return found


def _changed(folder: Path) -> int:
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return 0


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name too long for the file system, as where the wrong column is taken for paths
        return False


def _check_names(path: Path, names: list[str], wanted: Sequence[str]) -> None:
    if not any(names):
        raise SourceError(f"{path}: is empty, expected a line of column names")
    for name, count in Counter(names).items():
        if count > 1:
            raise SourceError(f"{path}: has {count} columns called {name!r}; rename all but one")
    for name in wanted:
        if name not in names:
            raise SourceError(f"{path}: has no column {name!r}; it has {few(names, NAMED_COLUMNS)}")
