"""Labelled recordings of one's own to a store: a folder for each label, or a table.

    data_prep/audio_folder.py --source FOLDER --out stores/mine          FOLDER/label/*.wav
    data_prep/audio_folder.py --source FOLDER --out stores/mine          FOLDER/train/label/*.wav, also valid, test
    data_prep/audio_folder.py --source table.csv --out stores/mine       paths relative to the table's folder

Every format that libsndfile decodes, at any rate, with any number of channels. Recordings without a given split are
put into one by a hash of their speaker, where it is known, otherwise of their file name; a corpus with a training and
a test split but no valid one has `--valid-percent` of its training recordings put there.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from seqaudio.audio import is_audio_name
from seqaudio.cli.info import describe_store
from seqaudio.cli.options import run
from seqaudio.errors import OptionError, SourceError
from seqaudio.features import feature_settings
from seqaudio.features.preparation import ExtractFeatures
from seqaudio.ledger import encode_field
from seqaudio.prepare import Item, build_store
from seqaudio.prepare.splits import check_percentages, hash_sample, hash_split
from seqaudio.prepare.tables import read_table
from seqaudio.store import StoreDescription

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


@dataclass(frozen=True)
class Config:
    """Options of the preparation."""

    source: Path  # folder of folders named after labels, or a CSV or TSV table
    out: Path  # new folder for the store
    path_column: str = "path"  # table: column of the files
    label_column: str = "label"  # table: column of the labels
    split_column: str = "split"  # table: column of the splits, if it has one
    speaker_column: str = "speaker"  # table: column of the speakers, if it has one
    speaker_pattern: str = ""  # folder: the speaker in a file name, a regular expression such as "(.+)_nohash_"
    valid_percent: float = 10.0  # of the recordings without a given split
    test_percent: float = 10.0  # of the recordings without a given split
    name: str = ""  # of the corpus, for the store's description
    licence: str = ""  # of the corpus, for the store's description
    features: str = "default"  # feature preset: default (13 MFCC), keywords, log_mel
    sample_rate: int = 16000  # hertz; recordings of another rate are resampled
    workers: int = 1  # processes
    limit: int | None = None  # take only N recordings, drawn by their names, for a trial
    force: bool = False  # replace a store that is there


def main(config: Config) -> None:
    """Prepare the store and say what it holds."""
    settings = feature_settings(config.features, config.sample_rate)
    check_percentages(config.valid_percent, config.test_percent)
    if config.source.is_dir():
        items = list_folder(config.source, config.speaker_pattern)
    elif config.source.is_file():
        items = list_table(config)
    else:
        raise SourceError(f"{config.source}: no such file or folder; give a folder of recordings, or a table")
    store = build_store(
        config.out,
        hash_sample(fill_splits(items, config.valid_percent, config.test_percent), config.limit),
        ExtractFeatures(settings),
        StoreDescription(
            kind="features",
            settings={"features": settings.to_dict()},
            sources=(config.name,) if config.name else (),
            licence=config.licence,
            normalise=True,
        ),
        workers=config.workers,
        force=config.force,
        limit=config.limit,
    )
    print("\n".join(describe_store(store)))


def list_folder(source: Path, speaker_pattern: str) -> list[Item]:
    """Every recording below `source`, in order of paths; its label is the folder below the source, or the split."""
    pattern = compile_pattern(speaker_pattern)
    paths = {path.relative_to(source).as_posix(): path for path in source.rglob("*") if is_recording(source, path)}
    tops = {key.split("/")[0] for key in paths if "/" in key}
    # folders are splits only where all of them are, and one is for training: "train" may also be a label
    splits = tops if tops <= SPLIT_NAMES.keys() and "train" in map(SPLIT_NAMES.get, tops) else set()
    items = []
    for key, path in sorted(paths.items()):
        folders = key.split("/")[:-1]
        split = SPLIT_NAMES[folders.pop(0)] if folders and folders[0] in splits else ""
        label = folders[0] if folders else ""
        match = pattern.search(path.stem) if pattern else None
        speaker = match[1] if match else ""
        items.append(Item(key, path, encode_field(key), split, printable(label), speaker=printable(speaker)))
    if not items:
        raise SourceError(f"{source}: has no recordings; expected FOLDER/label/*.wav (or .flac, .mp3, .ogg, .opus ...)")
    return items


def list_table(config: Config) -> list[Item]:
    """Every row of a table, in its order."""
    given = [config.path_column, config.label_column]
    # a column that is named by default need not be there
    given += [name for name in (config.split_column, config.speaker_column) if name not in ("split", "speaker")]
    folder = config.source.parent
    items = []
    seen = Counter[str]()
    for number, row in enumerate(read_table(config.source, given), start=1):
        place = row[config.path_column]
        seen[place] += 1
        key = place if place and seen[place] == 1 else f"{place or config.source.name}#{number}"
        name = row.get(config.split_column, "")
        if name and name.lower() not in SPLIT_NAMES:
            raise SourceError(
                f"{config.source}, row {number}: split {name!r}, expected one of {', '.join(SPLIT_NAMES)}, or nothing"
            )
        items.append(
            Item(
                key,
                folder / place,
                encode_field(key),
                split=SPLIT_NAMES[name.lower()] if name else "",
                label=row[config.label_column],
                speaker=row.get(config.speaker_column, ""),
            )
        )
    return items


def fill_splits(items: Sequence[Item], valid_percent: float, test_percent: float) -> list[Item]:
    """Give a split to every item that has none, and a valid split to a corpus with only training and test."""
    given = {item.split for item in items}
    filled = []
    for item in items:
        voice = item.speaker or item.file.stem
        if not item.split:
            item = replace(item, split=hash_split(voice, valid_percent, test_percent))
        elif item.split == "train" and "valid" not in given:
            item = replace(item, split=hash_split(voice, valid_percent, 0.0))
        filled.append(item)
    return filled


def is_recording(source: Path, path: Path) -> bool:
    """True for a file with the name of a sound file, not hidden nor in a hidden folder."""
    hidden = any(part.startswith(".") for part in path.relative_to(source).parts)
    return is_audio_name(path) and not hidden and not path.is_dir()


def compile_pattern(text: str) -> re.Pattern[str] | None:
    """A regular expression with one group, or None for an empty text."""
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise OptionError(f"--speaker-pattern {text!r} is no regular expression: {error}") from None
    if text and pattern.groups != 1:
        raise OptionError(f"--speaker-pattern {text!r} has {pattern.groups} groups, expected one: ([^_]+)_.*")
    return pattern if text else None


def printable(name: str) -> str:
    """A folder's name as text for the store: Unicode normal form C, odd bytes percent-encoded."""
    return encode_field(unicodedata.normalize("NFC", name))


if __name__ == "__main__":
    run(Config, main)
