"""Sequences on disk: a folder of memory-mapped Arrow files, one a split, described by `store.json`.

    STORE/train.arrow  valid.arrow  test.arrow   Arrow IPC files, uncompressed; a large split has several
                                                 (train-00000.arrow, train-00001.arrow ...)
    STORE/store.json                             kind, settings, vocabulary, normalisation, counts, fingerprint
    STORE/ledger.tsv                             what became of every input
    STORE/inputs.tsv                             fingerprint and number of rows of every input, for `--update`

Columns: `id`, `sequence` (`large_list` of frames, samples or token ids), `length`, `label`, `text`, `speaker`,
`condition` (such as clean or noisy), `duration` (seconds). A normalised store of samples also has `moments`, the
statistics of each training row: its number of frames, their sums [F] and the sums of their squares [F]. Equal inputs
give equal bytes: a store contains no time, host or path.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from seqaudio.errors import StoreError
from seqaudio.folders import Kind
from seqaudio.ledger import LedgerEntry, read_ledger, summarise
from seqaudio.vocabulary import Vocabulary

FORMAT = 1
KINDS = ("audio", "features", "tokens", "roll", "text", "series")
SPLITS = ("train", "valid", "test")
LEDGER = "ledger.tsv"
INPUTS = "inputs.tsv"
INPUTS_HEADER = "\t".join(("input", *SPLITS)) + "\n"
FOLDER = Kind(
    "a store", re.compile(r"((store\.json|ledger\.tsv|inputs\.tsv)(\.partial)?|(train|valid|test)(-\d{5,})?\.arrow)")
)
STATISTICS = "moments"  # the column; stores made before have this name


@dataclass(frozen=True)
class StoreDescription:
    """The properties of a store that are known before its inputs are read."""

    kind: str  # one of KINDS
    settings: dict[str, Any]  # JSON: {"features": {...}} or {"representation": {...}}
    vocabulary: tuple[str, ...] | None = None  # None: the labels of the rows, if they have any
    sources: tuple[str, ...] = ()  # names of the corpora, never paths
    licence: str = ""
    normalise: bool = False  # store mean and standard deviation of the training frames

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown kind of store {self.kind!r}, expected one of {KINDS}")

    @property
    def keeps_statistics(self) -> bool:
        """Whether the store has the column of statistics: a row of samples does not hold the frames they come from."""
        return self.normalise and self.kind == "audio"


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of each feature over all training frames, [F] float64."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    frames: int


@dataclass(frozen=True)
class SplitCount:
    """Size of one split: `rows` sequences, `steps` frames or tokens, `seconds`, rows of each label."""

    rows: int
    steps: int
    seconds: float
    labels: dict[str, int] = field(default_factory=dict)


def sequence_type(kind: str, width: int | None, vocabulary_size: int) -> pa.DataType:
    """Arrow type of the column `sequence`; `width` is the number of features of a frame."""
    if kind in ("features", "series"):
        return pa.large_list(pa.list_(pa.float32(), width))
    if kind == "roll":
        return pa.large_list(pa.list_(pa.uint8(), width))
    return pa.large_list(pa.int16() if vocabulary_size < 2**15 else pa.int32())


def schema(sequences: pa.DataType, statistics: bool = False) -> pa.Schema:
    """Arrow schema of a split; `statistics` adds that column."""
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
    return fields.append(pa.field(STATISTICS, pa.list_(pa.float64()))) if statistics else fields


def shard_name(split: str, number: int | None) -> str:
    """File name of a split, or of one of its several files (shards)."""
    return f"{split}.arrow" if number is None else f"{split}-{number:05d}.arrow"


def is_store(folder: Path) -> bool:
    """Whether a folder has the `store.json` of a store; where that is torn, the ledger beside it tells."""
    file = folder / "store.json"
    if not file.is_file():
        return False
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        return (folder / LEDGER).is_file()
    return isinstance(data, dict) and data.get("kind") in KINDS


class Split:
    """The sequences of one split, memory-mapped from its files. `split.sequence(i)` is a view, not a copy.

    Raises:
        StoreError: a file is missing or damaged.
    """

    def __init__(self, *paths: Path) -> None:
        self._batches = [batch for path in paths for batch in _record_batches(path)]
        self.paths = paths
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

    def head(self, rows: int | None) -> Split:
        """The first `rows` rows, for a trial; all of them for None or a larger number."""
        if rows is None or rows >= len(self):
            return self
        part = copy.copy(self)
        part.lengths = self.lengths[:rows]
        for cached in ("ids", "labels"):
            part.__dict__.pop(cached, None)
        return part

    def sequence(self, row: int) -> np.ndarray:
        """Frames [T, F] or ids [T] of one row, a read-only view of the file."""
        start = self._starts[row]
        view: np.ndarray = self._values[self._owners[row]][start : start + self.lengths[row]]
        return view

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


def _record_batches(path: Path) -> list[pa.RecordBatch]:
    try:
        reader = pa.ipc.open_file(pa.memory_map(str(path)))
        return [reader.get_batch(index) for index in range(reader.num_record_batches)]
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{path}: not a readable Arrow file ({error}); prepare the store again") from None


def flat_steps(sequences: pa.Array) -> np.ndarray:
    """The sequences of a whole column, concatenated, [sum of T, F] or [sum of T]: a view."""
    values = sequences.values
    if pa.types.is_fixed_size_list(values.type):
        width = values.type.list_size
        flat: np.ndarray = values.flatten().to_numpy(zero_copy_only=True).reshape(-1, width)
        return flat
    plain: np.ndarray = values.to_numpy(zero_copy_only=True)
    return plain


class Store:
    """A prepared data set. `store["train"]` is a Split; the other attributes come from `store.json`.

    Raises:
        StoreError: the folder is missing, not a store, or in a format that this version does not read.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        file = self.path / "store.json"
        if not self.path.is_dir():
            replaced = self.path.with_name(f"{self.path.name}.partial") / "replaced"
            if replaced.is_dir():
                raise StoreError(f"{self.path}: a preparation was killed while it replaced it; it is now {replaced}")
            raise StoreError(f"{self.path}: no such folder; make a store with a data_prep script")
        if not file.is_file():
            raise StoreError(f"{self.path}: not a store (it has no store.json); data_prep scripts make stores")
        try:
            data = json.loads(file.read_text(encoding="utf-8"))
            if data["format"] != FORMAT:
                raise StoreError(
                    f"{self.path}: store format {data['format']}, this version reads {FORMAT}; prepare it again"
                )
            self.kind: str = data["kind"]
            self.settings: dict[str, Any] = data["settings"]
            names = data["vocabulary"]
            self.vocabulary = None if names is None else Vocabulary(tuple(names))
            statistics = data["normalisation"]
            self.normalisation = None if statistics is None else _normalisation(statistics)
            self.counts = {name: SplitCount(**count) for name, count in data["counts"].items()}
            self.sources: tuple[str, ...] = tuple(data["sources"])
            self.licence: str = data["licence"]
            self.fingerprint: str = data["fingerprint"]
            self.files: tuple[str, ...] = tuple(data["files"])  # the Arrow files
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{file}: damaged ({error}); prepare the store again") from None
        self._splits: dict[str, Split] = {}

    def __getitem__(self, split: str) -> Split:
        if split not in self._splits:
            if not self.counts.get(split, SplitCount(0, 0, 0.0)).rows:
                filled = [name for name in SPLITS if name in self.counts and self.counts[name].rows]
                raise StoreError(f"{self.path}: the split {split!r} is empty; it has {', '.join(filled)}")
            names = sorted(name for name in self.files if name == f"{split}.arrow" or name.startswith(f"{split}-"))
            self._splits[split] = Split(*(self.path / name for name in names))
        return self._splits[split]

    def ledger(self) -> list[LedgerEntry]:
        """The entry of every input; empty where the store has no ledger. Raises StoreError for a damaged ledger."""
        file = self.path / LEDGER
        try:
            return read_ledger(file) if file.is_file() else []
        except ValueError as error:
            raise StoreError(f"{file}: damaged ({error}); prepare the store again") from None

    def require(self, kind: str | tuple[str, ...], use: str) -> None:
        """Raise StoreError unless the store is of `kind`, or one of several; the error names `use`, what needs it."""
        kinds = (kind,) if isinstance(kind, str) else kind
        if self.kind not in kinds:
            needed = " or ".join(map(repr, kinds))
            raise StoreError(f"{self.path}: a store of kind {self.kind!r}, {use} needs {needed}")

    @property
    def names(self) -> Vocabulary:
        """The vocabulary. Raises StoreError for a store without one."""
        if self.vocabulary is None:
            raise StoreError(f"{self.path}: has no labels or tokens; prepare it with labels")
        return self.vocabulary


def _normalisation(data: dict[str, Any]) -> Normalisation:
    return Normalisation(tuple(data["mean"]), tuple(data["std"]), data["frames"])


def store_json(
    description: StoreDescription,
    vocabulary: tuple[str, ...] | None,
    normalisation: Normalisation | None,
    counts: dict[str, SplitCount],
    files: dict[str, str],
) -> dict[str, Any]:
    """The content of `store.json`; `files` maps each Arrow file to the SHA-256 of its bytes."""
    data: dict[str, Any] = {
        "format": FORMAT,
        "kind": description.kind,
        "settings": description.settings,
        "vocabulary": None if vocabulary is None else list(vocabulary),
        "normalisation": None if normalisation is None else asdict(normalisation),
        "counts": {name: asdict(count) for name, count in counts.items()},
        "sources": list(description.sources),
        "licence": description.licence,
        "files": files,
    }
    data["fingerprint"] = hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()
    return data


def describe_store(store: Store) -> Iterator[str]:
    """Lines of text that describe the content of a store."""
    yield f"{store.path}: store of {store.kind}, fingerprint {store.fingerprint[:16]}"
    for name, value in store.settings.items():
        yield f"  {name}: {json.dumps(value)}"
    if store.sources:
        yield f"  sources: {', '.join(store.sources)}" + (f" ({store.licence})" if store.licence else "")
    yield f"  {'split':<6} {'sequences':>10} {'steps':>12} {'minutes':>9} {'shortest':>9} {'median':>7} {'longest':>8}"
    for split in SPLITS:
        if split not in store.counts:
            continue
        count, lengths = store.counts[split], sorted(store[split].lengths.tolist())
        yield (
            f"  {split:<6} {count.rows:>10,} {count.steps:>12,} {count.seconds / 60:>9,.1f} "
            f"{lengths[0]:>9,} {lengths[len(lengths) // 2]:>7,} {lengths[-1]:>8,}"
        )
    if store.vocabulary is not None:
        labelled = any(count.labels for count in store.counts.values())
        noun = "channels" if store.kind == "series" else "labels" if labelled else "tokens"
        yield f"  {noun}: {len(store.vocabulary):,}"
        for name in store.vocabulary if labelled else ():
            counts = (f"{split} {count.labels.get(name, 0):,}" for split, count in store.counts.items())
            yield f"    {name:<16} {', '.join(counts)}"
    if store.normalisation:
        yield f"  normalisation: mean and standard deviation of {store.normalisation.frames:,} training frames"
    if ledger := store.ledger():
        yield f"  inputs: {summarise(ledger)}"
