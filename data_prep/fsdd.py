"""Free Spoken Digit Dataset to a store; --download is tried on a local server only, never yet on the real one.

    data_prep/fsdd.py --source FOLDER --out stores/fsdd
    data_prep/fsdd.py --source FOLDER --out stores/fsdd_theo --leave-out theo
    data_prep/fsdd.py --source NEW_FOLDER --out stores/fsdd --download

    Content    the digits 0 to 9 by six speakers, 50 takes each: 3,000 recordings, 21.9 minutes, 8 kHz, 16 bits
    Source     https://github.com/Jakobovski/free-spoken-digit-dataset, version 1.0.10
    Licence    CC BY-SA 4.0
    Names      {digit}_{speaker}_{take}.wav (or .flac) in FOLDER or in FOLDER/recordings

Splits, in recordings of train / valid / test:

    official          2,400 / 300 / 300    takes 0-4 are the test, as the corpus defines it; we validate on takes 5-9
    --leave-out S     2,250 / 250 / 500    all of speaker S is the test; takes 5-9 of the others validate

Validation speakers are training speakers in both: only the test of --leave-out tells of an unknown voice.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from seqaudio.audio import is_audio_name, read_audio
from seqaudio.cli.info import describe_store
from seqaudio.cli.options import run
from seqaudio.errors import OptionError, SourceError
from seqaudio.features import feature_settings
from seqaudio.features.preparation import ExtractFeatures
from seqaudio.prepare import Item, build_store
from seqaudio.prepare.download import download
from seqaudio.prepare.splits import hash_sample
from seqaudio.store import Store, StoreDescription

URL = "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/tags/v1.0.10.zip"
# of names and decoded samples (see samples_digest), so that WAV and FLAC copies answer alike
SAMPLES_SHA256 = "349ae062749a285dbc0386a3f91ea06e19f0d189ea1b2ec8f2bbabf6ec26c157"
NAME = r"([0-9])_([a-z]+)_([0-9]+)"  # digit, speaker, take
TEST_TAKES, VALID_TAKES = range(5), range(5, 10)
EXPECTED = {"train": 2400, "valid": 300, "test": 300}
EXPECTED_LEFT_OUT = {"train": 2250, "valid": 250, "test": 500}
LARGEST = 10_000_000  # bytes of one recording in the archive; the longest has 36 thousand


@dataclass(frozen=True)
class Config:
    """Options of the preparation."""

    source: Path  # folder with the recordings, or with a folder `recordings`
    out: Path  # new folder for the store
    leave_out: str = ""  # speaker to keep for the test; empty: the official split
    download: bool = False  # fetch the corpus (about 16 MB) into the source folder first
    features: str = "default"  # feature preset: default (13 MFCC), keywords, log_mel
    sample_rate: int = 8000  # hertz
    workers: int = 1  # processes
    limit: int | None = None  # take only N recordings, drawn by their names, for a trial
    force: bool = False  # replace a store that is there


def main(config: Config) -> None:
    """Prepare the store and say what it holds."""
    settings = feature_settings(config.features, config.sample_rate)
    if config.download:
        fetch(config.source)
    store = build_store(
        config.out,
        hash_sample(list_items(config.source, config.leave_out), config.limit),
        ExtractFeatures(settings, names=NAME, example="3_theo_12.wav"),
        StoreDescription(
            kind="features",
            settings={"features": settings.to_dict()},
            sources=("Free Spoken Digit Dataset",),
            licence="CC BY-SA 4.0",
            normalise=True,
        ),
        workers=config.workers,
        force=config.force,
        limit=config.limit,
    )
    print("\n".join(describe_store(store)))
    if config.limit is None:
        compare_counts(store, EXPECTED_LEFT_OUT if config.leave_out else EXPECTED)


def list_items(source: Path, leave_out: str) -> list[Item]:
    """Every recording with its split. A file of another name has no split: the preparation refuses it."""
    folder = source / "recordings" if (source / "recordings").is_dir() else source
    if not folder.is_dir():
        raise SourceError(f"{source}: no such folder; give the folder of the corpus, or --download to fetch it there")
    items = []
    speakers = set()
    for path in sorted(filter(is_audio_name, folder.iterdir()), key=lambda path: path.name):
        match = re.fullmatch(NAME, path.stem)
        if match is None:
            items.append(Item(path.name, path, path.name))
            continue
        digit, speaker, take = match.groups()
        speakers.add(speaker)
        split = split_of(speaker, int(take), leave_out)
        items.append(Item(path.name, path, path.stem, split, label=digit, speaker=speaker))
    if not speakers:
        raise SourceError(f"{folder}: has no recordings with names such as 3_theo_12.wav")
    if leave_out and leave_out not in speakers:
        raise OptionError(f"--leave-out {leave_out}: no such speaker; the speakers are {', '.join(sorted(speakers))}")
    return items


def split_of(speaker: str, take: int, leave_out: str) -> str:
    """The split of one recording; `leave_out` is a speaker or empty."""
    if speaker == leave_out or (not leave_out and take in TEST_TAKES):
        return "test"
    return "valid" if take in VALID_TAKES else "train"


def compare_counts(store: Store, expected: dict[str, int]) -> None:
    """Warn where the splits are not as large as those of the whole corpus."""
    found = {split: count.rows for split, count in store.counts.items()}
    if found != expected:
        print(f"warning: {found} recordings, the whole corpus has {expected}", file=sys.stderr)


def fetch(folder: Path) -> None:
    """Download the corpus into folder/recordings, unless that is there, and check every sample of it."""
    recordings = folder / "recordings"
    if recordings.exists():
        return
    archive = download(URL, folder / "fsdd-1.0.10.zip", sha256=None)
    partial = folder / "recordings.partial"
    if partial.exists():
        shutil.rmtree(partial)
    try:
        unpack(archive, partial)
    except zipfile.BadZipFile as error:
        archive.unlink()
        raise SourceError(f"{URL}: not an intact ZIP archive ({error}); run the command again") from None
    digest = samples_digest(partial)
    archive.unlink()
    if digest != SAMPLES_SHA256:
        raise SourceError(
            f"{partial}: the samples have SHA-256 {digest}, expected {SAMPLES_SHA256}; the archive has another version"
        )
    partial.rename(recordings)


def unpack(archive: Path, folder: Path) -> None:
    """Write the recordings of an archive to `folder`; whatever else it holds is left alone."""
    with zipfile.ZipFile(archive) as file:
        folder.mkdir()
        for entry in file.infolist():
            place = PurePosixPath(entry.filename)  # only its last part is used: an archive cannot write elsewhere
            if place.parent.name == "recordings" and re.fullmatch(NAME, place.stem) and place.suffix == ".wav":
                if entry.file_size > LARGEST:
                    raise SourceError(f"{archive.name}: {place} has {entry.file_size:,} bytes, at most {LARGEST:,}")
                (folder / place.name).write_bytes(file.read(entry))


def samples_digest(folder: Path) -> str:
    """SHA-256 over each recording's name without suffix and its 16-bit samples (little-endian), in order of names."""
    digest = hashlib.sha256()
    for path in sorted(filter(is_audio_name, folder.iterdir()), key=lambda path: path.stem):
        digest.update(f"{path.stem}\n".encode())
        digest.update((read_audio(path).samples * 32768).astype("<i2").tobytes())
    return digest.hexdigest()


if __name__ == "__main__":
    run(Config, main)
