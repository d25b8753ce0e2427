"""The build of a store: every input once through a `Process`, on any number of workers, safe to interrupt.

Inputs are cut into chunks of fixed size. A worker turns one chunk into an Arrow file and its ledger lines, in
`OUT.partial/`; a finished chunk is one whose `.json` is there. A second run of the same command picks finished chunks
up. At the end the chunks are merged in order into the splits, statistics are taken from the training frames, and
the folder is moved to OUT. Neither the number of workers nor the size of a chunk changes a byte of the store.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

import seqaudio
from seqaudio.errors import InputFileError, OptionError, SourceError, StoreError
from seqaudio.files import sha256_of, swap_folder, sync, write_json
from seqaudio.ledger import LedgerEntry, Reason, Status, read_ledger, summarise, write_ledger
from seqaudio.progress import progress
from seqaudio.store import (
    SPLITS,
    Normalisation,
    SplitCount,
    Store,
    StoreDescription,
    describe,
    schema,
    sequence_array,
    sequence_type,
)
from seqaudio.vocabulary import Vocabulary

CHUNK = 64  # inputs of a chunk: small enough to lose little, large enough to cost nothing
BATCH_ROWS = 1024  # rows of a record batch


@dataclass(frozen=True)
class Item:
    """One input. `key` names it in the ledger: its path below the source, or `table.csv#17`.

    `path` is None for an input that no file holds, such as a word to be spoken by a synthesiser.
    """

    key: str
    path: Path | None
    id: str
    split: str = ""  # empty: the Process decides, in each Row
    label: str = ""
    text: str = ""
    speaker: str = ""
    condition: str = ""  # how it was recorded, such as clean or noisy; evaluation tells them apart

    @property
    def file(self) -> Path:
        """The path of an input that is a file. Raises ValueError for one that is not."""
        if self.path is None:
            raise ValueError(f"{self.key} is not a file")
        return self.path


@dataclass(frozen=True)
class Row:
    """One sequence for the store. An empty string falls back to that of the Item."""

    id: str
    sequence: np.ndarray  # [T, F] float32 frames, or [T] int64 ids or int16 samples
    duration: float  # seconds
    split: str = ""
    label: str = ""
    text: str = ""
    speaker: str = ""
    condition: str = ""
    remark: str = ""  # for the ledger: what had to be left out or put right


INHERITED = ("split", "label", "text", "speaker", "condition")  # what a Row takes over from its Item

# a picklable callable, usually a frozen dataclass; raises InputFileError for an input that cannot be used
Process = Callable[[Item], list[Row]]


def build_store(
    out: Path,
    items: Sequence[Item],
    process: Process,
    description: StoreDescription,
    *,
    workers: int = 1,
    force: bool = False,
    limit: int | None = None,
    chunk: int = CHUNK,
    executor: Executor | None = None,
) -> Store:
    """Prepare a store at `out` from `items`, in their order.

    Args:
        process: turns an Item into rows. An InputFileError puts the item into the ledger as refused.
        workers: processes to use; 1 works in this one. An `executor` of one's own takes their place.
        force: replace a store that is there.
        limit: take only the first `limit` items, for a trial.

    Raises:
        OptionError: workers or limit below 1.
        StoreError: `out` exists and `force` is not given, or is not a store; nothing could be kept; two rows share
            an id; a worker died.
    """
    if workers < 1:
        raise OptionError(f"--workers {workers}, expected at least 1")
    if limit is not None and limit < 1:
        raise OptionError(f"--limit {limit}, expected at least 1")
    items = list(items[:limit])
    if not items:
        raise SourceError("nothing to prepare: no input was found")
    check_output(out, force)
    partial = out.with_name(out.name + ".partial")
    chunks = [items[start : start + chunk] for start in range(0, len(items), chunk)]
    done = _open_partial(partial, _plan(items, process, description, chunk))
    _process_chunks(partial, chunks, done, process, description, workers, executor)
    entries = [entry for index in range(len(chunks)) for entry in read_ledger(_ledger(partial, index))]
    if not any(entry.status is Status.KEPT for entry in entries):
        first = next(entry for entry in entries if entry.status is not Status.KEPT)
        shutil.rmtree(partial)
        raise StoreError(
            f"nothing could be kept of {len(entries):,} inputs: {summarise(entries)}; "
            f"the first: {first.path}: {first.reason}: {first.detail}"
        )
    finished = partial / "store"
    if finished.exists():
        shutil.rmtree(finished)
    finished.mkdir()
    try:
        _merge(partial, len(chunks), finished, description)
    except StoreError:
        shutil.rmtree(partial)
        raise
    write_ledger(finished / "ledger.tsv", entries)
    for file in (*sorted(finished.iterdir()), finished):
        sync(file)
    out.parent.mkdir(parents=True, exist_ok=True)
    swap_folder(finished, out)
    shutil.rmtree(partial)
    return Store(out)


def check_output(out: Path, force: bool) -> None:
    """Raise StoreError where `out` exists, unless it is a store and `force` is given."""
    if not out.exists():
        return
    if not (out / "store.json").is_file():
        raise StoreError(f"{out} exists and is not a store; choose another --out")
    if not force:
        raise StoreError(f"{out} exists; give --force to replace it, or choose another --out")


def _plan(items: Sequence[Item], process: Process, description: StoreDescription, chunk: int) -> str:
    """A fingerprint of all that decides the finished chunks; another plan starts from nothing."""
    digest = hashlib.sha256()
    digest.update(repr((seqaudio.__version__, process, description, chunk)).encode("utf-8", "surrogateescape"))
    for item in items:
        fields = [str(value) for value in dataclasses.astuple(item)]
        if item.path is None:
            digest.update(json.dumps(fields).encode())
            continue
        try:
            status = item.path.stat()
            fields += [str(status.st_size), str(status.st_mtime_ns)]
        except OSError:
            fields.append("missing")
        digest.update(json.dumps(fields).encode())
    return digest.hexdigest()


def _open_partial(partial: Path, plan: str) -> set[int]:
    """Make `OUT.partial/` for this plan; the numbers of the chunks that an interrupted run had finished."""
    file = partial / "plan.txt"
    if partial.exists() and not (file.is_file() and file.read_text() == plan):
        shutil.rmtree(partial)
    partial.mkdir(parents=True, exist_ok=True)
    file.write_text(plan)
    done = set()
    for journal in partial.glob("chunk-*.json"):
        index = int(journal.stem.removeprefix("chunk-"))
        known = json.loads(journal.read_text())
        intact = all((partial / name).is_file() for name in known)
        if intact and all(sha256_of(partial / name) == digest for name, digest in known.items()):
            done.add(index)
    return done


def _arrow(partial: Path, index: int) -> Path:
    return partial / f"chunk-{index:06d}.arrow"


def _ledger(partial: Path, index: int) -> Path:
    return partial / f"chunk-{index:06d}.tsv"


def _process_chunks(
    partial: Path,
    chunks: list[list[Item]],
    done: set[int],
    process: Process,
    description: StoreDescription,
    workers: int,
    executor: Executor | None,
) -> None:
    waiting = [index for index in range(len(chunks)) if index not in done]
    total = sum(map(len, chunks))
    ready = total - sum(len(chunks[index]) for index in waiting)
    if workers == 1 and executor is None:
        with progress("preparing", total, "inputs", ready) as advance:
            for index in waiting:
                advance(_process_chunk(partial, index, chunks[index], process, description))
        return
    pool: AbstractContextManager[Executor]
    # spawn: a forked child of a process with running torch threads can hang
    pool = nullcontext(executor) if executor else ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
    with progress("preparing", total, "inputs", ready) as advance, pool as executor:
        running: dict[int, Future[int]] = {}
        try:
            for index in waiting:
                running[index] = executor.submit(_process_chunk, partial, index, chunks[index], process, description)
                if len(running) < 2 * workers:
                    continue
                advance(running.pop(next(iter(running))).result())
            for index in list(running):
                advance(running.pop(index).result())
        except BrokenProcessPool:
            raise StoreError(
                "a worker process died (out of memory, or killed); finished work is kept, run the command again, "
                "with fewer --workers if memory was short"
            ) from None


def _process_chunk(
    partial: Path, index: int, items: list[Item], process: Process, description: StoreDescription
) -> int:
    """Turn one chunk into its Arrow file, its ledger lines and, last of all, its journal; the number of items."""
    rows: list[Row] = []
    entries = []
    for item in items:
        kept, entry = _process_item(item, process)
        rows += kept
        entries.append(entry)
    width = next((row.sequence.shape[1] for row in rows if row.sequence.ndim == 2), 1)
    kind = sequence_type(description.kind, width, len(description.vocabulary or ()))
    columns = [
        pa.array([row.id for row in rows], pa.string()),
        sequence_array([row.sequence for row in rows], kind),
        pa.array([len(row.sequence) for row in rows], pa.int64()),
        pa.array([row.label for row in rows], pa.string()),
        pa.array([row.text for row in rows], pa.string()),
        pa.array([row.speaker for row in rows], pa.string()),
        pa.array([row.condition for row in rows], pa.string()),
        pa.array([row.duration for row in rows], pa.float64()),
        pa.array([row.split for row in rows], pa.string()),
    ]
    full = schema(kind).append(pa.field("split", pa.string()))
    files = [_arrow(partial, index), _ledger(partial, index)]
    with pa.OSFile(str(files[0]), "wb") as sink, pa.ipc.new_file(sink, full) as writer:
        writer.write_batch(pa.record_batch(columns, schema=full))
    write_ledger(files[1], entries)
    for file in files:
        sync(file)
    write_json(partial / f"chunk-{index:06d}.json", {file.name: sha256_of(file) for file in files})
    return len(items)


def _process_item(item: Item, process: Process) -> tuple[list[Row], LedgerEntry]:
    try:
        digest = "" if item.path is None else sha256_of(item.path)
    except FileNotFoundError:
        return [], LedgerEntry(item.key, Status.REFUSED, Reason.MISSING, "no such file", split=item.split)
    except OSError as error:
        detail = error.strerror or type(error).__name__
        return [], LedgerEntry(item.key, Status.REFUSED, Reason.UNREADABLE, detail, split=item.split)
    try:
        rows = [_with_item(row, item) for row in process(item)]
    except InputFileError as error:
        entry = LedgerEntry(item.key, Status.REFUSED, error.reason, error.detail, split=item.split, sha256=digest)
        return [], entry
    seconds = sum(row.duration for row in rows)
    split = ",".join(sorted({row.split for row in rows}, key=SPLITS.index))
    remarks = "; ".join(dict.fromkeys(row.remark for row in rows if row.remark))
    return rows, LedgerEntry(
        item.key, Status.KEPT, detail=remarks, seconds=seconds, split=split, rows=len(rows), sha256=digest
    )


def _with_item(row: Row, item: Item) -> Row:
    filled = {name: getattr(row, name) or getattr(item, name) for name in INHERITED}
    if filled["split"] not in SPLITS:
        raise ValueError(f"{item.key}: split {filled['split']!r}, expected one of {SPLITS}")
    return dataclasses.replace(row, **filled)


def _merge(partial: Path, chunks: int, finished: Path, description: StoreDescription) -> None:
    """Write the splits, in the order of the inputs, and `store.json`."""
    counts: dict[str, SplitCount] = {}
    files: dict[str, str] = {}
    labels: set[str] = set()
    seen: set[str] = set()
    normalisation = None
    for split in SPLITS:
        batches = _batches(partial, chunks, split)
        first = next(batches, None)
        if first is None:
            continue
        path = finished / f"{split}.arrow"
        statistics = _Statistics() if description.normalise and split == "train" else None
        rows, steps, seconds, per_label = 0, 0, 0.0, Counter[str]()
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, first.schema) as writer:
            for batch in itertools.chain([first], batches):
                writer.write_batch(batch)
                for name in batch.column("id").to_pylist():
                    if name in seen:
                        raise StoreError(f"two rows share the id {name!r}; ids must be unique in a store")
                    seen.add(name)
                rows += len(batch)
                steps += pc.sum(batch.column("length")).as_py()
                seconds += float(np.sum(batch.column("duration").to_numpy()))
                per_label.update(batch.column("label").to_pylist())
                if statistics:
                    statistics.add(batch.column("sequence").values)
        per_label.pop("", None)
        labels.update(per_label)
        counts[split] = SplitCount(rows, steps, round(seconds, 6), dict(sorted(per_label.items())))
        files[path.name] = sha256_of(path)
        if statistics:
            normalisation = statistics.result()
    if description.normalise and normalisation is None:
        raise StoreError("no row is in the training split, so no statistics can be taken from it")
    vocabulary = description.vocabulary
    if vocabulary is None and labels:
        vocabulary = Vocabulary.from_labels(labels).names
    write_json(finished / "store.json", describe(description, vocabulary, normalisation, counts, files))


def _batches(partial: Path, chunks: int, split: str) -> Iterator[pa.RecordBatch]:
    """The rows of one split in record batches of BATCH_ROWS, whatever the chunks were."""
    held: list[pa.Table] = []
    for index in range(chunks):
        with pa.memory_map(str(_arrow(partial, index))) as source:
            table = pa.ipc.open_file(source).read_all()
            table = table.filter(pc.equal(table["split"], split)).drop_columns("split")
        if not len(table):
            continue
        held.append(table)
        while sum(map(len, held)) >= BATCH_ROWS:
            joined = pa.concat_tables(held)
            yield _one_batch(joined.slice(0, BATCH_ROWS))
            rest = joined.slice(BATCH_ROWS)
            held = [rest] if len(rest) else []
    if held:
        yield _one_batch(pa.concat_tables(held))


def _one_batch(table: pa.Table) -> pa.RecordBatch:
    # combine_chunks copies, which also drops the rows before and after a slice from the buffers
    batch: pa.RecordBatch = pa.concat_batches(table.to_batches())
    return batch


class _Statistics:
    """Mean and variance of frames, summed in float64 one record batch after the other."""

    def __init__(self) -> None:
        self.frames = 0
        self.total: np.ndarray | float = 0.0
        self.squares: np.ndarray | float = 0.0

    def add(self, values: pa.FixedSizeListArray) -> None:
        frames = values.flatten().to_numpy().reshape(-1, values.type.list_size).astype(np.float64)
        self.frames += len(frames)
        self.total = self.total + frames.sum(axis=0)
        self.squares = self.squares + np.square(frames).sum(axis=0)

    def result(self) -> Normalisation:
        mean = np.asarray(self.total) / self.frames
        variance = np.maximum(np.asarray(self.squares) / self.frames - mean**2, 1e-10)
        return Normalisation(tuple(mean.tolist()), tuple(np.sqrt(variance).tolist()), self.frames)
