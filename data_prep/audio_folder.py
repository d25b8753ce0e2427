"""Prepare your own recordings: a folder for each word, or a table with labels or texts.

    data_prep/audio_folder.py --source FOLDER --out stores/mine          FOLDER/label/*.wav
    data_prep/audio_folder.py --source FOLDER --out stores/mine          FOLDER/train/label/*.wav, also valid, test
    data_prep/audio_folder.py --source FOLDER --out stores/mine          FOLDER/**/a.wav with its words in a.txt
    data_prep/audio_folder.py --source FOLDER --out stores/mine --folders speaker    FOLDER/speaker/a.wav and a.txt
    data_prep/audio_folder.py --source table.csv --out stores/mine       files relative to the table's folder
    data_prep/audio_folder.py --source FOLDER --table lists/table.tsv --out stores/mine \\
        --path-column file --label-column word --speaker-column who     files relative to FOLDER

Every format that libsndfile decodes, at any rate, with any number of channels; with the extra `media` the sound of M4A,
WebM and videos too. In a folder, links to folders are followed, and files with other suffixes are counted.

Folders of splits may have any usual name in any case (Train, dev, validation, eval, TEST), above those of the labels or
within them; a folder beside them is left out and named. Folders of speakers within those of the labels, or above them,
count with `--folders label/speaker` or `speaker/label`, folders of speakers alone with `--folders speaker`. A line says
how folders were understood. A file .txt in UTF-8 beside a recording, with the same name, is its text.

A table is CSV, TSV or JSON, such as a manifest with an object in each line. It has columns `path` or `audio`, `label`,
`text`, `split`, `speaker` and `condition`, or others that the options name; it needs the first, and a label or a text.
With columns `start` and `end`, or `offset` and `duration`, in seconds, a row is that segment of its recording. Labels
and texts are stored in Unicode normal form C.

Recordings without a given split get one: by speaker if the speakers are known and enough, otherwise by file within each
label, so that no split is empty, and every label with enough recordings is in every split. Where a corpus has splits
for training and test but none for validation, `--valid-percent` of its training recordings form it. A test split alone
is a store too, on which a model can be evaluated.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NamedTuple

import tyro

from seqaudio.audio import is_audio_name
from seqaudio.cli.options import run
from seqaudio.errors import OptionError, SourceError
from seqaudio.files import read_plain_text
from seqaudio.ledger import encode_field
from seqaudio.prepare.corpora.columns import COLUMNS, SEGMENT, choose_columns, segment_of
from seqaudio.prepare.corpora.drawn_splits import fill_splits
from seqaudio.prepare.corpora.layout import FolderOrder, Layout, split_names
from seqaudio.prepare.corpora.listing import list_below, skipped_files
from seqaudio.prepare.corpora.splits import check_percentages, hash_sample
from seqaudio.prepare.corpora.tables import find_file, read_table
from seqaudio.prepare.engine import Item
from seqaudio.prepare.speech.options import SpeechOptions, build_speech_store
from seqaudio.store import LEDGER, describe_store
from seqaudio.terminal import few

BACKGROUND = "_background_noise_"  # a folder of noise beside those of the words, as Speech Commands has it
PathColumn = Annotated[str | None, tyro.conf.arg(aliases=("--audio-column",))]


@dataclass(frozen=True, kw_only=True)
class Config(SpeechOptions):
    """Options of the preparation. A column without an option is used where the table has it under its usual name."""

    source: Path  # folder of recordings, or a CSV or TSV table of them
    table: Path | None = None  # CSV or TSV table of the recordings in the source folder
    path_column: PathColumn = None  # table: column of the files; by default `path`, `audio` or another usual name
    label_column: str | None = None  # table: column of the labels; by default `label`
    text_column: str | None = None  # table: column of the words that are spoken; by default `text`
    split_column: str | None = None  # table: column of the splits; by default `split`
    speaker_column: str | None = None  # table: column of the speakers; by default `speaker`
    condition_column: str | None = None  # table: column of clean, noisy ...; by default `condition`
    start_column: str | None = None  # table: column of the start of a segment, in seconds; by default `start`, `offset`
    end_column: str | None = None  # table: column of its end; by default `end`, `stop`
    duration_column: str | None = None  # table: column of its length, in place of its end; by default `duration`
    folders: FolderOrder = "label"  # folder: what its sub-folders name, those of splits aside
    speaker_pattern: str = ""  # folder: the speaker in a file name, a regular expression such as "(.+)_nohash_"
    valid_percent: float = 10.0  # of the recordings without a given split
    test_percent: float = 10.0  # of the recordings without a given split
    name: str = ""  # of the corpus, for the store's description
    licence: str = ""  # of the corpus, for the store's description


class Listed(NamedTuple):
    """Items, and lines that say how folders or columns were understood."""

    items: list[Item]
    understood: list[str]
    others: str = ""  # a line about files that are no recordings


def main(config: Config) -> None:
    """Prepare the store and print what it holds."""
    check_options(config)
    if config.table is not None:
        listed = list_table(config.table, config.source, config)
    elif config.source.is_dir():
        listed = list_folder(config.source, config.speaker_pattern, config.folders)
    elif config.source.is_file():
        listed = list_table(config.source, config.source.parent, config)
    else:
        raise SourceError(f"{config.source}: no such file or folder; give a folder of recordings, or a table")
    # sampled before it is split, so that a trial has all splits too
    filled = fill_splits(hash_sample(listed.items, config.limit), config.valid_percent, config.test_percent)
    print("\n".join([*listed.understood, filled.how]), flush=True)
    store = build_speech_store(config, filled.items, source=config.name, licence=config.licence)
    print("\n".join([*describe_store(store), *([listed.others] if listed.others else [])]))
    kept = {label for count in store.counts.values() for label in count.labels}
    for label in sorted({item.label for item in filled.items} - kept - {""}):
        print(
            f"warning: no label {label}, as all its recordings were refused; see {store.path / LEDGER}", file=sys.stderr
        )
    for split in sorted({item.split for item in filled.items} - store.counts.keys()):
        print(
            f"warning: {split} is empty, as all its recordings were refused; see {store.path / LEDGER}", file=sys.stderr
        )


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
    if config.folders != "label" and (config.source.is_file() or config.table is not None):
        raise OptionError(f"--folders {config.folders} is for a folder without a table; a table has columns instead")
    if config.folders != "label" and config.speaker_pattern:
        raise OptionError(
            f"--folders {config.folders} and --speaker-pattern {config.speaker_pattern!r} both name speakers; "
            f"leave one out"
        )
    for field in COLUMNS if config.source.is_dir() and config.table is None else ():
        name = getattr(config, f"{field}_column")
        if name is not None:
            raise OptionError(f"--{field}-column {name} is for a table, but --source is a folder; give --table as well")


def list_folder(source: Path, speaker_pattern: str, order: FolderOrder) -> Listed:
    """Every recording below `source`, in order of paths.

    An unreadable folder is an item too, so that the ledger names it.
    """
    pattern = compile_pattern(speaker_pattern)
    listing = list_below(source)
    recordings = {key: path for key, path in listing.files.items() if is_audio_name(path)}
    noises = {key for key in recordings if BACKGROUND in key.lower().split("/")[:-1]}
    paths = {key: path for key, path in recordings.items() if key not in noises}
    texts = texts_beside(listing.files, paths)
    others = skipped_files(listing.files.keys() - recordings.keys() - texts.keys())
    if noises:
        folder = source / next(iter(sorted(noises))).rpartition("/")[0]
        line = f"{len(noises):,} recordings in {BACKGROUND} left out, since noise is no word"
        others = "\n".join([*([others] if others else []), f"{line}; train with --noise-folder {folder} to use them"])
    if not paths:
        unreadable = [f"{source / key}: {error.strerror}" for key, error in sorted(listing.unreadable.items())[:1]]
        found = ", ".join([*unreadable, *([others] if others else [])])
        raise SourceError(
            f"{source}: has no recordings{found and f' ({found})'}; "
            f"expected FOLDER/label/*.wav (or .flac, .mp3, .ogg, .opus ...)"
        )
    keys = sorted(paths)
    layout = Layout((key.split("/")[:-1] for key in keys), order)
    items = []
    for key, place in zip(keys, layout.places, strict=True):
        if place.stray:
            continue
        match = pattern.search(paths[key].stem) if pattern else None
        speaker = place.speaker if pattern is None else match[1] if match else ""
        label, speaker = printable(place.label), printable(speaker)
        text = read_transcript(texts[beside]) if (beside := text_name(key)) in texts else ""
        items.append(Item(key, paths[key], encode_field(key), place.split, label, text=text, speaker=speaker))
    items += [Item(key, source / key, encode_field(key)) for key in sorted(listing.unreadable)]
    understood = layout.description()
    if texts:
        line = f"texts: of {len(texts):,} recordings, from the .txt files beside them"
        if order == "label" and not speaker_pattern and any(item.label for item in items):
            line += "; where the folders are those of speakers, give --folders speaker"
        understood.append(line)
    return Listed(items, understood, others)


def text_name(key: str) -> str:
    """The path of the text beside a recording: a/b.wav has its words in a/b.txt."""
    return f"{key.rpartition('.')[0]}.txt"


def texts_beside(files: Mapping[str, Path], recordings: Mapping[str, Path]) -> dict[str, Path]:
    """The files among all that are texts of recordings, by path below the source."""
    names = {text_name(key) for key in recordings}
    return {name: path for name, path in files.items() if name in names}


def read_transcript(path: Path) -> str:
    """The words in a file, on one line. Raises SourceError for a file that is not text in UTF-8."""
    try:
        return " ".join(read_plain_text(path, "utf-8-sig").split())
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(
            f"{path}: not text in UTF-8 ({error}), expected the words of the recording beside it"
        ) from None


def list_table(table: Path, folder: Path, config: Config) -> Listed:
    """Every row of a table, in its order; its files are relative to `folder`."""
    given = {field: getattr(config, f"{field}_column") for field in COLUMNS}
    rows = read_table(table, [name for name in given.values() if name is not None])
    columns = choose_columns(table, rows, given)
    splits = split_names({row[columns.used["split"]] for row in rows}) if "split" in columns.used else {}
    items = []
    missing = []
    seen = Counter[str]()
    for number, row in enumerate(rows, start=1):
        fields = {field: row[name] for field, name in columns.used.items()}
        where = f"{table}, row {number}"
        start, end = segment_of(where, {field: fields.pop(field) for field in SEGMENT if field in fields})
        name, split = fields.pop("path"), fields.pop("split", "")
        whole = start == 0.0 and end is None
        place = name if whole else f"{name}#{start:g}-{'' if end is None else format(end, 'g')}"
        seen[place] += 1
        key = place if name and seen[place] == 1 else f"{place or table.name}#{number}"
        if split and split not in splits:
            usual = "train, valid, test, a usual name such as training, dev or eval, or nothing"
            raise SourceError(f"{where}: unknown split {split!r}, expected {usual}")
        path = find_file(folder, name) if name else None
        if path is None and name:
            missing.append(name)
            path = folder / name  # the preparation refuses it, and a row without a path, by name
        items.append(Item(key, path, encode_field(key), splits.get(split, ""), **fields, start=start, end=end))
    example = few(missing[:1], 1)
    if len(missing) == len(items):
        raise SourceError(
            f"{table}: none of its {len(items):,} files, such as {example}, is in {folder}; give the folder of the "
            f"recordings as --source, and the table as --table"
        )
    gone = f"{len(missing):,} of {len(items):,} files not found in {folder}, such as {example}" if missing else ""
    return Listed(items, [columns.description(len(rows)), *([gone] if gone else [])])


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
