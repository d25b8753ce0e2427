"""Prepare Speech Commands: 105,829 words of a second; CC BY 4.0; --download, 2.4 GB.

    data_prep/speech_commands.py --source FOLDER --out stores/commands12
    data_prep/speech_commands.py --source FOLDER --out stores/commands35 --classes all
    data_prep/speech_commands.py --source FOLDER --out stores/animals --words bird cat dog
    data_prep/speech_commands.py --source NEW_FOLDER --out stores/commands12 --version 0.01 --download
    data_prep/speech_commands.py --source NEW_FOLDER --out stores/commands12 --archive speech_commands_v0.02.tar.gz

    Content    words of a second or less by thousands of people, 16 kHz, 16 bits: v0.01 64,721 recordings of 30 words,
               v0.02 105,829 of 35; six recordings of background noise, 6.7 minutes
    Source     https://storage.googleapis.com/download.tensorflow.org/data/speech_commands_v0.02.tar.gz (2.4 GB)
    Licence    CC BY 4.0
    Cite       P. Warden, "Speech Commands: a dataset for limited-vocabulary speech recognition" (2018)
    Names      {word}/{speaker}_nohash_{take}.wav (or .flac), _background_noise_/*.wav, validation_list.txt and
               testing_list.txt (or validation_list_v0.01.txt ...)

Splits are given by the two lists of the corpus; where one is missing, by the rule that made them, a hash of the
speaker. No speaker is in two splits. In recordings of train / valid / test:

    v0.02  --classes all    84,843 / 9,981 / 11,005      --classes 12    36,923 / 4,445 / 4,890
    v0.01  --classes all    51,088 / 6,798 /  6,835      --classes 12    22,246 / 3,093 / 3,081

The twelve classes are ten commands, `unknown` and `silence`. In each split, `unknown` and `silence` have as many clips
as a command has on average, rounded up. `unknown` has recordings of the other words, those whose names have the
smallest SHA-256. `silence` is cut from the background recordings, each split from another part (`prepare/speech`).
--words does the same with other words. `store.json` has the SHA-256 of the list of all clips with their splits and
labels: equal hashes mean equal lists. The published benchmark draws both classes at random, so published results are on
other `unknown` and `silence` clips.
"""

from __future__ import annotations

import hashlib
import math
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from seqaudio.audio import is_audio_name
from seqaudio.cli.options import run
from seqaudio.errors import OptionError, SourceError
from seqaudio.prepare.corpora.expected import expect_counts
from seqaudio.prepare.corpora.folder import PublishedArchive, fill_folder
from seqaudio.prepare.corpora.splits import hash_sample
from seqaudio.prepare.corpora.tables import read_lines
from seqaudio.prepare.engine import Item
from seqaudio.prepare.speech.background import CutBackground, share_out, splits_with_room
from seqaudio.prepare.speech.options import DownloadOptions, build_speech_store
from seqaudio.registry import did_you_mean
from seqaudio.store import SPLITS, describe_store
from seqaudio.vocabulary import SILENCE, UNKNOWN

Version = Literal["0.01", "0.02"]

URL = "https://storage.googleapis.com/download.tensorflow.org/data/speech_commands_v{}.tar.gz"
PUBLISHED = {
    "0.01": PublishedArchive(
        URL.format("0.01"), "743935421bb51cccdb6bdd152e04c5c70274e935c82119ad7faeec31780d811d", 1_489_096_277
    ),
    "0.02": PublishedArchive(
        URL.format("0.02"), "af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58", 2_428_923_189
    ),
}
BACKGROUND = "_background_noise_"
NAME = re.compile(r"(?P<speaker>.+)_nohash_\d+")
COMMANDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
LISTS = {"valid": "validation_list", "test": "testing_list"}
MAX_HASH = 2**27 - 1  # of the rule, which keeps 27 bits of a SHA-1
EXPECTED = {
    ("0.01", "all"): {"train": 51_088, "valid": 6_798, "test": 6_835},
    ("0.01", "12"): {"train": 22_246, "valid": 3_093, "test": 3_081},
    ("0.02", "all"): {"train": 84_843, "valid": 9_981, "test": 11_005},
    ("0.02", "12"): {"train": 36_923, "valid": 4_445, "test": 4_890},
}


@dataclass(frozen=True, kw_only=True)
class Config(DownloadOptions):
    """Options of the preparation."""

    version: Version = "0.02"  # of the corpus
    classes: Literal["12", "all"] = "12"  # ten commands, unknown and silence; or every word
    words: tuple[str, ...] = ()  # these words, unknown and silence instead of --classes
    unknown: float = 1.0  # size of the class `unknown`, relative to the average of the words; 0: no such class
    silence: float = 1.0  # size of the class `silence`, relative to the average of the words; 0: no such class


def main(config: Config) -> None:
    """Prepare the store and print what it holds."""
    check_options(config)
    fill_folder(config.source, BACKGROUND, PUBLISHED[config.version], archive=config.archive, fetch=config.download)
    recordings = hash_sample(list_recordings(config.source, config.version), config.limit)
    if config.classes == "12" or config.words:
        words = check_words(config.words or COMMANDS, recordings)
        items = choose(recordings, words, config.unknown)
        backgrounds = list_backgrounds(config.source) if config.silence else []
        counts = silence_counts(items, backgrounds, config.silence)
    else:
        items, backgrounds, counts = recordings, [], {}
    store = build_speech_store(
        config,
        items,
        always=backgrounds,
        source=f"Speech Commands v{config.version}",
        licence="CC BY 4.0",
        names=NAME.pattern,
        example="bed/00176480_nohash_0.wav",
        about={"list": {"version": config.version, "sha256": list_digest(items, counts)}},
        wrap=lambda extract: CutBackground(extract, counts),
    )
    print("\n".join(describe_store(store)))
    if not config.words and config.unknown == config.silence == 1:
        expect_counts(store, EXPECTED[config.version, config.classes], config.limit)


def check_options(config: Config) -> None:
    """Raise OptionError for invalid numbers, and for two choices of words."""
    for name in ("unknown", "silence"):
        share = getattr(config, name)
        if not (math.isfinite(share) and share >= 0):
            raise OptionError(f"--{name} {share:g}, expected 0 (no such class) or more, such as 1")
    if config.words and config.classes == "all":
        raise OptionError(f"--classes all and --words {' '.join(config.words)} exclude each other; leave one out")


def list_recordings(source: Path, version: Version) -> list[Item]:
    """Every recording of a word with its split, in order of paths. The preparation refuses files with other names."""
    if not source.is_dir():
        raise SourceError(f"{source}: no such folder; give the folder of the corpus, or add --download")
    lists = {split: read_list(source, name, version) for split, name in LISTS.items()}
    items = []
    for folder in sorted(path for path in source.iterdir() if path.is_dir() and path.name[0] not in "._"):
        for path in sorted(filter(is_audio_name, folder.iterdir()), key=lambda path: path.stem):
            name = f"{folder.name}/{path.stem}"
            match = NAME.fullmatch(path.stem)
            speaker = match["speaker"] if match else ""
            split = split_of(name, speaker, lists)
            items.append(Item(f"{folder.name}/{path.name}", path, name, split, label=folder.name, speaker=speaker))
    if not items:
        raise SourceError(f"{source}: has no recordings, expected files such as bed/00176480_nohash_0.wav")
    return items


def read_list(source: Path, name: str, version: Version) -> frozenset[str] | None:
    """Names without suffix, such as bed/026290a7_nohash_0, in an official list; None where the folder has none.

    Raises OptionError for a list of another version.
    """
    found = next((path for path in (source / f"{name}.txt", source / f"{name}_v{version}.txt") if path.is_file()), None)
    if found is None:
        for other in sorted(source.glob(f"{name}_v*.txt")):
            raise OptionError(f"--version {version}, but {source} has {other.name}; give the version of that list")
        return None
    return frozenset(line.rpartition(".")[0] for line in read_lines(found, "a list of recordings"))


def split_of(name: str, speaker: str, lists: Mapping[str, frozenset[str] | None]) -> str:
    """The split of a recording by the lists, or by the speaker where a list is missing."""
    by_rule = split_by_rule(speaker)
    for split, names in lists.items():
        if by_rule == split if names is None else name in names:
            return split
    return "train"


def split_by_rule(speaker: str) -> str:
    """The split of a speaker by the rule that the corpus publishes in its README.

    SHA-1 of the file name up to `_nohash_`, modulo 2**27, over 2**27 - 1, in percent: below 10 is validation, below 20
    is test. Source: P. Warden, README of Speech Commands.
    """
    digest = int.from_bytes(hashlib.sha1(speaker.encode("utf-8", "surrogateescape"), usedforsecurity=False).digest())
    percent = 100.0 * (digest % (MAX_HASH + 1)) / MAX_HASH
    if percent < 10:
        return "valid"
    return "test" if percent < 20 else "train"


def check_words(words: Sequence[str], recordings: Sequence[Item]) -> tuple[str, ...]:
    """The words. Raises OptionError where one is given twice or has no recordings."""
    known = sorted({item.label for item in recordings})
    for word in words:
        if word not in known:
            raise OptionError(f"the word {word!r} has no recordings; {did_you_mean(word, known)}")
    if len(set(words)) < len(words):
        raise OptionError(f"--words {' '.join(words)}: a word is given twice; give each word once")
    return tuple(words)


def choose(recordings: Sequence[Item], words: Sequence[str], unknown: float) -> list[Item]:
    """The recordings of the words, and in each split some of the others labelled `unknown`, in their order."""
    labels = {}
    for split in SPLITS:
        here = [item for item in recordings if item.split == split]
        of_words = [item for item in here if item.label in words]
        others = [item for item in here if item.label not in words]
        wanted = math.ceil(unknown * len(of_words) / len(words))
        labels |= {item.id: item.label for item in of_words}
        labels |= {item.id: UNKNOWN for item in (hash_sample(others, wanted) if wanted else [])}
    return [replace(item, label=labels[item.id]) for item in recordings if item.id in labels]


def list_backgrounds(source: Path) -> list[Item]:
    """The recordings of background noise, which are in all splits. Raises SourceError where there are none."""
    folder = source / BACKGROUND
    paths = sorted(filter(is_audio_name, folder.iterdir()), key=lambda path: path.stem) if folder.is_dir() else []
    if not paths:
        raise SourceError(f"{folder}: has no recordings to cut silence from; add them, or give --silence 0")
    return [Item(f"{BACKGROUND}/{path.name}", path, f"{SILENCE}/{path.stem}", label=SILENCE) for path in paths]


def silence_counts(items: Sequence[Item], backgrounds: Sequence[Item], silence: float) -> dict[str, dict[str, int]]:
    """How many clips to cut for each split, by the id of the recording: in total as many as a word has on average.

    The recordings that are long enough share them equally. A split for which none is has no silence, with a warning.
    """
    counts: dict[str, dict[str, int]] = {background.id: {} for background in backgrounds}
    long_enough = {background.id: splits_with_room(background.file) for background in backgrounds}
    words = {item.label for item in items} - {UNKNOWN}
    for split in SPLITS if backgrounds else ():
        of_words = sum(item.split == split and item.label != UNKNOWN for item in items)
        wanted = math.ceil(silence * of_words / len(words))
        usable = [name for name in counts if split in long_enough[name]]
        if wanted and not usable:
            print(
                f"warning: {split} has no silence: no recording in {BACKGROUND} is long enough to cut clips for it",
                file=sys.stderr,
            )
        for name, count in share_out(wanted, usable).items():
            counts[name][split] = count
    return counts


def list_digest(items: Sequence[Item], counts: Mapping[str, Mapping[str, int]]) -> str:
    """SHA-256 over sorted lines with tabs: split, label and name of each clip; split, recording, number of silences."""
    lines = [f"{item.split}\t{item.label}\t{item.id}" for item in items]
    lines += [f"{split}\t{name}\t{count}" for name, each in counts.items() for split, count in each.items()]
    return hashlib.sha256("".join(f"{line}\n" for line in sorted(lines)).encode("utf-8", "surrogateescape")).hexdigest()


if __name__ == "__main__":
    run(Config, main)
