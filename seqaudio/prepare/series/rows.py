"""Turn a table of channels into rows of a store, split in the order of time into train, valid and test."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seqaudio.errors import OptionError, SourceError
from seqaudio.prepare.corpora.table_lines import TableLines, open_table
from seqaudio.prepare.corpora.tables import tell_stray
from seqaudio.prepare.engine import Item, Row
from seqaudio.prepare.engine.statistics import FrameStatistics
from seqaudio.prepare.series.times import TimeIndex, step_index, time_index
from seqaudio.store import SPLITS

DECIMALS = re.compile(r"[+-]?\d*,(\d{1,2}|\d{4,})")  # a comma that cannot separate thousands
MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?"})  # in small letters


@dataclass(frozen=True)
class Columns:
    """Names of the columns of a table. Raises OptionError where one is named twice."""

    time: str = ""  # the column of times; empty: the rows are one step apart
    time_format: str = ""
    channels: tuple[str, ...] = ()  # empty: all other columns

    def __post_init__(self) -> None:
        named = [*self.channels, *([self.time] if self.time else [])]
        twice = sorted({name for name in named if named.count(name) > 1})
        if twice:
            raise OptionError(f"the column {twice[0]!r} is given twice as time or channel; give it once")


@dataclass(frozen=True, eq=False)
class Table:
    """Channels [T, C] float64 at regular times; NaN is a missing value."""

    channels: tuple[str, ...]
    values: npt.NDArray[np.float64]
    times: TimeIndex
    last: str = ""  # the last time, as written
    delimiter: str = ","
    comma: bool = False  # whether numbers were written with a decimal comma

    def told(self) -> str:
        """A summary in one line: range and interval of the times, rows added in gaps, missing values by channel."""
        rows = len(self.times.places)
        line = f"{rows:,} rows"
        if self.times.start:
            line += f" from {self.times.start} to {self.last}, {self.times.interval} apart"
        if added := self.times.steps - rows:
            line += f"; {added:,} missing rows added"
        empty = np.isnan(self.values[list(self.times.places)]).sum(axis=0)
        if empty.any():
            counts = (f"{name} {count:,}" for name, count in zip(self.channels, empty, strict=True) if count)
            line += f"; empty cells: {', '.join(counts)}"
        return line


def read_series(path: Path, columns: Columns) -> Table:
    """A table of comma, semicolon or tab separated values, with column names in its first line; decimal commas too.

    Empty cells and NA, NaN, null, none and ? are missing values; where times are missing, rows of them are added.

    Raises:
        SourceError: the file cannot be read, or is not a valid table; the message names row and column.
    """
    header, rows, delimiter, comma = _cells(path)
    names = columns.channels or tuple(name for name in header if name != columns.time)
    for name in (*names, *([columns.time] if columns.time else [])):
        if name not in header:
            raise SourceError(f"{path}: has no column {name!r}, only {', '.join(header)}; give one of these")
    if not names:
        raise SourceError(f"{path}: has only the time column {columns.time!r}, expected columns of numbers as well")
    places = [header.index(name) for name in names]
    given = np.array(
        [
            [_value(_pointed(row[place]) if comma else row[place], header[place], n, path) for place in places]
            for n, row in enumerate(rows, 1)
        ]
    )
    empty = [name for name, column in zip(names, given.T, strict=True) if np.isnan(column).all()]
    if empty:
        raise SourceError(f"{path}: the column {empty[0]!r} has no values; list the other columns with --channels")
    times = step_index(len(rows))
    last = ""
    if columns.time:
        at = header.index(columns.time)
        times = time_index([row[at].strip() for row in rows], str(path), columns.time_format)
        last = rows[-1][at]
    values = np.full((times.steps, len(names)), np.nan)
    values[list(times.places)] = given
    seen = comma and any(_pointed(row[place]) != row[place] for row in rows for place in places)
    return Table(names, values, times, last, delimiter, seen)


def _cells(path: Path) -> tuple[list[str], list[list[str]], str, bool]:
    """Column names, rows, delimiter, and whether numbers may have decimal commas. Raises SourceError."""
    try:
        with open_table(path) as file:
            lines = TableLines(path, file)
            header, *rows = [[cell.strip() for cell in record.fields] for record in lines] or [[]]
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or type(error).__name__}; give a table as a file") from None
    except UnicodeDecodeError as error:
        raise SourceError(f"{path}: byte {error.start:,} is not UTF-8; save the table as UTF-8") from None
    if not rows:
        raise SourceError(f"{path}: {int(bool(header))} lines, expected a line of column names, then rows of numbers")
    while header and not header[-1]:  # spreadsheets leave empty columns behind the last one
        header.pop()
    tell_stray(lines)
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise SourceError(f"{path}: two columns are called {twice[0]!r}; rename one")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise SourceError(f"{path}: row {number:,} has {len(row)} cells, expected {len(header)}; correct the row")
    # with tabs the comma of 1,234 may separate thousands, unless another number shows that it does not
    commas = [cell for row in rows for cell in row if "," in cell] if lines.delimiter == "\t" else []
    return header, rows, lines.delimiter, lines.delimiter == ";" or any(DECIMALS.fullmatch(cell) for cell in commas)


def _pointed(cell: str) -> str:
    return cell.replace(",", ".") if cell.count(",") == 1 and "." not in cell else cell


def _value(cell: str, name: str, row: int, path: Path) -> float:
    if cell.lower() in MISSING:
        return math.nan
    try:
        value = float(cell)
    except ValueError:
        hint = f"--time-column {name} if it is the time, or list the columns of numbers with --channels"
        raise SourceError(f"{path}: {cell!r} in row {row:,}, column {name!r}, expected a number; give {hint}") from None
    if math.isinf(value) or abs(value) > np.finfo(np.float32).max:
        raise SourceError(
            f"{path}: {cell!r} in row {row:,}, column {name!r}, expected a finite number; correct it, or leave it empty"
        )
    return value


@dataclass(frozen=True)
class Parts:
    """Sizes of train, valid and test, which follow each other in time: numbers of rows, or else percentages.

    Raises OptionError for an empty training part, or numbers out of range.
    """

    rows: tuple[int, ...] = ()
    percent: tuple[float, ...] = (70.0, 10.0, 20.0)

    def __post_init__(self) -> None:
        if self.rows and (len(self.rows) != 3 or self.rows[0] < 1 or min(self.rows) < 0):
            raise OptionError(f"--rows {_listed(self.rows)}, expected three numbers, train at least 1: 8640 2880 2880")
        bad = len(self.percent) != 3 or self.percent[0] <= 0 or min(self.percent) < 0
        if bad or sum(self.percent) > 100 + 1e-9:
            raise OptionError(f"--percent {_listed(self.percent)}, expected three up to 100 together, such as 70 10 20")

    def borders(self, steps: int) -> tuple[int, int, int]:
        """The ends of train, valid and test in a series of so many steps. Raises OptionError where they do not fit."""
        if self.rows:
            first, second, third = np.cumsum(self.rows).tolist()
            if third > steps:
                raise OptionError(
                    f"--rows {_listed(self.rows)} add up to {third:,}, but the series has {steps:,}; give fewer"
                )
            return first, second, third
        first, second, third = (round(steps * share / 100 + 1e-9) for share in np.cumsum(self.percent).tolist())
        return first, second, min(third, steps)

    def cut(self, values: npt.NDArray[np.float64]) -> dict[str, npt.NDArray[np.float64]]:
        """Values [T, ...] by split; a split without steps is left out."""
        first, second, third = self.borders(len(values))
        if not first:
            raise OptionError(
                f"{len(values):,} steps are too few for a training part; give a longer series or another --percent"
            )
        parts = (values[:first], values[first:second], values[second:third])
        return {split: part for split, part in zip(SPLITS, parts, strict=True) if len(part)}


def _listed(numbers: Sequence[float]) -> str:
    return " ".join(f"{number:g}" for number in numbers)


@dataclass(frozen=True)
class TablePreparation:
    """A `Process` of `build_store`: one table becomes one row in each split."""

    columns: Columns
    parts: Parts

    def __call__(self, item: Item) -> list[Row]:
        table = read_series(item.file, self.columns)
        missing = int(np.isnan(table.values).sum())
        remark = f"{missing:,} of {table.values.size:,} values are missing" if missing else ""
        return [
            series_row(f"{item.id}#{split}", part, split, remark)
            for split, part in self.parts.cut(table.values).items()
        ]


def series_row(name: str, frames: npt.NDArray[np.float64], split: str, remark: str = "") -> Row:
    """A row of a store of series, with statistics of its known values."""
    known = ~np.isnan(frames)
    counts = known.sum(axis=0)
    values = np.where(known, frames.astype(np.float32).astype(np.float64), 0.0)
    # statistics have one count for all channels, so sums over fewer values are scaled up to it
    share = len(frames) / np.maximum(counts, 1)
    sums = np.stack([values.sum(axis=0), np.square(values).sum(axis=0)]) * share
    return Row(
        name, frames.astype(np.float32), 0.0, split, remark=remark, statistics=FrameStatistics(len(frames), sums)
    )
