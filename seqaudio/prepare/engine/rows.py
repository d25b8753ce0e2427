"""Write and read the Arrow file of a chunk: its rows, grouped by split, or in order where splits are chosen later."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from seqaudio.arrow_files import STATISTICS, WORD_TIMES, schema, sequence_type
from seqaudio.files import is_unicode, naming, require_plain
from seqaudio.ledger import encode_field
from seqaudio.prepare.engine.items import Item, Row
from seqaudio.prepare.engine.partial import own_name
from seqaudio.prepare.engine.sequence_buffer import SequenceBuffer, chunk_type
from seqaudio.prepare.engine.statistics import statistics_of
from seqaudio.store import SPLITS, StoreDescription
from seqaudio.units import Seconds

# besides the sequences
COLUMNS = ("id", "length", "label", "text", "speaker", "condition", "duration", *WORD_TIMES, STATISTICS)
SPLIT, ITEM = "split", "item"  # columns of chunks, not of stores; ITEM is the index of a row's item in its chunk
# rows of a split are written once so many bytes and so many rows are buffered
HELD_BYTES = 1 << 21  # 2 MiB of sequences
HELD_ROWS = 32  # as a record batch costs as much as tens of rows
MAX_HELD_BYTES = 1 << 22  # 4 MiB are written, however few their rows


class _Columns:
    """Buffers the rows of one split, column by column, until they are written."""

    def __init__(self, kind: pa.DataType) -> None:
        self.kind = kind
        self.sequences = SequenceBuffer(kind, 2 * HELD_BYTES)
        self.rows: list[tuple[str | int | float | np.ndarray | None, ...]] = []  # values of COLUMNS and ITEM

    def add(self, row: Row, item: Item, place: int, statistics: np.ndarray | None) -> None:
        length = len(row.sequence)
        self.sequences.add(row.sequence, [length])
        texts = (row.label or item.label, row.text or item.text, row.speaker or item.speaker)
        condition = row.condition or item.condition
        times = _word_times(row, item)
        self.rows.append((row.id, length, *texts, condition, row.duration, *times, statistics, place))

    def batch(self, split: str, description: StoreDescription) -> pa.RecordBatch:
        """The buffered rows: a view, to be written before the next row is added."""
        fields = schema(self.kind, description.normalise, description.keeps_word_times)
        values = dict(zip((*COLUMNS, ITEM), zip(*self.rows, strict=True), strict=True))
        arrays = [
            self.sequences.column() if field.name == "sequence" else _column(values[field.name], field.type)
            for field in fields
        ]
        arrays.append(pa.array([split] * len(self.sequences), pa.string()))
        arrays.append(pa.array(values[ITEM], pa.int32()))
        fields = fields.append(pa.field(SPLIT, pa.string())).append(pa.field(ITEM, pa.int32()))
        return pa.record_batch(arrays, schema=fields)

    def clear(self) -> None:
        self.sequences.clear()
        self.rows.clear()


class RowWriter:
    """Writes the rows of a chunk in order, as record batches of one split each.

    Columns are those of a store, the statistics of training rows where the description asks for normalisation, the
    split, and the index of the row's item in the chunk.

    Args:
        late: splits are chosen later and empty here; statistics are kept of all rows then.
    """

    def __init__(self, path: Path, description: StoreDescription, late: bool = False) -> None:
        self.path = path
        self.description = description
        self.late = late
        self._waiting: dict[str, _Columns] = {}
        self._sink: pa.OSFile | None = None
        self._writer: pa.ipc.RecordBatchFileWriter | None = None

    def add(self, row: Row, item: Item, place: int) -> str:
        """Add a row of the item at index `place`. Returns its split.

        Raises ValueError for an unknown split, and for a word that ends before it begins.
        """
        split = "" if self.late else row.split or item.split
        if split not in SPLITS and not self.late:
            raise ValueError(f"{item.key}: unknown split {split!r}, expected one of {SPLITS}")
        start, end = _word_times(row, item)
        if start is not None and not (end is not None and 0 <= start < end < math.inf):
            raise ValueError(f"{item.key}: the word from {start} to {end} s, expected an end after the start")
        statistics = None
        if self.description.normalise and split in ("", "train"):
            statistics = (row.statistics or statistics_of(row.sequence)).flat()
        waiting = self._waiting.get(split)
        if waiting is None:
            waiting = self._waiting[split] = _Columns(self._kind(row))
        waiting.add(row, item, place, statistics)
        held, rows = waiting.sequences.bytes, len(waiting.sequences)
        if (held >= HELD_BYTES and rows >= HELD_ROWS) or held >= MAX_HELD_BYTES:
            self._write(split)
        return split

    def close(self) -> list[Path]:
        """Write what is left. Returns the file; an empty list where there was no row."""
        for split in ("", *SPLITS):
            if split in self._waiting and len(self._waiting[split].sequences):
                self._write(split)
        if self._writer is None or self._sink is None:
            return []
        with naming(self.path):
            self._writer.close()
            self._sink.close()
            own_name(self.path).replace(self.path)
        return [self.path]

    def _write(self, split: str) -> None:
        waiting = self._waiting[split]
        batch = waiting.batch(split, self.description)
        with naming(self.path):
            if self._writer is None:
                self._sink = pa.OSFile(os.fsencode(own_name(self.path)), "wb")
                self._writer = pa.ipc.new_file(self._sink, batch.schema)
            self._writer.write_batch(batch)
        waiting.clear()

    def _kind(self, row: Row) -> pa.DataType:
        width = row.sequence.shape[1] if row.sequence.ndim == 2 else 1
        return chunk_type(sequence_type(self.description.kind, width, len(self.description.vocabulary or ())))


def _word_times(row: Row, item: Item) -> tuple[Seconds | None, Seconds | None]:
    timed: Row | Item = item if row.word_start is None else row
    return timed.word_start, timed.word_end


def _column(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """A column of a chunk; bytes of names that are not UTF-8 are percent-encoded, as in the ledger."""
    try:
        return pa.array(values, kind)
    except UnicodeEncodeError:
        return pa.array([text if text is None or is_unicode(text) else encode_field(text) for text in values], kind)


def read_rows(path: Path, chosen: Sequence[str] | None = None) -> Iterator[tuple[str, pa.RecordBatch]]:
    """The record batches of a chunk with the split of each; none where the chunk has no rows.

    They may be views of the file: keeping one keeps the whole file in memory.

    Args:
        chosen: the split of each item of the chunk, where splits were chosen later.
    Raises ValueError for an unknown split of an item with rows.
    """
    if not path.exists():
        return
    require_plain(path)
    with pa.memory_map(os.fsencode(path)) as source:
        reader = pa.ipc.open_file(source)
        for index in range(reader.num_record_batches):
            batch = reader.get_batch(index)
            split, items = batch.column(SPLIT)[0].as_py(), batch.column(ITEM).to_numpy()
            rows = batch.drop_columns([SPLIT, ITEM])
            if chosen is None:
                yield split, rows
                continue
            splits = np.array(chosen)[items]
            if unknown := sorted(set(splits.tolist()) - set(SPLITS)):
                raise ValueError(
                    f"{path.name}: unknown split {unknown[0]!r} chosen for a row, expected one of {SPLITS}"
                )
            for split in SPLITS:
                here = splits == split
                if here.any():
                    yield split, rows.filter(pa.array(here))
