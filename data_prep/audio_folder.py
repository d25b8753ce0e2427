"""Prepare your own recordings: a folder for each label, or a table with labels or texts.

    data_prep/audio_folder.py --source FOLDER --out stores/mine          FOLDER/label/*.wav
    data_prep/audio_folder.py --source FOLDER --out stores/mine          FOLDER/train/label/*.wav, also valid, test
    data_prep/audio_folder.py --source table.csv --out stores/mine       files relative to the table's folder
    data_prep/audio_folder.py --source FOLDER --table lists/table.tsv --out stores/mine \\
        --path-column file --label-column word --speaker-column who     files relative to FOLDER

Every format that libsndfile decodes, at any rate, with any number of channels; with the extra `media` the sound of M4A,
WebM and videos too. In a folder, links to folders are followed, and files with other suffixes are counted.

A table has columns `path` or `audio`, `label`, `text`, `split`, `speaker` and `condition`, or others that the options
name; it needs the first, and a label or a text. Labels and texts are stored in Unicode normal form C.

A recording without a given split gets one by a hash of its speaker, or of its file name where the speaker is unknown.
Where a corpus has a training and a test split but no valid one, `--valid-percent` of its training recordings form it.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro

from seqaudio.audio import is_audio_name
from seqaudio.cli.options import run
from seqaudio.errors import OptionError, SourceError
from seqaudio.ledger import encode_field
from seqaudio.prepare.corpora.listing import list_below, skipped_files
from seqaudio.prepare.corpora.splits import check_percentages, hash_split
from seqaudio.prepare.corpora.tables import listed_file, read_table
from seqaudio.prepare.engine import Item
from seqaudio.prepare.speech.options import SpeechOptions, build_speech_store
from seqaudio.store import describe_store

SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "validation": "valid",
    "val": "valid",
    "dev": "valid",
    "test": "test",
    "testing": "test",
}
BACKGROUND = "_background_noise_"  # a folder of noise beside those of the words, as Speech Commands has it
# fields of an Item with the names that their columns usually have
COLUMNS = {
    "path": ("path", "audio"),
    "label": ("label",),
    "text": ("text",),
    "split": ("split",),
    "speaker": ("speaker",),
    "condition": ("condition",),
}
PathColumn = Annotated[str | None, tyro.conf.arg(aliases=("--audio-column",))]


@dataclass(frozen=True, kw_only=True)
class Config(SpeechOptions):
    """Options of the preparation. A column without an option is used where the table has it under its usual name."""

    source: Path  # folder of recordings, or a CSV or TSV table of them
    table: Path | None = None  # CSV or TSV table of the recordings in the source folder
    path_column: PathColumn = None  # table: column of the files; by default `path` or `audio`
    label_column: str | None = None  # table: column of the labels; by default `label`
    text_column: str | None = None  # table: column of the words that are spoken; by default `text`
    split_column: str | None = None  # table: column of the splits; by default `split`
    speaker_column: str | None = None  # table: column of the speakers; by default `speaker`
    condition_column: str | None = None  # table: column of clean, noisy ...; by default `condition`
    speaker_pattern: str = ""  # folder: the speaker in a file name, a regular expression such as "(.+)_nohash_"
    valid_percent: float = 10.0  # of the recordings without a given split
    test_percent: float = 10.0  # of the recordings without a given split
    name: str = ""  # of the corpus, for the store's description
    licence: str = ""  # of the corpus, for the store's description


def main(config: Config) -> None:
    """Prepare the store and print what it holds."""
    check_options(config)
    others = ""
    if config.table is not None:
        items = list_table(config.table, config.source, config)
    elif config.source.is_dir():
        items, others = list_folder(config.source, config.speaker_pattern)
    elif config.source.is_file():
        items = list_table(config.source, config.source.parent, config)
    else:
        raise SourceError(f"{config.source}: no such file or folder; give a folder of recordings, or a table")
    store = build_speech_store(
        config,
        fill_splits(items, config.valid_percent, config.test_percent),
        source=config.name,
        licence=config.licence,
    )
    print("\n".join([*describe_store(store), *([others] if others else [])]))


def check_options(config: Config) -> None:
    """Raise OptionError for invalid percentages, two tables, and options that would have no effect."""
    check_percentages(config.valid_percent, config.test_percent)
    if config.source.is_file() and config.table is not None:
        raise OptionError(f"--source {config.source} and --table {config.table} are two tables; give --source a folder")
    if config.speaker_pattern and (config.source.is_file() or config.table is not None):
        raise OptionError(
            f"--speaker-pattern {config.speaker_pattern!r} is for a folder without a table; give the table's column of "
            f"speakers as --speaker-column"
        )
    for field in COLUMNS if config.source.is_dir() and config.table is None else ():
        name = getattr(config, f"{field}_column")
        if name is not None:
            raise OptionError(f"--{field}-column {name} is for a table, but --source is a folder; give --table as well")


def list_folder(source: Path, speaker_pattern: str) -> tuple[list[Item], str]:
    """Every recording below `source`, in order of paths, and a line about the files that are skipped.

    A recording's label is the folder below the source, or below the split. An unreadable folder is an item too, so that
    the ledger names it.
    """
    pattern = compile_pattern(speaker_pattern)
    listing = list_below(source)
    recordings = {key: path for key, path in listing.files.items() if is_audio_name(path)}
    noises = {key for key in recordings if BACKGROUND in key.lower().split("/")[:-1]}
    paths = {key: path for key, path in recordings.items() if key not in noises}
    others = skipped_files(listing.files.keys() - recordings.keys())
    if noises:
        folder = source / next(iter(sorted(noises))).rpartition("/")[0]
        told = f"{len(noises):,} recordings in {BACKGROUND} left out, since noise is no word"
        others = "\n".join([*([others] if others else []), f"{told}; train with --noise-folder {folder} to use them"])
    if not paths:
        unreadable = [f"{source / key}: {error.strerror}" for key, error in sorted(listing.unreadable.items())[:1]]
        found = ", ".join([*unreadable, *([others] if others else [])])
        raise SourceError(
            f"{source}: has no recordings{found and f' ({found})'}; "
            f"expected FOLDER/label/*.wav (or .flac, .mp3, .ogg, .opus ...)"
        )
    tops = {key.split("/")[0] for key in paths if "/" in key}
    # folders are splits only if all have names of splits, and one is for training: "train" may also be a label
    splits = tops if tops <= SPLIT_NAMES.keys() and "train" in map(SPLIT_NAMES.get, tops) else set()
    items = []
    for key, path in sorted(paths.items()):
        folders = key.split("/")[:-1]
        split = SPLIT_NAMES[folders.pop(0)] if folders and folders[0] in splits else ""
        label = folders[0] if folders else ""
        match = pattern.search(path.stem) if pattern else None
        speaker = match[1] if match else ""
        items.append(Item(key, path, encode_field(key), split, printable(label), speaker=printable(speaker)))
    items += [Item(key, source / key, encode_field(key)) for key in sorted(listing.unreadable)]
    return items, others


def list_table(table: Path, folder: Path, config: Config) -> list[Item]:
    """Every row of a table, in its order; its files are relative to `folder`."""
    given = [name for name in (getattr(config, f"{field}_column") for field in COLUMNS) if name is not None]
    rows = read_table(table, given)
    columns = choose_columns(table, list(rows[0]), config)
    items = []
    seen = Counter[str]()
    for number, row in enumerate(rows, start=1):
        fields = {field: row[name] for field, name in columns.items()}
        place, split = fields.pop("path"), fields.pop("split", "")
        seen[place] += 1
        key = place if place and seen[place] == 1 else f"{place or table.name}#{number}"
        if split and split.lower() not in SPLIT_NAMES:
            raise SourceError(
                f"{table}, row {number}: unknown split {split!r}, expected one of {', '.join(SPLIT_NAMES)}, or nothing"
            )
        split = SPLIT_NAMES[split.lower()] if split else ""
        path = listed_file(folder, place) if place else None  # the preparation refuses a row without a path
        items.append(Item(key, path, encode_field(key), split, **fields))
    return items


def choose_columns(table: Path, names: Sequence[str], config: Config) -> Mapping[str, str]:
    """The column of each field of an Item: the one that an option names, or else one with a usual name."""
    columns = {}
    for field, usual in COLUMNS.items():
        named = getattr(config, f"{field}_column")
        found = named if named is not None else next((name for name in usual if name in names), None)
        if found is not None:
            columns[field] = found
    if "path" not in columns:
        raise SourceError(
            f"{table}: has no column 'path' or 'audio'; give the right one of {', '.join(names)} as --path-column"
        )
    if "label" not in columns and "text" not in columns:
        raise SourceError(
            f"{table}: has no column 'label' or 'text'; give the right one of {', '.join(names)} as --label-column or "
            f"--text-column"
        )
    return columns


def fill_splits(items: Sequence[Item], valid_percent: float, test_percent: float) -> list[Item]:
    """Give a split to every item without one, and a validation split to a corpus that has only training and test."""
    given = {item.split for item in items}
    filled = []
    for item in items:
        voice = item.speaker or (item.key if item.path is None else item.path.stem)
        if not item.split:
            item = replace(item, split=hash_split(voice, valid_percent, test_percent))
        elif item.split == "train" and "valid" not in given:
            item = replace(item, split=hash_split(voice, valid_percent, 0.0))
        filled.append(item)
    return filled


def compile_pattern(text: str) -> re.Pattern[str] | None:
    """A regular expression with one group, or None for an empty text."""
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise OptionError(f"--speaker-pattern {text!r} is not a regular expression ({error}); try ([^_]+)_.*") from None
    if text and pattern.groups != 1:
        raise OptionError(f"--speaker-pattern {text!r} has {pattern.groups} groups, expected one, as in ([^_]+)_.*")
    return pattern if text else None


def printable(name: str) -> str:
    """A folder's name as text for the store: Unicode normal form C, odd bytes percent-encoded."""
    return encode_field(unicodedata.normalize("NFC", name))


if __name__ == "__main__":
    run(Config, main)
