"""Arrow files of a store's splits: their columns, and how they are opened so that damage is one line.

Arrow reads damaged metadata without harm but trusts the buffers: an offset that points outside ends the process. So
every record batch is validated before it is used. This reads offsets and texts but no sequences, 0.1 s for a million
rows. The values of sequences are checked when they are first read (`check_values`).
"""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from seqaudio.errors import StoreError
from seqaudio.files import require_plain, sha256_of

STATISTICS = "moments"  # the column; stores made before have this name
OF_FRAMES = ("features", "series", "roll")  # kinds of store whose steps have several values
WORD_TIMES = ("word_start", "word_end")  # columns: when a row's label sounds, in seconds from the start of the row
NOT_NULL = ("id", "length", "duration")
HASHED_BYTES = 1 << 24  # 16 MiB: the hash of a file up to this size is verified at every opening, in 10 ms
AGAIN = "prepare the store again"
COLUMN = re.compile(r"In column (\d+)")  # in Arrow's messages
PLACE = re.compile(r"(?:index|slot|at) (\d+)")  # of a row, in Arrow's messages


def sequence_type(kind: str, width: int | None, vocabulary_size: int) -> pa.DataType:
    """Arrow type of the column `sequence`; `width` is the number of features of a frame."""
    if kind in ("features", "series"):
        return pa.large_list(pa.list_(pa.float32(), width))
    if kind == "roll":
        return pa.large_list(pa.list_(pa.uint8(), width))
    return pa.large_list(pa.int16() if vocabulary_size < 2**15 else pa.int32())


def schema(sequences: pa.DataType, statistics: bool = False, word_times: bool = False) -> pa.Schema:
    """Arrow schema of a split; `statistics` and `word_times` add those columns."""
    fields = pa.schema(
        [
            ("id", pa.string()),
            ("sequence", sequences),
            ("length", pa.int64()),
            ("label", pa.string()),
            ("text", pa.string()),
            ("speaker", pa.string()),
            ("condition", pa.string()),
            ("duration", pa.float64()),
        ]
    )
    for name in WORD_TIMES if word_times else ():
        fields = fields.append(pa.field(name, pa.float64()))
    return fields.append(pa.field(STATISTICS, pa.list_(pa.float64()))) if statistics else fields


@dataclass(frozen=True)
class ArrowFile:
    """A file of a split, as `store.json` describes it."""

    path: Path
    kind: str  # of the store
    vocabulary_size: int
    sha256: str
    size: int | None  # bytes; None in a store of a version that did not count them

    def batches(self) -> list[pa.RecordBatch]:
        """Its record batches, memory-mapped. Raises StoreError for one that is missing or damaged."""
        self._check_size()
        try:
            require_plain(self.path)
            reader = pa.ipc.open_file(pa.memory_map(os.fsencode(self.path)))
            self._check_schema(reader.schema)
            found = [reader.get_batch(number) for number in range(reader.num_record_batches)]
        except (OSError, pa.ArrowException, MemoryError) as error:
            raise StoreError(f"{self.path}: not a readable Arrow file ({_one_line(error)}); {AGAIN}") from None
        first = 0
        for batch in found:
            self._check_batch(batch, first)
            first += len(batch)
        if self.path.stat().st_size <= HASHED_BYTES:
            self._check_small(found)
        return found

    def verify(self) -> None:
        """Raise StoreError where its bytes are not those that were written."""
        self._check_size()
        if sha256_of(self.path) != self.sha256:
            raise StoreError(f"{self.path}: its bytes have changed since it was written (SHA-256); {AGAIN}")

    def check_values(self, batch: pa.RecordBatch, first: int) -> None:
        """Raise StoreError for a value that cannot be in a sequence: an id outside the vocabulary, NaN in features.

        first: the number of the batch's first row in the file, for the message.
        """
        column = batch.column("sequence")
        values = flat_steps(column)
        wrong = _wrong_steps(values, self.kind, self.vocabulary_size)
        if wrong is None:
            return
        step = int(np.argmax(wrong))
        row = int(np.searchsorted(column.offsets.to_numpy(), step, side="right")) - 1
        of_step = values[step : step + 1]
        found = of_step[~_fits(of_step, self.kind, self.vocabulary_size)][0]
        name, expected = batch.column("id")[row].as_py(), _expected(self.kind, self.vocabulary_size)
        raise StoreError(
            f"{self.path}, row {first + row:,} ({name!r}): {found} in its sequence, expected {expected}; {AGAIN}"
        )

    def _check_size(self) -> None:
        if not self.path.is_file():
            raise StoreError(f"{self.path}: no such file, or not a plain one; {AGAIN}")
        size = self.path.stat().st_size
        if self.size is not None and size != self.size:
            raise StoreError(
                f"{self.path}: not a readable Arrow file ({size:,} bytes, expected {self.size:,}); {AGAIN}"
            )

    def _check_small(self, batches: list[pa.RecordBatch]) -> None:
        try:
            self.verify()
        except StoreError:
            first = 0
            for batch in batches:  # its error is better, where the change made a value impossible
                self.check_values(batch, first)
                first += len(batch)
            raise

    def _check_schema(self, found: pa.Schema) -> None:
        timed = any(found.get_field_index(name) >= 0 for name in WORD_TIMES)  # most stores do not have these columns
        for field in schema(pa.null(), word_times=timed):
            if found.get_field_index(field.name) < 0:
                raise StoreError(f"{self.path}: no column {field.name!r}, or several, expected one; {AGAIN}")
            kind = found.field(field.name).type
            if field.name == "sequence":
                fits, expected = _suits(kind, self.kind), f"sequences of a store of {self.kind}"
            else:
                fits, expected = kind == field.type, str(field.type)
            if not fits:
                raise StoreError(f"{self.path}: the column {field.name!r} is {kind}, expected {expected}; {AGAIN}")

    def _check_batch(self, batch: pa.RecordBatch, first: int) -> None:
        """Raise StoreError where a buffer, an offset, a text or a length of a record batch is damaged."""
        try:
            batch.validate(full=True)
        except (pa.ArrowException, MemoryError) as error:
            message = _one_line(error)
            message = COLUMN.sub(lambda found: f"column {batch.schema.names[int(found[1])]!r}", message)
            place = PLACE.search(message)
            rows = f"row {first + int(place[1]):,}" if place else f"rows {first:,} to {first + len(batch) - 1:,}"
            raise StoreError(f"{self.path}, {rows}: damaged ({message}); {AGAIN}") from None
        sequences = batch.column("sequence")
        steps = sequences.values
        inner = steps.flatten() if pa.types.is_fixed_size_list(steps.type) else steps
        for name, column in (*((name, batch.column(name)) for name in NOT_NULL), ("sequence", sequences)):
            if column.null_count:
                row = first + column.is_null().to_pylist().index(True)
                raise StoreError(f"{self.path}, row {row:,}: no value in the column {name!r}; {AGAIN}")
        if steps.null_count or inner.null_count:
            raise StoreError(
                f"{self.path}, rows {first:,} to {first + len(batch) - 1:,}: sequences with missing values; {AGAIN}"
            )
        lengths = np.diff(sequences.offsets.to_numpy())
        recorded = batch.column("length").to_numpy()
        durations = batch.column("duration").to_numpy()
        for name, fits, values in (
            ("length", recorded == lengths, recorded),
            ("duration", np.isfinite(durations) & (durations >= 0), durations),
        ):
            if not fits.all():
                row = int(np.argmin(fits))
                what = f"the {lengths[row]:,} steps of its sequence" if name == "length" else "0 or more seconds"
                raise StoreError(f"{self.path}, row {first + row:,}: {name} {values[row]}, expected {what}; {AGAIN}")
        if batch.schema.get_field_index(WORD_TIMES[0]) >= 0:
            self._check_word_times(word_times(batch), first)

    def _check_word_times(self, times: np.ndarray, first: int) -> None:
        """Raise StoreError where times of words [N, 2] are not a stretch of time; NaN for both is unknown."""
        unknown = np.isnan(times).all(axis=1)
        with np.errstate(invalid="ignore"):
            fits = (times[:, 0] >= 0) & (times[:, 1] > times[:, 0]) & np.isfinite(times[:, 1])
        if not (fits | unknown).all():
            row = int(np.argmin(fits | unknown))
            raise StoreError(
                f"{self.path}, row {first + row:,}: the word from {times[row, 0]:g} to {times[row, 1]:g} s, expected "
                f"an end after the start; {AGAIN}"
            )


class Split:
    """The sequences of one split, memory-mapped from its files. `split.sequence(i)` is a view, not a copy.

    Raises:
        StoreError: a file is missing or damaged.
    """

    def __init__(self, *files: ArrowFile) -> None:
        found = [(file, batch) for file in files for batch in file.batches()]
        self._files = [file for file, _ in found]  # of each record batch
        self._batches = [batch for _, batch in found]
        self._checked: set[int] = set()  # record batches whose values are right
        self.paths = tuple(file.path for file in files)
        self._values: list[np.ndarray] = []
        starts, lengths, owners = [], [], []
        for owner, batch in enumerate(self._batches):
            column = batch.column("sequence")
            offsets = column.offsets.to_numpy()
            self._values.append(flat_steps(column))
            starts.append(offsets[:-1])
            lengths.append(np.diff(offsets))
            owners.append(np.full(len(batch), owner))
        empty = np.zeros(0, dtype=np.int64)
        self._starts = np.concatenate([empty, *starts])
        self._owners = np.concatenate([empty, *owners])
        self._firsts = np.cumsum([0, *map(len, self._batches)])  # first row of each record batch
        self.lengths = np.concatenate([empty, *lengths])  # [N] int64, steps of each sequence

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def width(self) -> int | None:
        """Values of a frame; None where a step is a sample or a token id."""
        return next((values.shape[1] for values in self._values if values.ndim == 2), None)

    def head(self, rows: int | None) -> Split:
        """The first `rows` rows, for a trial; all of them for None or a larger number."""
        if rows is None or rows >= len(self):
            return self
        part = copy.copy(self)
        part.lengths = self.lengths[:rows]
        for cached in ("ids", "labels", "word_times"):
            part.__dict__.pop(cached, None)
        return part

    def sequence(self, row: int) -> np.ndarray:
        """Frames [T, F] or ids [T] of one row, a read-only view of the file.

        Raises StoreError where an id is outside the vocabulary, or a value is not finite.
        """
        owner = int(self._owners[row])
        if owner not in self._checked:
            self._check_values(owner)
        return self.stored(row)

    def stored(self, row: int) -> np.ndarray:
        """The same as it is stored, whatever its values: for checks that count what is wrong."""
        start = self._starts[row]
        view: np.ndarray = self._values[self._owners[row]][start : start + self.lengths[row]]
        return view

    def check_values(self) -> None:
        """Check the values of all sequences. Raises StoreError as `sequence` does."""
        for owner in range(len(self._batches)):
            self._check_values(owner)

    def _check_values(self, owner: int) -> None:
        file = self._files[owner]
        first = int(self._firsts[owner] - self._firsts[self._files.index(file)])
        file.check_values(self._batches[owner], first)
        self._checked.add(owner)

    def fields(self, row: int) -> dict[str, Any]:
        """The values of a row by column name, without its sequence."""
        owner = int(self._owners[row])
        batch = self._batches[owner]
        place = row - int(self._firsts[owner])
        names = (name for name in batch.schema.names if name != "sequence")
        return {name: batch.column(name)[place].as_py() for name in names}

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self.sequence(row) for row in range(len(self)))

    def column(self, name: str) -> list[Any]:
        """All values of a column other than `sequence`."""
        return [value for batch in self._batches for value in batch.column(name).to_pylist()][: len(self)]

    @cached_property
    def ids(self) -> list[str]:
        return self.column("id")

    @cached_property
    def labels(self) -> list[str]:
        return self.column("label")

    @cached_property
    def word_times(self) -> np.ndarray:
        """Start and end of each row's word, [N, 2] float64, in seconds from the start of the row; NaN where unknown."""
        return np.concatenate([np.zeros((0, 2)), *map(word_times, self._batches)])[: len(self)]


def word_times(batch: pa.RecordBatch) -> np.ndarray:
    """When the label of each row sounds, [N, 2] float64; NaN where it is unknown, as in stores without those columns.

    Start and end are in seconds from the start of the row.
    """
    if batch.schema.get_field_index(WORD_TIMES[0]) < 0:
        return np.full((len(batch), 2), np.nan)
    columns = [batch.column(name).to_numpy(zero_copy_only=False) for name in WORD_TIMES]
    return np.stack(columns, axis=1).astype(np.float64)


def flat_steps(sequences: pa.Array) -> np.ndarray:
    """The sequences of a whole column, concatenated, [sum of T, F] or [sum of T]: a view."""
    values = sequences.values
    if pa.types.is_fixed_size_list(values.type):
        width = values.type.list_size
        flat: np.ndarray = values.flatten().to_numpy(zero_copy_only=True).reshape(-1, width)
        return flat
    plain: np.ndarray = values.to_numpy(zero_copy_only=True)
    return plain


def _suits(found: pa.DataType, kind: str) -> bool:
    """Whether a type is one that the sequences of a kind of store have."""
    if not pa.types.is_large_list(found):
        return False
    if not pa.types.is_fixed_size_list(found.value_type):
        return kind not in OF_FRAMES and any(found.equals(sequence_type(kind, None, size)) for size in (0, 2**15))
    width = found.value_type.list_size
    return kind in OF_FRAMES and width > 0 and bool(found.equals(sequence_type(kind, width, 0)))


def _wrong_steps(values: np.ndarray, kind: str, vocabulary_size: int) -> np.ndarray | None:
    """Which steps hold a value that cannot be there, [N] bool; None where all are right, which is quickly known."""
    if not values.size or kind == "audio":  # any sample of 16 bits is right
        return None
    least, greatest = values.min(), values.max()  # NaN propagates
    if kind in ("features", "series"):
        right = bool(np.isfinite(least) and np.isfinite(greatest))
    else:
        right = bool(least >= 0 and greatest < (2 if kind == "roll" else vocabulary_size))
    if right:
        return None
    fits = _fits(values, kind, vocabulary_size)
    wrong: np.ndarray = np.logical_not(fits.reshape(len(fits), -1).all(axis=1))
    return wrong if wrong.any() else None


def _fits(values: np.ndarray, kind: str, vocabulary_size: int) -> np.ndarray:
    """Which values can be in a sequence, of the shape of `values`."""
    fits: np.ndarray
    if kind == "series":
        fits = ~np.isinf(values)  # NaN is unknown there
    elif kind == "features":
        fits = np.isfinite(values)
    else:
        fits = (values >= 0) & (values < (2 if kind == "roll" else vocabulary_size))
    return fits


def _expected(kind: str, vocabulary_size: int) -> str:
    if kind == "roll":
        return "0 or 1"
    return "finite numbers" if kind in ("features", "series") else f"ids from 0 to {vocabulary_size - 1:,}"


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
