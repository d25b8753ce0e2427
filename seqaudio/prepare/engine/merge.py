"""Merge chunk files into the splits of the store, in the order of the inputs, in constant memory."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from seqaudio.arrow_files import STATISTICS, flat_steps, schema
from seqaudio.errors import StoreError
from seqaudio.files import GrowingDigest, naming, sync, write_json
from seqaudio.ledger import HEADER, decode_line, ledger_line
from seqaudio.prepare.engine.partial import INPUT_LINES, LEDGER_LINES, chunk_file
from seqaudio.prepare.engine.rows import read_rows
from seqaudio.prepare.engine.sequence_buffer import SequenceBuffer, steps_between, store_type
from seqaudio.prepare.engine.statistics import RunningStatistics
from seqaudio.store import (
    INPUTS,
    INPUTS_HEADER,
    LEDGER,
    SPLITS,
    SplitCount,
    StoreDescription,
    shard_name,
    store_json,
)
from seqaudio.vocabulary import Vocabulary

BATCH_ROWS = 1024  # rows in a record batch, at most
BATCH_BYTES = 1 << 20  # at most 1 MiB of sequences in a record batch, unless a single row is larger
SEQUENCE_COLUMN = schema(pa.null()).get_field_index("sequence")
POOL = pa.system_memory_pool()  # Arrow's own pool keeps freed memory: 20 MiB after a hundred chunks
SHARD_BYTES = 1 << 30  # at most 1 GiB of sequences in a file, unless a single record batch is larger
SYNC_BYTES = 1 << 25  # a file is synced each time 32 MiB were added, so that little is left to write at the end


class Merge:
    """Merges chunks in the order of the inputs, while workers prepare later ones.

        with Merge(partial, finished, description) as merge:
            merge.add(3)      # chunks may finish in any order
            ...
            rows = merge.close()

    Args:
        folder: where the chunks are.
        finished: an empty folder for the splits, the lists of inputs and `store.json`.
    """

    def __init__(self, folder: Path, finished: Path, description: StoreDescription) -> None:
        self.folder = folder
        self.finished = finished
        self.description = description
        self._thread = ThreadPoolExecutor(1, "merge-sync")  # hashes and syncs what was written
        self._splits = {split: _SplitWriter(finished, split, description, self._thread) for split in SPLITS}
        self._waiting: dict[int, Sequence[str] | None] = {}  # late splits of finished chunks that wait for earlier ones
        self._merged = 0  # the number of chunks merged so far
        self._late_splits: list[Sequence[str] | None] = []  # of each merged chunk; None where its rows have a split

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown(cancel_futures=True)

    def add(self, index: int, late_splits: Sequence[str] | None = None) -> None:
        """Add a finished chunk. Raises OSError, such as for a full disk.

        Args:
            index: of the chunk.
            late_splits: the split of each of its items, where splits are chosen once all chunks are done.
        """
        self._waiting[index] = late_splits
        while self._merged in self._waiting:
            splits = self._waiting.pop(self._merged)
            self._late_splits.append(splits)
            for split, batch in read_rows(chunk_file(self.folder, self._merged, ".arrow"), splits):
                self._splits[split].add(batch)
            for writer in self._splits.values():
                writer.release_chunk()
            self._merged += 1

    def close(self) -> int:
        """Write what is left, once all chunks were added. Returns the number of rows.

        Raises:
            StoreError: two rows share an id; or the store needs statistics, and the training split holds NaN, infinite
                or overflowing values.
        """
        filled = {split: writer for split, writer in self._splits.items() if writer.close()}
        if not filled:
            return 0
        _check_ids([array for writer in filled.values() for array in writer.ids])
        description = self.description
        train = self._splits["train"]
        if description.normalise and train.not_finite is not None:
            raise StoreError(
                f"the row {train.not_finite!r} holds NaN, infinite or overflowing values, so mean and standard "
                f"deviation cannot be computed; correct or remove its input, or try other settings"
            )
        # a test set alone has none: a model uses the statistics that it was trained with
        normalisation = train.statistics.normalisation() if description.normalise else None
        vocabulary = description.vocabulary
        labels = {label for writer in filled.values() for label in writer.labels}
        if vocabulary is None and labels:
            vocabulary = Vocabulary.from_labels(labels).names
        self._join(LEDGER_LINES, self.finished / LEDGER, HEADER, _ledger_line_with_split)
        self._join(INPUT_LINES, self.finished / INPUTS, INPUTS_HEADER, _input_line_with_split)
        counts = {split: writer.count() for split, writer in filled.items()}
        files = {name: digest for writer in filled.values() for name, digest in writer.files()}
        sizes = {name: (self.finished / name).stat().st_size for name in files}
        of_training = description.of_training(train.texts, train.tokens) if description.of_training else {}
        content = store_json(description, vocabulary, normalisation, counts, files, sizes, of_training)
        write_json(self.finished / "store.json", content)
        return sum(count.rows for count in counts.values())

    def _join(self, suffix: str, path: Path, header: str, with_split: Callable[[str, str], str]) -> None:
        """Write column names and the lines of all chunks into one file; `with_split` adds a late split to a line."""
        with naming(path), path.open("wb") as joined:
            joined.write(header.encode())
            for index, splits in enumerate(self._late_splits):
                with chunk_file(self.folder, index, suffix).open("rb") as part:
                    if splits is None:
                        shutil.copyfileobj(part, joined)
                    else:
                        lines = part.read().decode("utf-8").splitlines(keepends=True)
                        joined.write("".join(map(with_split, lines, splits)).encode("utf-8"))


def _check_ids(ids: list[pa.StringArray]) -> None:
    joined = pa.chunked_array(ids)
    if pc.count_distinct(joined, memory_pool=POOL).as_py() != len(joined):
        names = pc.value_counts(joined)
        twice = names.filter(pc.greater(names.field("counts"), 1)).field("values")[0].as_py()
        raise StoreError(f"two rows share the id {twice!r}, expected unique ids; leave one of them out")


def _ledger_line_with_split(line: str, split: str) -> str:
    """A line of ledger.tsv with a late split; unchanged for an input without rows."""
    entry = decode_line(line)
    return ledger_line(replace(entry, split=split)) if entry.rows else line


def _input_line_with_split(line: str, split: str) -> str:
    """A line of inputs.tsv, which counts the rows in each split; the chunk's line has their total only."""
    fingerprint, rows = line.rstrip("\n").split("\t")
    return "\t".join([fingerprint, *(rows if name == split else "0" for name in SPLITS)]) + "\n"


class _SplitWriter:
    """Writes the shards of one split, and counts its rows.

    Where record batches and shards end depends on the number and size of rows alone, however chunks were cut.
    """

    def __init__(self, folder: Path, split: str, description: StoreDescription, thread: Executor) -> None:
        self.folder = folder
        self.thread = thread
        self.split = split
        self.keeps_statistics = description.keeps_statistics
        self.sums_up = split == "train" and description.of_training is not None
        self.texts: list[str] = []  # of the training rows, and the ids that occur in them, where they are summed up
        self.tokens = set[int]()
        self.paths: list[Path] = []
        self.digests: list[str] = []  # SHA-256 of each shard
        self.ids: list[pa.StringArray] = []
        self.labels = Counter[str]()
        self.statistics = RunningStatistics()
        self.not_finite: str | None = None  # id of the first row whose statistics are NaN or infinite
        self.rows = self.steps = 0
        self.seconds = 0.0
        # the record batch that is being filled (a part of the shard): its sequences, and its other columns
        self._sequences: SequenceBuffer | None = None
        self._others: list[pa.RecordBatch] = []
        self._part_rows = self._part_bytes = self._shard_bytes = 0
        self._shard: _Shard | None = None

    def add(self, batch: pa.RecordBatch) -> None:
        """Add rows of a chunk."""
        self._count(batch)
        if not self.keeps_statistics and STATISTICS in batch.schema.names:
            batch = batch.remove_column(batch.schema.get_field_index(STATISTICS))
        start = 0
        for end, size in enumerate(_row_bytes(batch).tolist()):
            full = self._part_rows == BATCH_ROWS or self._part_bytes + size > BATCH_BYTES
            if full and self._part_rows:
                self._buffer(batch, start, end)
                self._write()
                start = end
            self._part_rows += 1
            self._part_bytes += size
        self._buffer(batch, start, len(batch))

    def release_chunk(self) -> None:
        """Copy buffered rows that are views of the chunk, since a few of them would keep its whole file in memory."""
        if self._others:
            self._others = [pa.concat_batches(self._others, memory_pool=POOL)]

    def close(self) -> bool:
        """Write what is left; False where the split is empty."""
        if self._part_rows:
            self._write()
        self._end_shard()
        if len(self.paths) == 1:  # a split of one file has a plain name
            self.paths = [self.paths[0].rename(self.folder / shard_name(self.split, None))]
        return bool(self.paths)

    def files(self) -> Iterator[tuple[str, str]]:
        """Name and SHA-256 of each shard."""
        return zip((path.name for path in self.paths), self.digests, strict=True)

    def count(self) -> SplitCount:
        """The counts for `store.json`."""
        labels = dict(sorted((name, count) for name, count in self.labels.items()))
        return SplitCount(self.rows, self.steps, round(self.seconds, 6), labels)

    def _count(self, batch: pa.RecordBatch) -> None:
        self.rows += len(batch)
        self.steps += pc.sum(batch.column("length")).as_py()
        durations = batch.column("duration").to_numpy()
        # cumsum adds one after the other, as in RunningStatistics: the last digit must not depend on the chunks
        self.seconds = float(np.cumsum(np.concatenate([[self.seconds], durations]))[-1])
        # a copy: an array of the chunk would keep its file in memory
        self.ids.append(pa.array(batch.column("id").to_pylist(), pa.string(), memory_pool=POOL))
        if self.sums_up:
            self.texts += batch.column("text").to_pylist()
            self.tokens.update(np.unique(flat_steps(batch.column("sequence"))).tolist())
        self.labels.update(name for name in batch.column("label").to_pylist() if name)
        if self.split == "train" and STATISTICS in batch.schema.names:
            statistics = batch.column(STATISTICS).flatten().to_numpy().reshape(len(batch), -1)
            finite = np.isfinite(statistics).all(axis=1)
            if self.not_finite is None and not finite.all():
                self.not_finite = batch.column("id")[int(np.argmin(finite))].as_py()
            self.statistics.add(statistics)

    def _buffer(self, batch: pa.RecordBatch, start: int, end: int) -> None:
        """Buffer rows start .. end - 1 of a chunk's batch."""
        column = batch.column("sequence")
        if self._sequences is None:
            self._sequences = SequenceBuffer(store_type(column.type), BATCH_BYTES)
        ends = column.offsets.to_numpy()
        steps = steps_between(column, ends[start], ends[end])
        self._sequences.add(steps, np.diff(ends[start : end + 1]).tolist())
        others = batch.remove_column(SEQUENCE_COLUMN)
        self._others.append(others.slice(start, end - start))

    def _write(self) -> None:
        """Write the buffered rows as one record batch, into a new shard where the last one is full."""
        assert self._sequences is not None
        column = self._sequences.column()
        # one batch, so that equal rows give equal bytes however they were spread over chunks
        others = pa.concat_batches(self._others, memory_pool=POOL)
        batch = others.add_column(SEQUENCE_COLUMN, pa.field("sequence", column.type), column)
        if self._shard_bytes and self._shard_bytes + self._part_bytes > SHARD_BYTES:
            self._end_shard()
        if self._shard is None:
            path = self.folder / shard_name(self.split, len(self.paths))
            self._shard = _Shard(path, batch.schema, self.thread)
            self.paths.append(path)
        self._shard.write(batch)
        self._shard_bytes += self._part_bytes
        self._sequences.clear()
        self._others, self._part_rows, self._part_bytes = [], 0, 0

    def _end_shard(self) -> None:
        if self._shard is not None:
            self.digests.append(self._shard.close())
        self._shard, self._shard_bytes = None, 0


class _Shard:
    """One Arrow file that is being written; another thread hashes and syncs it meanwhile."""

    def __init__(self, path: Path, schema: pa.Schema, thread: Executor) -> None:
        self.path = path
        self._sink = pa.OSFile(os.fsencode(path), "wb")
        self._writer = pa.ipc.new_file(self._sink, schema)
        self._thread = thread
        self._digest = GrowingDigest(path)
        self._background: Future[None] | None = None
        self._synced = 0  # bytes that are on the disk

    def write(self, batch: pa.RecordBatch) -> None:
        """Add a record batch."""
        with naming(self.path):
            self._writer.write_batch(batch)
        if self._background is not None and self._background.done():
            self._background.result()  # raises the thread's error, if any
            self._background = None
        if self._background is None:
            self._background = self._thread.submit(self._hash_and_sync)

    def close(self) -> str:
        """Close the file. Returns its SHA-256."""
        with naming(self.path):
            self._writer.close()
            self._sink.close()
        if self._background is not None:
            self._background.result()
        return self._thread.submit(self._digest.close).result()

    def _hash_and_sync(self) -> None:
        """In the other thread: hash what was written since the last call, and sync it once it is SYNC_BYTES."""
        self._digest.read_on()
        if self._digest.bytes - self._synced >= SYNC_BYTES:
            sync(self.path)
            self._synced = self._digest.bytes


def _row_bytes(batch: pa.RecordBatch) -> np.ndarray:
    """Bytes of each row's sequence in the store, [N] int64."""
    step = store_type(batch.column("sequence").type).value_type
    scalar = step.value_type if pa.types.is_fixed_size_list(step) else step
    width = step.list_size if pa.types.is_fixed_size_list(step) else 1
    sizes: np.ndarray = batch.column("length").to_numpy() * (width * scalar.bit_width // 8)
    return sizes
