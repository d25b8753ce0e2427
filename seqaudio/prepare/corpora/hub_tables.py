"""Rows of data sets as Hugging Face keeps them: Parquet files, Arrow files of `save_to_disk`, objects of `datasets`.

A recording is a cell with its bytes, the path of its file, or both. Rows are listed without their bytes; each worker
reads those of its own rows, from files that are memory-mapped (Arrow) or read forward (Parquet).
"""

from __future__ import annotations

import functools
import itertools
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pyarrow as pa

from seqaudio.errors import AudioError, OptionError, SourceError
from seqaudio.files import require_plain
from seqaudio.json_files import parse_json, read_json
from seqaudio.ledger import Reason
from seqaudio.prepare.corpora.layout import split_names
from seqaudio.prepare.corpora.listing import list_below
from seqaudio.registry import did_you_mean
from seqaudio.terminal import few, visible

BATCH = 1000  # rows that are listed at once
AHEAD = 8  # rows of a Parquet file that are decoded at once
SHARD = re.compile(r"(.+?)-\d+-of-\d+")  # name of a file that is one of several of a split
SPLITS, STATE = "dataset_dict.json", "state.json"  # files of `save_to_disk`
LEFT_OUT = "none"


class Cell(NamedTuple):
    """A row as it is listed: values as texts by column, and of its recording the name and the size."""

    values: dict[str, str]
    name: str  # the path that the data set gives; empty: none
    size: int | None  # bytes, or about as many; None: the cell has no bytes, so the file at the path counts


class Rows(Protocol):
    """Rows of one file or object, of one split. Picklable."""

    @property
    def features(self) -> Mapping[str, Any]:
        """The kind of each column, as `datasets` describes it; `_type` is its class."""

    @property
    def stamp(self) -> str:
        """Another text where the rows may have changed."""

    def listed(self, audio: str, columns: Sequence[str]) -> Iterator[Cell]:
        """Every row in order; raises SourceError where a column cannot be used."""

    def content(self, audio: str, row: int) -> bytes:
        """The bytes of a recording."""


@dataclass(frozen=True)
class HeldCell:
    """The bytes of one recording, for an `Item`. Raises AudioError, when read, where they cannot be."""

    rows: Rows
    column: str
    row: int
    size: int

    @property
    def stamp(self) -> str:
        return f"{self.rows.stamp} {self.row}"

    def read(self) -> bytes:
        return self.rows.content(self.column, self.row)


# --- files ---


@dataclass(frozen=True)
class FileRows:
    """The rows of a Parquet or Arrow file. Raises SourceError where it is neither, or damaged."""

    path: Path
    stamp: str

    @classmethod
    def of(cls, path: Path) -> FileRows:
        """The rows of a file as it is now."""
        try:
            status = path.stat()
        except OSError as error:
            raise SourceError(f"{path}: {error.strerror}") from None
        return cls(path, f"{status.st_size} {status.st_mtime_ns}")

    @property
    def features(self) -> Mapping[str, Any]:
        return _features(self._file().schema)

    def listed(self, audio: str, columns: Sequence[str]) -> Iterator[Cell]:
        file = self._file()
        try:
            for table, sizes in file.without_bytes(audio, columns):
                yield from _cells(table, audio, columns, self.features, sizes)
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(self.path, error) from None

    def content(self, audio: str, row: int) -> bytes:
        try:
            return self._file().content(audio, row)
        except (pa.ArrowException, OSError, SourceError) as error:
            raise AudioError(f"{self.path.name}, row {row}", Reason.DAMAGED, _one_line(error)) from None

    def _file(self) -> _File:
        return _opened(self.path, self.stamp)


class _File(Protocol):
    schema: pa.Schema

    def without_bytes(self, audio: str, columns: Sequence[str]) -> Iterator[tuple[pa.Table, list[int | None] | None]]:
        """Tables of the columns with the sizes of recordings; None: the table has the bytes, which are not copied."""

    def content(self, audio: str, row: int) -> bytes: ...


class _ArrowTable:
    """An Arrow file, memory-mapped."""

    def __init__(self, path: Path) -> None:
        source = pa.memory_map(os.fsencode(path))
        try:
            table = pa.ipc.open_stream(source).read_all()  # as `save_to_disk` writes it
        except pa.ArrowInvalid:
            source.seek(0)
            table = pa.ipc.open_file(source).read_all()
        table.validate(full=True)  # offsets that point outside would end the process
        self.schema, self.table = table.schema, table

    def without_bytes(self, audio: str, columns: Sequence[str]) -> Iterator[tuple[pa.Table, None]]:
        chosen = self.table.select([audio, *columns])
        for start in range(0, len(chosen), BATCH):
            yield chosen.slice(start, BATCH), None

    def content(self, audio: str, row: int) -> bytes:
        return _bytes_of(self.table.column(audio)[row])


class _ParquetFile:
    """A Parquet file, whose recordings are read forward: rows are asked for in their order, mostly."""

    def __init__(self, path: Path) -> None:
        import pyarrow.parquet

        self.file = pyarrow.parquet.ParquetFile(path, pre_buffer=False)
        self.schema = self.file.schema_arrow
        groups = [self.file.metadata.row_group(number) for number in range(self.file.num_row_groups)]
        self.starts: list[int] = [0, *itertools.accumulate(group.num_rows for group in groups)]
        self._column, self._next = "", 0
        self._ahead: Iterator[Any] = iter(())

    def without_bytes(self, audio: str, columns: Sequence[str]) -> Iterator[tuple[pa.Table, list[int | None] | None]]:
        kind = self.schema.field(audio).type
        inner = [kind.field(number) for number in range(kind.num_fields)] if pa.types.is_struct(kind) else []
        fields = {one.name for one in inner if one.name != "bytes" or _is_binary(one.type)}
        for group in range(self.file.num_row_groups):
            rows = self.starts[group + 1] - self.starts[group]
            sizes: list[int | None] | None = None
            names = [audio, *columns]
            if "bytes" in fields:
                sizes = self._sizes(group, f"{audio}.bytes", rows)
                names = [*([f"{audio}.path"] if "path" in fields else []), *columns] if sizes else names
            done = 0
            for batch in self.file.iter_batches(BATCH if sizes else AHEAD, row_groups=[group], columns=names):
                yield pa.Table.from_batches([batch]), sizes and sizes[done : done + len(batch)]
                done += len(batch)

    def _sizes(self, group: int, name: str, rows: int) -> list[int | None] | None:
        """The mean size of the recordings of a row group; None where some have bytes and others have not."""
        described = self.file.metadata.row_group(group)
        for number in range(described.num_columns):
            column = described.column(number)
            if column.path_in_schema == name and column.statistics is not None and column.statistics.has_null_count:
                if column.statistics.null_count == rows:
                    return [None] * rows
                if column.statistics.null_count == 0:
                    return [column.total_uncompressed_size // max(1, rows)] * rows
        return None

    def content(self, audio: str, row: int) -> bytes:
        if audio != self._column or row < self._next:
            self._column = audio
            self._restart(row)
        while self._next < row and row >= self._group_end():
            self._restart(row)
        for cell in self._ahead:
            self._next += 1
            if self._next > row:
                return _bytes_of(cell)
        raise SourceError(f"has no row {row}, expected {self.starts[-1]} rows")

    def _group_end(self) -> int:
        return min((end for end in self.starts if end > self._next), default=self.starts[-1])

    def _restart(self, row: int) -> None:
        """Go to the beginning of the row group that has a row."""
        group = max(0, sum(start <= row for start in self.starts[:-1]) - 1)
        self._next = self.starts[group]
        batches = self.file.iter_batches(
            AHEAD, row_groups=list(range(group, self.file.num_row_groups)), columns=[self._column]
        )
        self._ahead = (cell for batch in batches for cell in batch.column(0))


@functools.lru_cache(maxsize=4)
def _opened(path: Path, stamp: str) -> _File:
    """A file, opened once in a process; `stamp` differs where it has changed."""
    try:
        require_plain(path)
        file: _File = _ParquetFile(path) if path.suffix == ".parquet" else _ArrowTable(path)
        str(file.schema)  # names that are not UTF-8 raise
    except (pa.ArrowException, OSError, MemoryError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from None
    if twice := [name for name, count in Counter(file.schema.names).items() if count > 1]:
        raise SourceError(f"{path}: has several columns {few(map(repr, twice), 4)}; give each a name of its own")
    return file


def _unreadable(path: Path, error: Exception) -> SourceError:
    return SourceError(f"{path}: not a readable {path.suffix[1:]} file ({_one_line(error)}); get it again")


def _one_line(error: Exception) -> str:
    return visible(str(error).strip().partition("\n")[0] or type(error).__name__)


def find_tables(source: Path) -> list[tuple[str, FileRows]]:
    """The split, as the data set names it, and the rows of each file at `source`; an empty name is none.

    A folder that `save_to_disk` wrote, or any folder of Parquet or Arrow files, whose splits are in the names of files
    (`train-00000-of-00003.parquet`) or of their folders. Raises SourceError where there are none.
    """
    if source.is_file():
        return [(_split_in((), source.stem), FileRows.of(source))]
    if not source.is_dir():
        raise SourceError(
            f"{source}: no such file or folder; give what save_to_disk wrote, or a folder of Parquet files"
        )
    if (source / SPLITS).is_file():
        names = _names(source / SPLITS, "splits")
        return [(name, FileRows.of(file)) for name in names for file in _saved(source / name)]
    if (source / STATE).is_file():
        return [("", FileRows.of(file)) for file in _saved(source)]
    files = {
        key: path
        for key, path in list_below(source).files.items()
        if path.suffix in (".parquet", ".arrow") and not path.name.startswith("cache-")
    }
    if not files:
        raise SourceError(
            f"{source}: has no Parquet or Arrow files, expected what save_to_disk wrote, or Parquet files"
        )
    return [(_split_in(key.split("/")[:-1], Path(key).stem), FileRows.of(files[key])) for key in sorted(files)]


def _saved(folder: Path) -> list[Path]:
    """The files of a data set that `save_to_disk` wrote; others there are caches."""
    return [folder / name for name in _names(folder / STATE, "_data_files", "filename")]


def _names(path: Path, name: str, inner: str = "") -> list[str]:
    try:
        found = read_json(path)[name]
        names = [entry[inner] if inner else entry for entry in found]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SourceError(
            f"{path}: not as save_to_disk writes it ({_one_line(error)}); save the data set again"
        ) from None
    if not all(isinstance(one, str) and one == Path(one).name for one in names):
        raise SourceError(f"{path}: {name} are not names of this folder; save the data set again")
    return names


def _split_in(folders: Sequence[str], stem: str) -> str:
    """The name of a split in the path of a file: that of the file, or of the nearest folder that means one."""
    shard = SHARD.fullmatch(stem)
    named = shard[1] if shard else stem
    for name in (named, *reversed(folders)):
        if split_of(name):
            return name
    return named if shard else ""


# --- objects ---


@dataclass(frozen=True, eq=False)
class DatasetRows:
    """The rows of a `datasets.Dataset`, in memory or on disk. Recordings are never decoded by that package."""

    dataset: Any
    arrow: Any = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "arrow", self.dataset.with_format("arrow"))

    @property
    def features(self) -> Mapping[str, Any]:
        described: Mapping[str, Any] = self.dataset.features.to_dict()
        return described

    @property
    def stamp(self) -> str:
        return str(self.dataset._fingerprint)

    def listed(self, audio: str, columns: Sequence[str]) -> Iterator[Cell]:
        chosen = self.arrow.select_columns([audio, *columns])
        for start in range(0, len(chosen), BATCH):
            yield from _cells(chosen[start : start + BATCH], audio, columns, self.features, None)

    def content(self, audio: str, row: int) -> bytes:
        return _bytes_of(self.arrow[row : row + 1].column(audio)[0])


# --- cells ---


def _features(schema: pa.Schema) -> Mapping[str, Any]:
    """The kinds of columns that `datasets` wrote into a schema, and the names alone of the others."""
    found: dict[str, Any] = {name: {} for name in schema.names}
    with_metadata = (schema.metadata or {}).get(b"huggingface")
    if with_metadata is None:
        return found
    try:
        described = parse_json(with_metadata.decode())["info"]["features"]
        return found | {name: kind for name, kind in described.items() if name in found and isinstance(kind, dict)}
    except (ValueError, KeyError, TypeError, AttributeError):
        return found


def _cells(
    table: pa.Table,
    audio: str,
    columns: Sequence[str],
    features: Mapping[str, Any],
    sizes: Sequence[int | None] | None,
) -> Iterator[Cell]:
    table.validate(full=True)  # texts that are not UTF-8 too
    values = [_texts(name, table.column(name), features.get(name, {})) for name in columns]
    names: Sequence[str] = [""] * len(table)
    if audio in table.column_names:
        names, found = _recordings(audio, table.column(audio))
        sizes = found if sizes is None else sizes
    for name, size, *texts in zip(names, sizes or [0] * len(table), *values, strict=True):
        yield Cell(dict(zip(columns, texts, strict=True)), name, size)


def _recordings(name: str, column: pa.ChunkedArray) -> tuple[list[str], list[int | None]]:
    """The paths and the sizes of the recordings in a column."""
    import pyarrow.compute as pc

    kind, rows = column.type, len(column)
    nothing: list[int | None] = [None] * rows
    if pa.types.is_struct(kind):
        fields = {kind.field(number).name: kind.field(number).type for number in range(kind.num_fields)}
        paths, sizes = fields.get("path", pa.null()), fields.get("bytes", pa.null())
        # a field without any value may be of no type
        if fields.keys() & {"bytes", "path"} and (_is_text(paths) or pa.types.is_null(paths)):
            names = [""] * rows if pa.types.is_null(paths) else pc.struct_field(column, "path").to_pylist()
            if pa.types.is_null(sizes):
                return [path or "" for path in names], nothing
            if _is_binary(sizes):
                return [path or "" for path in names], pc.binary_length(pc.struct_field(column, "bytes")).to_pylist()
    elif _is_text(kind):
        return [path or "" for path in column.to_pylist()], nothing
    elif _is_binary(kind):
        return [""] * rows, pc.binary_length(column).to_pylist()
    raise SourceError(f"the column {name!r} is {kind}, expected recordings: bytes, paths, or both")


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _texts(name: str, column: pa.ChunkedArray, feature: Mapping[str, Any]) -> list[str]:
    """The values of a column as texts; of a ClassLabel its names, and nothing for a class that has none."""
    if pa.types.is_dictionary(column.type):  # categories of pandas
        column = column.cast(column.type.value_type)
    kind = column.type
    plain = (_is_text, pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_null)
    if not any(fits(kind) for fits in plain):
        raise SourceError(f"the column {name!r} is {kind}, expected texts or numbers")
    values = column.to_pylist()
    if feature.get("_type") == "ClassLabel" and pa.types.is_integer(kind):
        named = feature.get("names")
        classes = named if isinstance(named, list) else []
        return ["" if value is None or not 0 <= value < len(classes) else str(classes[value]) for value in values]
    return ["" if value is None else str(value) for value in values]


def _bytes_of(cell: Any) -> bytes:
    found = cell["bytes"] if cell.is_valid and pa.types.is_struct(cell.type) else cell
    content = found.as_py() if found.is_valid else b""
    return content if isinstance(content, bytes) else b""


# --- splits ---


def split_of(name: str) -> str:
    """The split that a name means, such as `validation`, or `train.clean.100` by its first word; empty: none."""
    for part in (name, re.split(r"[._-]", name)[0]):
        if found := split_names([part]).get(part):
            return found
    return ""


def choose_splits(names: Sequence[str], given: Mapping[str, str]) -> dict[str, str | None]:
    """The split that each of a data set's means; empty: to be drawn, None: left out.

    A data set of one split, which `datasets` calls `train` whatever it is, has its splits drawn.

    given: the splits of names, by options: train, valid, test, none. Raises OptionError for others, SourceError for a
    name that means none.
    """
    for name, split in given.items():
        if name not in names:
            raise OptionError(f"--split-map {name}={split}: no such split; {did_you_mean(name, list(names))}")
        if split not in ("train", "valid", "test", LEFT_OUT):
            raise OptionError(f"--split-map {name}={split}, expected train, valid, test or {LEFT_OUT} behind the =")
    if not given and len(names) == 1 and split_of(names[0]) in ("", "train"):
        return {names[0]: ""}
    means = {name: given.get(name) or split_of(name) for name in names}
    if unknown := [name for name, split in means.items() if not split]:
        raise SourceError(
            f"the splits {few(map(repr, unknown), 4)} mean neither train, valid nor test; give each as --split-map "
            f"{unknown[0] or 'NAME'}=train, or none to leave it out"
        )
    return {name: None if split == LEFT_OUT else split for name, split in means.items()}
