"""Prepare data sets of other libraries: of Hugging Face, in files or as objects of `datasets`, and of torchaudio.

    Dataset, DatasetDict, Parquet ── hub_tables: Rows ──┐
    torchaudio: (waveform, rate, ...) ── WaveformCell ──┴─> Items whose bytes are held ──> build_speech_store ──> Store

Recordings are decoded here and nowhere else, by the reader for untrusted files, so they give the rows that their files
give in a folder.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from seqaudio.errors import AudioError, OptionError, SourceError, how_to_install
from seqaudio.ledger import Reason, encode_field
from seqaudio.prepare.corpora.columns import choose_columns
from seqaudio.prepare.corpora.drawn_splits import fill_splits
from seqaudio.prepare.corpora.hub_tables import (
    Cell,
    DatasetRows,
    HeldCell,
    Rows,
    choose_splits,
    find_tables,
    split_of,
)
from seqaudio.prepare.corpora.layout import split_names
from seqaudio.prepare.corpora.splits import hash_sample
from seqaudio.prepare.corpora.tables import find_file
from seqaudio.prepare.engine import Item
from seqaudio.prepare.engine.items import Held
from seqaudio.prepare.speech.options import RecordingOptions, build_speech_store
from seqaudio.store import Store

VALID_PERCENT = TEST_PERCENT = 10.0  # of recordings without a given split
FIELDS = ("label", "text", "speaker", "condition", "split")


class Listed(NamedTuple):
    """Items with their splits, and lines that say how columns and splits were understood."""

    items: list[Item]
    understood: list[str]


# --- Hugging Face ---


def store_from_datasets(
    data: Any,
    out: Path | str,
    *,
    columns: Mapping[str, str] | None = None,
    splits: Mapping[str, str] | None = None,
    valid_percent: float = VALID_PERCENT,
    test_percent: float = TEST_PERCENT,
    source: str = "",
    licence: str = "",
    **options: Any,
) -> Store:
    """Prepare a store from a `datasets.Dataset` or `DatasetDict`, or from the folder or file that holds one.

    Args:
        data: an object of `datasets`, a mapping from names of splits to such objects, or a path: what `save_to_disk`
            wrote, or Parquet files; a path needs no `datasets`.
        columns: the column of `audio`, `label`, `text`, `speaker`, `condition` or `split`, where it has no usual name.
        splits: the split of each of the data set's where its name does not say it: train, valid, test, or none to leave
            it out. A data set of one split has its splits drawn.
        valid_percent, test_percent: of the recordings without a given split.
        source, licence: of the corpus, for `store.json`.
        options: fields of `RecordingOptions`, such as features="keywords", sample_rate=8000, workers=4, update=True.
    Raises:
        SourceError, OptionError: the data set, or a column, cannot be used; an object in memory with several workers.
        StoreError: as `build_speech_store`.
    """
    given = RecordingOptions(out=Path(out), **options)
    if isinstance(data, str | os.PathLike):
        tables: Sequence[tuple[str, Rows]] = find_tables(Path(data))
        folder = Path(data) if Path(data).is_dir() else Path(data).parent
    else:
        tables, folder = tables_of(data, given.workers if given.dask is None else 2), Path()
    listed = list_rows(tables, folder, columns or {}, splits or {})
    items = fill_splits(hash_sample(listed.items, given.limit), valid_percent, test_percent).items
    return build_speech_store(given, items, source=source, licence=licence)


def tables_of(data: Any, workers: int = 1) -> list[tuple[str, Rows]]:
    """The split and the rows of each part of a `Dataset`, of a `DatasetDict`, or of a mapping like that."""
    parts = data if isinstance(data, Mapping) else {str(getattr(data, "split", None) or ""): data}
    for part in parts.values():
        if not all(hasattr(part, name) for name in ("features", "with_format", "select_columns", "cache_files")):
            raise OptionError(
                f"got {type(part).__name__}, expected a Dataset or DatasetDict of datasets, not streamed, or a folder "
                f"that save_to_disk wrote"
            )
        if workers > 1 and not part.cache_files:
            raise OptionError(
                f"{workers} workers for a data set in memory, expected 1; or give the folder of save_to_disk"
            )
    return [(name, DatasetRows(part)) for name, part in parts.items()]


def load_from_hub(name: str, configuration: str | None = None, revision: str | None = None) -> Any:
    """A data set of the hub, downloaded and kept by `datasets`. Raises SourceError where it cannot be had."""
    try:
        import datasets
    except ImportError:
        raise SourceError(
            f"the package datasets, which loads {name}, is not installed; {how_to_install('datasets')}"
        ) from None
    try:
        return datasets.load_dataset(name, configuration, revision=revision)
    except Exception as error:  # noqa: BLE001  # errors of the network, of the hub and of the data are of many kinds
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise SourceError(
            f"{name}: could not be loaded from the hub ({type(error).__name__}: {reason}); without a network, call "
            f"save_to_disk on a machine that has one, and give that folder as --source"
        ) from None


def list_rows(
    tables: Sequence[tuple[str, Rows]], folder: Path, columns: Mapping[str, str | None], splits: Mapping[str, str]
) -> Listed:
    """Every row as an Item, in the order of the tables; `folder` is where relative paths of recordings begin."""
    named = list(dict.fromkeys(name for name, _ in tables))
    chosen = choose_splits(named, splits)
    used = _columns(tables[0][1], columns)
    audio = used.columns["path"]
    wanted = {field: used.columns[field] for field in FIELDS if field in used.columns}
    places: list[tuple[str, Rows, int, Cell]] = []
    for name, rows in tables:
        if chosen[name] is None:
            continue
        if missing := [column for column in (audio, *wanted.values()) if column not in rows.features]:
            raise SourceError(f"the split {name!r} has no column {missing[0]!r}, unlike {named[0]!r}; leave it out")
        places += [(name, rows, row, cell) for row, cell in enumerate(rows.listed(audio, list(wanted.values())))]
    keys = _keys([cell.name for *_, cell in places], [f"{name or 'row'}-{row}" for name, _, row, _ in places])
    given = split_names({cell.values[wanted["split"]] for *_, cell in places}) if "split" in wanted else {}
    items = []
    for key, (name, rows, row, cell) in zip(keys, places, strict=True):
        values = {field: cell.values[column] for field, column in wanted.items()}
        split = chosen[name] or str(given.get(values.get("split", ""), ""))
        held = None if cell.size is None else HeldCell(rows, audio, row, cell.size)
        path: Path | None = Path(key)
        if held is None:  # a path alone, or nothing, which the preparation refuses
            path = find_file(folder, cell.name) or folder / cell.name if cell.name else None
        items.append(_item(key, path, split, values, held))
    if not items:
        raise SourceError("the data set has no rows")
    mapped = ", ".join(f"{name} → {split or 'left out'}" for name, split in chosen.items() if split != "")
    return Listed(items, [used.description(len(items)), *([f"splits of the data set: {mapped}"] if mapped else [])])


def _item(key: str, path: Path | None, split: str, values: Mapping[str, str], held: Held | None) -> Item:
    label, text, speaker, condition = (values.get(field, "") for field in FIELDS[:4])
    return Item(key, path, encode_field(key), split, label, text, speaker, condition, held=held)


class Used(NamedTuple):
    """The column of each field, and what says how they were chosen."""

    columns: Mapping[str, str]
    description: Callable[[int], str]


def _columns(rows: Rows, given: Mapping[str, str | None]) -> Used:
    """The columns that are named, or of a usual name; of recordings the one whose kind is Audio."""
    features = rows.features
    named = {"path" if field == "audio" else field: column for field, column in given.items() if column}
    if unknown := [column for column in named.values() if column not in features]:
        raise SourceError(f"the data set has no column {unknown[0]!r}, expected one of {', '.join(features)}")
    if fields := sorted(named.keys() - {"path", *FIELDS}):
        raise OptionError(f"got a column of {fields[0]!r}, expected audio, {', '.join(FIELDS)}")
    sounding = [name for name, kind in features.items() if kind.get("_type") == "Audio"]
    if "path" not in named and sounding:
        named["path"] = sounding[0]
    found = choose_columns(Path("the data set"), [dict.fromkeys(features, "")], named, "audio")
    return Used(found.used, found.description)


def _keys(names: Sequence[str], places: Sequence[str]) -> list[str]:
    """A key of each recording: its path below what absolute paths share, with its place where others have it too."""
    absolute = [Path(name).parent for name in names if Path(name).is_absolute()]
    shared = os.path.commonpath(absolute) if absolute else ""
    keys = []
    seen = Counter[str]()
    for name, place in zip(names, places, strict=True):
        key = Path(name).relative_to(shared).as_posix() if Path(name).is_absolute() else name
        seen[key] += 1
        keys.append(key if key and seen[key] == 1 else f"{key}#{place}" if key else place)
    return keys


# --- torchaudio ---

Field = int | Callable[[Sequence[Any]], Any]
# what comes behind waveform and rate in the items of data sets of torchaudio, by the name of their class
TORCHAUDIO: Mapping[str, Mapping[str, Field]] = {
    "SPEECHCOMMANDS": {"label": 2, "speaker": 3},
    "LIBRISPEECH": {"text": 2, "speaker": 3},
    "LIBRITTS": {"text": 3, "speaker": 4},
    "LJSPEECH": {"text": 3},
    "VCTK_092": {"text": 2, "speaker": 3},
    "CMUARCTIC": {"text": 2},
    "TEDLIUM": {"text": 2, "speaker": 4},
    "YESNO": {"text": lambda item: ["yes" if one else "no" for one in item[2]]},
}


def store_from_torchaudio(
    data: Any,
    out: Path | str,
    *,
    fields: Mapping[str, Field] | None = None,
    valid_percent: float = VALID_PERCENT,
    test_percent: float = TEST_PERCENT,
    source: str = "",
    licence: str = "",
    **options: Any,
) -> Store:
    """Prepare a store from a data set of torchaudio, or any whose items are (waveform [C, N] or [N], rate, ...).

    Where the data set tells paths (`get_metadata`), the files are read here, not by torchaudio. Otherwise each item is
    taken twice: once to be listed, and once for its waveform, so memory is that of one.

    Args:
        data: a data set, or a mapping from splits (train, valid, test, or usual names of them) to data sets.
        fields: where `label`, `text`, `speaker` and `condition` are in an item: an index, or a function of the item;
            by default as in SPEECHCOMMANDS, LIBRISPEECH, YESNO and others. Lists become words with spaces between.
        valid_percent, test_percent: of the recordings of a single data set.
        source, licence: of the corpus, for `store.json`.
        options: fields of `RecordingOptions`, such as features="keywords", sample_rate=8000.
    Raises:
        SourceError: an item is no such tuple, or torchaudio cannot decode it.
        OptionError: no fields are known for the data set, or a split has another name.
    """
    given = RecordingOptions(out=Path(out), **options)
    parts = data if isinstance(data, Mapping) else {"": data}
    items: list[Item] = []
    for name, part in parts.items():
        split = split_of(name)
        if name and not split:
            raise OptionError(f"got a split {name!r}, expected train, valid or test, or a usual name of these")
        known = TORCHAUDIO.get(type(part).__name__) if fields is None else dict(fields)
        if not known or known.keys() - {"label", "text", "speaker", "condition"}:
            raise OptionError(
                f"got {type(part).__name__} with fields {fields}, expected where label or text are in its items, such "
                f'as fields={{"label": 2}}'
            )
        items += _waveform_items(part, name, split, known)
    filled = fill_splits(hash_sample(items, given.limit), valid_percent, test_percent).items
    return build_speech_store(given, filled, source=source, licence=licence)


def _waveform_items(data: Any, name: str, split: str, fields: Mapping[str, Field]) -> list[Item]:
    items = []
    for row in range(len(data)):
        file = _file_of(data, row)
        found = data.get_metadata(row) if file else _taken(data, row)
        values = {field: _text(found[at] if isinstance(at, int) else at(found)) for field, at in fields.items()}
        if file is not None:
            key = f"{name}/{found[0]}" if name else str(found[0])
            items.append(_item(key, file, split, values, None))
            continue
        samples, rate = _waveform(found)
        content = _wav(samples, rate)
        key = f"{name or type(data).__name__.lower()}-{row:06d}"
        held = WaveformCell(data, row, len(content), hashlib.sha256(content).hexdigest())
        items.append(_item(key, Path(f"{key}.wav"), split, values, held))
    return items


def _file_of(data: Any, row: int) -> Path | None:
    """The file of an item, where the data set tells it; None where it does not."""
    folder = getattr(data, "_archive", None)
    if folder is None or not hasattr(data, "get_metadata"):
        return None
    path = Path(folder) / str(data.get_metadata(row)[0])
    return path if path.is_file() else None


def _taken(data: Any, row: int) -> Sequence[Any]:
    try:
        found = data[row]
    except ImportError as error:
        raise SourceError(
            f"item {row} of {type(data).__name__}: torchaudio cannot decode it ({str(error).splitlines()[0]}); install "
            f"what it names, or give the folder to seqaudio prepare"
        ) from None
    if not isinstance(found, tuple | list) or len(found) < 3 or not hasattr(found[0], "shape"):
        kind = type(found).__name__
        raise SourceError(
            f"item {row} of {type(data).__name__} is {kind}, expected (waveform, rate, label or text, ...)"
        )
    return found


def _waveform(found: Sequence[Any]) -> tuple[np.ndarray, int]:
    """The samples [N, C] float32 of an item, and their rate."""
    samples = np.asarray(found[0])
    samples = samples.reshape(1, -1) if samples.ndim < 2 else samples
    if samples.ndim != 2 or samples.dtype.kind != "f":
        raise SourceError(
            f"a waveform of shape {samples.shape} {samples.dtype}, expected [channels, samples] of floats"
        )
    return np.ascontiguousarray(samples.T, dtype="<f4"), int(found[1])


def _wav(samples: np.ndarray, rate: int) -> bytes:
    """A WAV of floats, equal for equal samples [N, C]: other writers put the time into it."""
    frames, channels = samples.shape
    size = 4 * frames * channels
    kind = struct.pack("<HHIIHH", 3, channels, rate, 4 * channels * rate, 4 * channels, 32)
    head = struct.pack("<4sI4s4sI", b"RIFF", 48 + size, b"WAVE", b"fmt ", len(kind)) + kind
    return head + struct.pack("<4sII4sI", b"fact", 4, frames, b"data", size) + samples.tobytes()


def _text(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else "" if value is None else str(value)


@dataclass(frozen=True, eq=False)
class WaveformCell:
    """The waveform of an item as a WAV of 32-bit floats, which is exact."""

    data: Any
    row: int
    size: int
    stamp: str  # SHA-256 of the bytes

    def read(self) -> bytes:
        try:
            return _wav(*_waveform(self.data[self.row]))
        except Exception as error:  # noqa: BLE001  # the code of the data set, which may raise anything
            raise AudioError(f"item {self.row}", Reason.UNREADABLE, f"{type(error).__name__}: {error}") from None
