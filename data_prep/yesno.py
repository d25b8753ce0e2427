"""Prepare yesno: yes and no in Hebrew by one man, 6 minutes; free of charge; --download.

    data_prep/yesno.py --source FOLDER --out stores/yesno
    data_prep/yesno.py --source NEW_FOLDER --out stores/yesno --download
    data_prep/yesno.py --source NEW_FOLDER --out stores/yesno --archive waves_yesno.tar.gz

    Content    60 recordings of one man who says eight words in each, yes or no: 6.1 minutes, 8 kHz, 16 bits
    Source     https://www.openslr.org/1, made by an anonymous contributor to test Kaldi's scripts
    Licence    free of charge; no formal text
    Names      one digit for each word, 1 for yes: 0_1_1_0_0_1_1_0.wav (or .flac), in FOLDER or FOLDER/waves_yesno

The text is the sequence of YES and NO. Splits, in recordings of train / valid / test: 25 / 5 / 30. Sorted by name, the
last 30 are the test, as in Kaldi's script; of the first 30 every sixth is validation. With one voice in all splits, the
corpus shows whether a recogniser works at all, not how well.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from seqaudio.audio import is_audio_name
from seqaudio.cli.options import run
from seqaudio.errors import SourceError
from seqaudio.prepare.corpora.archives import Limits
from seqaudio.prepare.corpora.expected import check_samples, expect_counts
from seqaudio.prepare.corpora.folder import PublishedArchive, fill_folder
from seqaudio.prepare.engine import Item
from seqaudio.prepare.speech.options import DownloadOptions, build_speech_store
from seqaudio.store import describe_store

PUBLISHED = PublishedArchive(
    "https://www.openslr.org/resources/1/waves_yesno.tar.gz",  # repacked at times, so it has no fixed checksum
    limits=Limits(files=200, file_bytes=10_000_000, total_bytes=100_000_000),
)
# of names and decoded samples, so that it is equal for WAV and FLAC copies
SAMPLES_SHA256 = "6cd428841ee73200f60957fd0495f749a55899af4d71634f26e051f82651ce99"
NAME = "[01](_[01]){7}"
WORDS = {"0": "NO", "1": "YES"}
EXPECTED = {"train": 25, "valid": 5, "test": 30}


@dataclass(frozen=True, kw_only=True)
class Config(DownloadOptions):
    """Options of the preparation."""

    sample_rate: int = 8000  # hertz


def main(config: Config) -> None:
    """Prepare the store and print what it holds."""
    fill_folder(
        config.source,
        "waves_yesno",
        PUBLISHED,
        archive=config.archive,
        fetch=config.download,
        check=lambda top: check_samples(top / "waves_yesno", SAMPLES_SHA256),
    )
    store = build_speech_store(
        config,
        list_items(config.source),
        source="yesno (OpenSLR 1)",
        licence="free, no formal text",
        names=NAME,
        example="0_1_1_0_0_1_1_0.wav",
    )
    print("\n".join(describe_store(store)))
    expect_counts(store, EXPECTED, config.limit)


def list_items(source: Path) -> list[Item]:
    """Every recording with its words and its split, in order of names. Other names are refused by the preparation."""
    folder = source / "waves_yesno" if (source / "waves_yesno").is_dir() else source
    if not folder.is_dir():
        raise SourceError(f"{source}: no such folder; give the folder of the corpus, or add --download")
    paths = sorted(filter(is_audio_name, folder.iterdir()), key=lambda path: path.stem)
    named = [path for path in paths if re.fullmatch(NAME, path.stem)]
    if not named:
        raise SourceError(f"{folder}: has no recordings, expected names such as 0_1_1_0_0_1_1_0.wav")
    splits = {path: split_of(number, len(named)) for number, path in enumerate(named)}
    return [
        Item(path.name, path, path.stem, splits.get(path, ""), text=text_of(path.stem), speaker="1") for path in paths
    ]


def text_of(name: str) -> str:
    """The words of a recording: YES NO NO ..."""
    return " ".join(WORDS.get(digit, "") for digit in name.split("_"))


def split_of(number: int, count: int) -> str:
    """The split of a recording by its number among `count`, sorted by name."""
    if number >= count // 2:
        return "test"
    return "valid" if number % 6 == 5 else "train"


if __name__ == "__main__":
    run(Config, main)
