"""Prepare a data set of Hugging Face: a folder of save_to_disk, Parquet files, or a name on the hub.

    data_prep/huggingface.py --source FOLDER --out stores/words    FOLDER as save_to_disk wrote it, of any splits
    data_prep/huggingface.py --source FOLDER --out stores/words    FOLDER/data/train-00000-of-00003.parquet ...
    data_prep/huggingface.py --source FOLDER --out stores/words --label-column word --split-map other=train
    data_prep/huggingface.py --hub google/speech_commands --configuration v0.02 --out stores/words

A folder or a file needs no other package: it is read row by row, in bounded memory. `--hub` needs the extra `datasets`
and a network; it downloads the data set into the cache of that package. Code of a data set is never run.

Recordings are in the column whose kind is Audio, or in one named `audio` or `path`: bytes of any format that
`seqaudio prepare audio_folder` takes, or paths relative to FOLDER. They are read by the same reader, so a damaged one
is listed in the ledger with the reason, and the rows equal those of a folder of these files. Labels are the names of a
ClassLabel, texts or numbers. The columns are `label`, `text`, `speaker` and `condition`, or those that options name.

Splits are those of the data set: train, validation, test, or other usual names; of `train.clean` the first word counts.
--split-map says what any other name means. A data set of one split has its splits drawn, as audio_folder draws them.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seqaudio.cli.options import run
from seqaudio.errors import OptionError
from seqaudio.prepare.corpora.drawn_splits import fill_splits
from seqaudio.prepare.corpora.hub_tables import Rows, find_tables
from seqaudio.prepare.corpora.splits import check_percentages, hash_sample
from seqaudio.prepare.speech.data_sets import list_rows, load_from_hub, tables_of
from seqaudio.prepare.speech.options import RecordingOptions, build_speech_store
from seqaudio.store import LEDGER, describe_store


@dataclass(frozen=True, kw_only=True)
class Config(RecordingOptions):
    """Options of the preparation. A column without an option is used where the data set has it under its usual name."""

    source: Path | None = None  # folder that save_to_disk wrote, folder of Parquet or Arrow files, or one of these
    hub: str | None = None  # in place of a source: a data set of the hub, such as google/speech_commands
    configuration: str | None = None  # of a data set of the hub, such as v0.02
    revision: str | None = None  # of a data set of the hub: a commit, a tag or a branch
    audio_column: str | None = None  # column of the recordings; by default the one whose kind is Audio
    label_column: str | None = None  # column of the labels; by default `label`
    text_column: str | None = None  # column of the words that are spoken; by default `text`, `sentence` ...
    speaker_column: str | None = None  # column of the speakers; by default `speaker`
    condition_column: str | None = None  # column of clean, noisy ...; by default `condition`
    split_column: str | None = None  # column of the splits, where the data set has one split; by default `split`
    split_map: tuple[str, ...] = ()  # NAME=SPLIT for names that mean no split: train, valid, test, or none
    valid_percent: float = 10.0  # of the recordings without a given split
    test_percent: float = 10.0  # of the recordings without a given split
    name: str = ""  # of the corpus, for the store's description
    licence: str = ""  # of the corpus, for the store's description


def main(config: Config) -> None:
    """Prepare the store and print what it holds."""
    check_percentages(config.valid_percent, config.test_percent)
    splits = dict(map(name_and_split, config.split_map))
    if (config.source is None) == (config.hub is None):
        given = "neither --source nor --hub" if config.source is None else "both --source and --hub"
        raise OptionError(f"got {given}, expected one of them: --source FOLDER, or --hub google/speech_commands")
    if config.source is not None and (config.configuration or config.revision):
        raise OptionError("--configuration and --revision are for a data set of the hub; leave them out, or give --hub")
    if config.source is not None:
        tables: Sequence[tuple[str, Rows]] = find_tables(config.source)
        folder = config.source
    else:
        data = load_from_hub(str(config.hub), config.configuration, config.revision)
        tables, folder = tables_of(data, config.workers), Path()
    columns = {
        field: getattr(config, f"{field}_column")
        for field in ("audio", "label", "text", "speaker", "condition", "split")
    }
    listed = list_rows(tables, folder if folder.is_dir() else folder.parent, columns, splits)
    filled = fill_splits(hash_sample(listed.items, config.limit), config.valid_percent, config.test_percent)
    print("\n".join([*listed.understood, filled.how]), flush=True)
    store = build_speech_store(config, filled.items, source=config.name or config.hub or "", licence=config.licence)
    print("\n".join(describe_store(store)))
    for split in sorted({item.split for item in filled.items} - store.counts.keys()):
        print(
            f"warning: {split} is empty, as all its recordings were refused; see {store.path / LEDGER}", file=sys.stderr
        )


def name_and_split(text: str) -> tuple[str, str]:
    """The two parts of an option NAME=SPLIT. Raises OptionError where there are no two."""
    name, _, split = text.rpartition("=")
    if not name or not split:
        raise OptionError(f"--split-map {text}, expected NAME=SPLIT, such as other=train")
    return name, split


if __name__ == "__main__":
    run(Config, main)
