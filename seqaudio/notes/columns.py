"""The columns of a NoteSequence: their types, bounds and order."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

MAX_TICK = 2**38  # inclusive; ticks * microseconds then stay within int64
MAX_VALUE = 127  # of pitch, velocity and program, inclusive
TICK = np.dtype(np.int64)

Columns = dict[str, npt.NDArray[Any]]

TYPES: dict[str, np.dtype[Any]] = {
    "start_tick": TICK,
    "end_tick": TICK,
    "pitch": np.dtype(np.int16),
    "velocity": np.dtype(np.int16),
    "program": np.dtype(np.int16),
    "track": np.dtype(np.int16),
    "is_drum": np.dtype(np.bool_),
}
_UNSIGNED: dict[np.dtype[Any], np.dtype[Any]] = {TICK: np.dtype(np.uint64), np.dtype(np.int16): np.dtype(np.uint16)}
# inclusive bounds of the columns; the upper bound of `track` follows from the track names
BOUNDS = {
    "start_tick": (0, MAX_TICK),
    "end_tick": (0, MAX_TICK),
    "pitch": (0, MAX_VALUE),
    "velocity": (1, MAX_VALUE),  # 0 would be a note-off
    "program": (0, MAX_VALUE),
    "track": (0, 2**15 - 1),
}


def converted(name: str, values: npt.ArrayLike) -> npt.NDArray[Any]:
    """A column converted to its type. Raises ValueError for fractions and for values that the type cannot hold."""
    column = np.atleast_1d(np.asarray(values))
    kind = TYPES[name]
    if column.dtype == kind:
        return column
    if column.size == 0:
        return column.astype(kind)
    if kind.kind != column.dtype.kind and not (kind.kind == "i" and column.dtype.kind == "u"):
        raise ValueError(f"{name} is {column.dtype}, expected {kind}")
    # checked before the cast to int16, in which 65,596 would wrap to pitch 60
    check_bounds(name, column, *BOUNDS[name])
    return column.astype(kind)


def check_column(name: str, column: object, kind: np.dtype[Any], count: int) -> None:
    """Raise ValueError unless `column` is an array [count] of type `kind`."""
    if not isinstance(column, np.ndarray) or column.dtype != kind or column.shape != (count,):
        found = f"{column.dtype} {list(column.shape)}" if isinstance(column, np.ndarray) else type(column).__name__
        raise ValueError(f"{name} is {found}, expected {kind} [{count}]")


def check_bounds(name: str, values: npt.NDArray[Any], low: int, high: int) -> None:
    """Raise ValueError unless all values lie in low..high, both inclusive. `values` must not be empty."""
    lowest, highest = values.min(), values.max()
    if lowest < low or highest > high:
        raise ValueError(f"{name} has values in {lowest}..{highest}, expected {low}..{high}")


def check_notes(columns: Columns, tracks: int) -> None:
    """Raise ValueError for a value out of bounds and for a note that ends before it starts."""
    for name, (low, high) in (BOUNDS | {"track": (0, tracks - 1)}).items():
        # one comparison checks both bounds: a value below `low` wraps to a huge unsigned difference
        unsigned = (columns[name] - low).view(_UNSIGNED[columns[name].dtype])
        if unsigned.max() > high - low:
            check_bounds(name, columns[name], low, high)
    if (columns["end_tick"] < columns["start_tick"]).any():
        raise ValueError("a note ends before it starts")


def is_sorted(columns: Columns) -> bool:
    """Whether notes are sorted by (start, pitch, end, track, program, drum, velocity)."""
    first = _first_key(columns)
    rising = first[1:] > first[:-1]
    if rising.all():
        return True  # the common case: no two notes of one pitch begin together
    keys = (_last_key(columns), columns["end_tick"], first)
    return bool((np.lexsort(keys) == np.arange(len(first))).all())


def sorting_order(columns: Columns, piece: npt.NDArray[np.int64] | None = None) -> npt.NDArray[np.int64] | None:
    """Indices [N] that sort notes as `is_sorted` expects them; None where they are sorted already.

    Args:
        piece: [N] number of the piece that each note belongs to: sorted by that first. Ticks must be below 2^31 then.
    """
    first = _first_key(columns)
    if piece is not None:
        first = first + (piece << 38)
    if (first[1:] > first[:-1]).all():
        return None
    return sorted_by(first, columns["end_tick"], _last_key(columns))


def sorted_by(first: npt.NDArray[np.int64], *rest: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Indices [N] that sort by `first`, ties by the following keys. Fast where ties in `first` are few."""
    order = np.argsort(first)
    keys = first[order]
    same = keys[1:] == keys[:-1]
    if same.any():
        tied = np.zeros(len(first), dtype=np.bool_)
        tied[1:] = same
        tied[:-1] |= same
        rows = order[tied]
        order[tied] = rows[np.lexsort([key[rows] for key in (*rest[::-1], first)])]
    return order


def sorted_rows(*columns: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
    """Columns [N] of non-negative integers, rows sorted lexicographically: by the first column, ties by the next."""
    bits = [int(column.max(initial=0)).bit_length() for column in columns]
    if sum(bits) > 63:
        order = np.lexsort(columns[::-1])
        return [column[order] for column in columns]
    # each row packed into one integer: sorting those takes a fraction of the time of an argsort
    rows = columns[0]
    for column, width in zip(columns[1:], bits[1:], strict=True):
        rows = rows << width | column
    rows = np.sort(rows)
    parts = []
    for width in bits[:0:-1]:
        parts.append(rows & ((1 << width) - 1))
        rows = rows >> width
    return [rows, *reversed(parts)]


def _first_key(columns: Columns) -> npt.NDArray[np.int64]:
    return columns["start_tick"] * 128 + columns["pitch"]


def _last_key(columns: Columns) -> npt.NDArray[np.int64]:
    track = columns["track"].astype(np.int64)
    return ((track * 128 + columns["program"]) * 2 + columns["is_drum"]) * 128 + columns["velocity"]
