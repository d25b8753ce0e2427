"""Sequences on disk: a folder of memory-mapped Arrow files, one a split, described by `store.json`.

    STORE/train.arrow  valid.arrow  test.arrow   Arrow IPC files, uncompressed; a large split has several
                                                 (train-00000.arrow, train-00001.arrow ...)
    STORE/store.json                             kind, settings, vocabulary, normalisation, counts, fingerprint
    STORE/ledger.tsv                             what became of every input
    STORE/inputs.tsv                             fingerprint and number of rows of every input, for `--update`

Columns: `id`, `sequence` (`large_list` of frames, samples or token ids), `length`, `label`, `text`, `speaker`,
`condition` (such as clean or noisy), `duration` (seconds). A normalised store of samples also has `moments`, the
statistics of each training row: its number of frames, their sums [F] and the sums of their squares [F]. Where the
settings have `word_times`, `word_start` and `word_end` say when the label sounds, in seconds from the start of the row
(`Split.word_times`). Equal inputs give equal bytes: a store contains no time, host or path.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from seqaudio.arrow_files import AGAIN, ArrowFile, Split
from seqaudio.errors import StoreError
from seqaudio.files import json_text
from seqaudio.folders import Kind
from seqaudio.json_files import Count, Format, checked, fitted, read_json, shortened
from seqaudio.ledger import LedgerEntry, read_ledger, refused_most, summarise
from seqaudio.terminal import visible
from seqaudio.vocabulary import UNKNOWN, UNKNOWN_WORD, Vocabulary, alike_names

FORMAT = 1
KINDS = ("audio", "features", "tokens", "roll", "text", "series")
SPLITS = ("train", "valid", "test")
LEDGER = "ledger.tsv"
INPUTS = "inputs.tsv"
INPUTS_HEADER = "\t".join(("input", *SPLITS)) + "\n"
SUMMED_UP = ("repertoire",)  # settings that are too long to be printed; `seqaudio info` has a line in words for each
SPLIT = re.compile("|".join(SPLITS))
SHARD = re.compile(rf"({SPLIT.pattern})(-\d{{5,}})?\.arrow")  # names of the Arrow files
FOLDER = Kind("a store", re.compile(rf"((store\.json|ledger\.tsv|inputs\.tsv)(\.partial)?|{SHARD.pattern})"))


@dataclass(frozen=True)
class StoreDescription:
    """The properties of a store that are known before its inputs are read."""

    kind: str  # one of KINDS
    settings: dict[str, Any]  # JSON: {"features": {...}} or {"representation": {...}}
    vocabulary: tuple[str, ...] | None = None  # None: the labels of the rows, if they have any
    sources: tuple[str, ...] = ()  # names of the corpora, never paths
    licence: str = ""
    normalise: bool = False  # store mean and standard deviation of the training frames
    # further settings, from the texts of the training rows and the ids that occur in them; only for stores of tokens
    of_training: Callable[[Sequence[str], Iterable[int]], dict[str, Any]] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown kind of store {self.kind!r}, expected one of {KINDS}")

    @property
    def keeps_statistics(self) -> bool:
        """Whether the store has the column of statistics: a row of samples does not hold the frames they come from."""
        return self.normalise and self.kind == "audio"

    @property
    def keeps_word_times(self) -> bool:
        """Whether the store has the columns of word times: where its settings say so."""
        return bool(self.settings.get("word_times"))


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of each feature over all training frames, [F] float64."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    frames: Count


@dataclass(frozen=True)
class SplitCount:
    """Size of one split: `rows` sequences, `steps` frames or tokens, `seconds`, rows of each label."""

    rows: Count
    steps: Count
    seconds: float
    labels: dict[str, Count] = field(default_factory=dict)


def shard_name(split: str, number: int | None) -> str:
    """File name of a split, or of one of its several files (shards)."""
    return f"{split}.arrow" if number is None else f"{split}-{number:05d}.arrow"


def is_store(folder: Path) -> bool:
    """Whether a folder has the `store.json` of a store; where that is damaged, whether it has a ledger."""
    file = folder / "store.json"
    if not file.is_file():
        return False
    try:
        data = read_json(file)
    except ValueError:
        return (folder / LEDGER).is_file()
    return isinstance(data, dict) and data.get("kind") in KINDS


@dataclass(frozen=True)
class Header:
    """The content of `store.json`, of format FORMAT."""

    kind: Literal["audio", "features", "tokens", "roll", "text", "series"]
    settings: dict[str, Any]
    vocabulary: tuple[str, ...] | None
    normalisation: Normalisation | None
    counts: dict[str, SplitCount]
    sources: tuple[str, ...]
    licence: str
    fingerprint: str
    files: dict[str, str]  # the SHA-256 of each Arrow file
    sizes: dict[str, Count] = field(default_factory=dict)  # their bytes; older stores do not have them

    def __post_init__(self) -> None:
        for what, names, known in (("files", self.files, SHARD), ("counts", self.counts, SPLIT)):
            for name in names:
                if not known.fullmatch(name):
                    raise ValueError(f"{what} has {shortened(name)!r}, expected names such as train.arrow and train")
        if self.normalisation is not None:
            mean, std = self.normalisation.mean, self.normalisation.std
            if len(mean) != len(std) or not all(value > 0 for value in std):
                raise ValueError("normalisation.std is not above 0, or has not as many values as normalisation.mean")


class Store:
    """A prepared data set. `store["train"]` is a Split; the other attributes come from `store.json`.

    Raises:
        StoreError: the folder is missing, not a store, damaged, or in a format that this version does not read.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        file = self.path / "store.json"
        if not self.path.is_dir():
            replaced = self.path.with_name(f"{self.path.name}.partial") / "replaced"
            if replaced.is_dir():
                raise StoreError(
                    f"{self.path}: no such folder, as a preparation was killed while it replaced it; give the same "
                    f"preparation again, or take the previous store from {replaced}"
                )
            raise StoreError(f"{self.path}: no such folder; seqaudio prepare NAME makes a store")
        if not file.is_file():
            raise StoreError(f"{self.path}: not a store (it has no store.json); seqaudio prepare NAME makes stores")
        try:
            self._json = read_json(file)
            found = checked(Format, self._json).format
            if found != FORMAT:
                raise StoreError(f"{self.path}: store format {found}, this version reads {FORMAT}; prepare it again")
            header = checked(Header, self._json)
            self.vocabulary = None if header.vocabulary is None else Vocabulary(header.vocabulary)
        except ValueError as error:
            raise StoreError(f"{file}: damaged ({error}); prepare the store again") from None
        self.header = header
        self.kind: str = header.kind
        self.settings = header.settings
        self.normalisation = header.normalisation
        self.counts = header.counts
        self.sources = header.sources
        self.licence = header.licence
        self.fingerprint = header.fingerprint
        self.files = tuple(header.files)  # the Arrow files
        self._splits: dict[str, Split] = {}

    def __getitem__(self, split: str) -> Split:
        if split not in self._splits:
            if not self.counts.get(split, SplitCount(0, 0, 0.0)).rows:
                filled = [name for name in SPLITS if name in self.counts and self.counts[name].rows]
                raise StoreError(f"{self.path}: the split {split!r} is empty; it has {', '.join(filled)}")
            found = Split(*self._files_of(split))
            self._check_counts(split, found)
            self._splits[split] = found
        return self._splits[split]

    def _files_of(self, split: str) -> list[ArrowFile]:
        names = sorted(name for name in self.files if name == f"{split}.arrow" or name.startswith(f"{split}-"))
        size = len(self.vocabulary or ())
        hashes, sizes = self.header.files, self.header.sizes
        return [ArrowFile(self.path / name, self.kind, size, hashes[name], sizes.get(name)) for name in names]

    def _check_counts(self, split: str, found: Split) -> None:
        if len(found) != self.counts[split].rows:
            rows = self.counts[split].rows
            raise StoreError(
                f"{self.path}: {len(found):,} rows in {split}, expected {rows:,} as in store.json; {AGAIN}"
            )
        mean = self.normalisation.mean if self.normalisation else None
        if mean is not None and found.width not in (None, len(mean)):
            raise StoreError(
                f"{self.path}: frames of {found.width} values in {split}, expected {len(mean)} as in the statistics of "
                f"store.json; {AGAIN}"
            )

    def check_rows(self, *splits: str) -> None:
        """Check the values and the labels of all rows of these splits; empty splits are skipped.

        Raises StoreError for an id or a label outside the vocabulary, or a value that is not finite.
        """
        for split in splits:
            if split in self.counts and self.counts[split].rows:
                self[split].check_values()
                self._check_labels(split)

    def _check_labels(self, split: str) -> None:
        if self.kind not in ("audio", "features") or self.vocabulary is None or UNKNOWN in self.vocabulary:
            return
        labels = self[split].labels
        unknown = {name for name in set(labels) if name and unicodedata.normalize("NFC", name) not in self.vocabulary}
        if unknown:
            row = next(row for row, name in enumerate(labels) if name in unknown)
            raise StoreError(
                f"{self.path}: row {row:,} of {split} has the label {labels[row]!r}, expected one of the "
                f"{len(self.vocabulary):,} of store.json; {AGAIN}"
            )

    def setting(self, name: str, kind: Any) -> Any:
        """A setting, such as `features`. Raises StoreError where it is missing or not of the type `kind`."""
        try:
            return fitted(kind, self.settings.get(name), f"settings.{name}")
        except ValueError as error:
            raise StoreError(f"{self.path / 'store.json'}: damaged ({error}); {AGAIN}") from None

    def items(self, split: str) -> str:
        """The SHA-256 of what a split holds: of ids, labels and texts, in any order, whatever the features are.

        A row of a store of text is a part of a text, so the number of its characters or words counts too.
        """
        rows, columns = self[split], ("id", "label", "text", *(["length"] if self.kind == "text" else []))
        lines = sorted(json_text(list(row)) for row in zip(*map(rows.column, columns), strict=True))
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def verify(self) -> str:
        """Compare every file with its hash, check every value. Returns the result in one line.

        Raises StoreError for the first file or value that is damaged, or was changed since the store was made.
        """
        content = {name: value for name, value in self._json.items() if name not in ("fingerprint", "sizes")}
        if _fingerprint(content) != self.fingerprint:
            raise StoreError(f"{self.path / 'store.json'}: changed since it was written (fingerprint); {AGAIN}")
        files = [file for split in self.counts for file in self._files_of(split)]
        for file in files:
            file.verify()
        self.check_rows(*self.counts)
        self.ledger()
        size = sum(file.path.stat().st_size for file in files)
        return f"verified: {len(files):,} files of {size:,} bytes are as they were written"

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


def store_json(
    description: StoreDescription,
    vocabulary: tuple[str, ...] | None,
    normalisation: Normalisation | None,
    counts: dict[str, SplitCount],
    files: dict[str, str],
    sizes: dict[str, int],
    of_training: dict[str, Any],
) -> dict[str, Any]:
    """The content of `store.json`; `files` maps each Arrow file to the SHA-256 of its bytes, `sizes` to their number.

    of_training: further settings, which the training rows gave.

    The fingerprint is that of all but the sizes, so that it is equal for equal stores of earlier versions.
    """
    data: dict[str, Any] = {
        "format": FORMAT,
        "kind": description.kind,
        "settings": description.settings | of_training,
        "vocabulary": None if vocabulary is None else list(vocabulary),
        "normalisation": None if normalisation is None else asdict(normalisation),
        "counts": {name: asdict(count) for name, count in counts.items()},
        "sources": list(description.sources),
        "licence": description.licence,
        "files": files,
    }
    return data | {"fingerprint": _fingerprint(data), "sizes": sizes}


def _fingerprint(data: dict[str, Any]) -> str:
    return hashlib.sha256(json_text(data, sort_keys=True).encode()).hexdigest()


def describe_store(store: Store) -> Iterator[str]:
    """Lines that describe a store: settings, splits, labels, inputs; control characters are made visible."""
    return map(visible, _described(store))


def _described(store: Store) -> Iterator[str]:
    """Lines of text that describe the content of a store."""
    yield f"{store.path}: store of {store.kind}, fingerprint {store.fingerprint[:16]}"
    for name, value in store.settings.items():
        if name not in SUMMED_UP:
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
        for names in alike_names(store.vocabulary) if labelled else ():
            yield f"  labels that differ in case or spaces alone: {', '.join(map(repr, names))}; write them alike"
    if store.kind == "text" and store.vocabulary is not None and UNKNOWN_WORD in store.vocabulary:
        yield f"  {UNKNOWN_WORD}: {', '.join(_unknown_words(store, store.vocabulary.index(UNKNOWN_WORD)))}"
    if store.normalisation:
        yield f"  normalisation: mean and standard deviation of {store.normalisation.frames:,} training frames"
    if ledger := store.ledger():
        yield f"  inputs: {summarise(ledger)}"
        if example := refused_most(ledger):
            yield f"    refused, such as {example.path}: {example.detail or example.reason}; the others: {LEDGER}"


def _unknown_words(store: Store, unknown: int) -> Iterator[str]:
    """For each split, the share of its words that are not in the vocabulary."""
    for split in SPLITS:
        if split in store.counts:
            found = sum(int((row == unknown).sum()) for row in store[split])
            yield f"{100 * found / max(1, store.counts[split].steps):.2f} % of {split}"
