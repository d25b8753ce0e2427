"""Prepare the Free Spoken Digit Dataset: 3,000 digits, 22 minutes; CC BY-SA 4.0; --download.

    data_prep/fsdd.py --source FOLDER --out stores/fsdd
    data_prep/fsdd.py --source FOLDER --out stores/fsdd_theo --leave-out theo
    data_prep/fsdd.py --source FOLDER --out stores/strings --leave-out theo --strings 400
    data_prep/fsdd.py --source NEW_FOLDER --out stores/fsdd --download
    data_prep/fsdd.py --source NEW_FOLDER --out stores/fsdd --archive free-spoken-digit-dataset-1.0.10.zip

    Content    the digits 0 to 9 by six speakers, 50 takes each: 3,000 recordings, 21.9 minutes, 8 kHz, 16 bits
    Source     https://github.com/Jakobovski/free-spoken-digit-dataset, version 1.0.10
    Licence    CC BY-SA 4.0
    Names      {digit}_{speaker}_{take}.wav (or .flac) in FOLDER or in FOLDER/recordings

Splits, in recordings of train / valid / test:

    official          2,400 / 300 / 300    takes 0-4 are the test, as the corpus defines it; takes 5-9 are validation
    --leave-out S     2,000 / 500 / 500    speaker S is the test, the next one in the alphabet is validation

In the first the speakers of validation and test are those of training. In the second they are not, so the epoch too is
chosen on a voice that training has not heard; --validate-on names another one.

--strings N makes sentences for the recipe speech_recognition: N strings of each training speaker, 1 to 7 digits one
after the other with gaps of 0.02 to 0.6 s, in faint noise. In validation and test each recording is in one string.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from seqaudio.audio import is_audio_name
from seqaudio.cli.options import run
from seqaudio.errors import OptionError, SourceError
from seqaudio.prepare.corpora.archives import Limits
from seqaudio.prepare.corpora.expected import check_samples, expect_counts
from seqaudio.prepare.corpora.folder import PublishedArchive, fill_folder
from seqaudio.prepare.engine import Item
from seqaudio.prepare.speech.options import DownloadOptions, build_speech_store
from seqaudio.prepare.speech.strings import JoinRecordings, Strings
from seqaudio.store import describe_store

PUBLISHED = PublishedArchive(
    "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/tags/v1.0.10.zip",
    # the longest recording has 36 thousand bytes; GitHub repacks archives of a tag, so they have no fixed checksum
    limits=Limits(files=10_000, file_bytes=10_000_000, total_bytes=500_000_000),
)
# of names and decoded samples, so that it is equal for WAV and FLAC copies
SAMPLES_SHA256 = "349ae062749a285dbc0386a3f91ea06e19f0d189ea1b2ec8f2bbabf6ec26c157"
NAME = r"([0-9])_([a-z]+)_([0-9]+)"  # digit, speaker, take
TEST_TAKES, VALID_TAKES = range(5), range(5, 10)
EXPECTED = {"train": 2400, "valid": 300, "test": 300}
EXPECTED_LEFT_OUT = {"train": 2000, "valid": 500, "test": 500}


@dataclass(frozen=True, kw_only=True)
class Config(DownloadOptions):
    """Options of the preparation."""

    leave_out: str = ""  # speaker to use as the test; empty: the official split
    validate_on: str = ""  # with --leave-out: who is validation and not in training; by default the next speaker
    strings: int = 0  # of digits, of each training speaker, in place of single digits; 0: none
    seed: int = 0  # of the strings
    sample_rate: int = 8000  # hertz


def main(config: Config) -> None:
    """Prepare the store and print what it holds."""
    if config.strings and config.update:
        raise OptionError("--update does not see changes within --strings; prepare the store again by --force")
    fill_folder(
        config.source,
        "recordings",
        PUBLISHED,
        archive=config.archive,
        fetch=config.download,
        check=lambda top: check_samples(top / "recordings", SAMPLES_SHA256),
    )
    items = list_items(config.source, config.leave_out, config.validate_on)
    strings = (
        Strings.of([item for item in items if item.split], config.strings, config.seed) if config.strings else None
    )
    store = build_speech_store(
        config,
        items if strings is None else strings.items,
        source="Free Spoken Digit Dataset",
        licence="CC BY-SA 4.0",
        names=NAME,
        example="3_theo_12.wav",
        about={"strings": config.strings, "strings_seed": config.seed} if strings else None,
        wrap=(lambda extract: JoinRecordings(extract, strings.parts)) if strings else None,
    )
    print("\n".join(describe_store(store)))
    if config.strings:
        return
    expect_counts(store, EXPECTED_LEFT_OUT if config.leave_out else EXPECTED, config.limit)


def list_items(source: Path, leave_out: str, validate_on: str = "") -> list[Item]:
    """Every recording with its split. A file with another name has no split, and the preparation refuses it.

    Raises:
        SourceError: no folder, or no recordings in it. OptionError: a speaker who does not exist, or is given twice;
            too few to leave one out.
    """
    if validate_on and (not leave_out or validate_on == leave_out):
        raise OptionError(f"--validate-on {validate_on} --leave-out {leave_out or 'nobody'}, expected two speakers")
    folder = source / "recordings" if (source / "recordings").is_dir() else source
    if not folder.is_dir():
        raise SourceError(f"{source}: no such folder; give the folder of the corpus, or add --download")
    paths = sorted(filter(is_audio_name, folder.iterdir()), key=lambda path: path.name)
    named = {path: match.groups() for path in paths if (match := re.fullmatch(NAME, path.stem))}
    speakers = sorted({speaker for _, speaker, _ in named.values()})
    if not speakers:
        raise SourceError(f"{folder}: has no recordings, expected names such as 3_theo_12.wav")
    for option, name in (("--leave-out", leave_out), ("--validate-on", validate_on)):
        if name and name not in speakers:
            raise OptionError(f"{option} {name}: no such speaker; the speakers are {', '.join(speakers)}")
    if leave_out and len(speakers) < 3:
        raise OptionError(
            f"--leave-out {leave_out}: of {' and '.join(speakers)} nobody would be left to train on; "
            f"expected three speakers or more"
        )
    if leave_out and not validate_on:
        validate_on = speakers[(speakers.index(leave_out) + 1) % len(speakers)]
    items = []
    for path in paths:
        if path not in named:
            items.append(Item(path.name, path, path.name))
            continue
        digit, speaker, take = named[path]
        split = split_of(speaker, int(take), leave_out, validate_on)
        items.append(Item(path.name, path, path.stem, split, label=digit, speaker=speaker))
    return items


def split_of(speaker: str, take: int, leave_out: str, validate_on: str) -> str:
    """The split of one recording: by speaker where one is left out, otherwise by take."""
    if leave_out:
        return {leave_out: "test", validate_on: "valid"}.get(speaker, "train")
    return "test" if take in TEST_TAKES else "valid" if take in VALID_TAKES else "train"


if __name__ == "__main__":
    run(Config, main)
