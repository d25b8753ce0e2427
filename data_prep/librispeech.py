"""Prepare LibriSpeech: English audio books, up to 1,000 hours; CC BY 4.0; --download, 0.3 to 61 GB.

    data_prep/librispeech.py --source LibriSpeech --out stores/librispeech
    data_prep/librispeech.py --source LibriSpeech --out stores/all --subsets train-clean-100 train-clean-360 \\
        train-other-500 dev-clean dev-other test-clean test-other
    data_prep/librispeech.py --source NEW_FOLDER --out stores/small --subsets dev-clean test-clean --download \\
        --train-on dev-clean
    data_prep/librispeech.py --source NEW_FOLDER --out stores/librispeech \\
        --archive train-clean-100.tar.gz dev-clean.tar.gz test-clean.tar.gz

    Content    English audio books read by volunteers, cut into utterances: 292,367 of 2,484 speakers, about 1,000
               hours, 16 kHz, 16 bits; the text is upper case without punctuation
    Source     https://www.openslr.org/12
    Licence    CC BY 4.0
    Cite       V. Panayotov, G. Chen, D. Povey, S. Khudanpur, "Librispeech: an ASR corpus based on public domain audio
               books" (2015)
    Names      {subset}/{speaker}/{chapter}/{speaker}-{chapter}-{number}.flac, and beside them the words of a chapter,
               {speaker}-{chapter}.trans.txt; SPEAKERS.TXT at the top lists the subset of each speaker

Subsets, no speaker in two of them:

    train-clean-100  28,539    6.3 GB      dev-clean   2,703    0.3 GB      test-clean  2,620    0.3 GB
    train-clean-360 104,014   23.0 GB      dev-other   2,864    0.3 GB      test-other  2,939    0.3 GB
    train-other-500 148,688   30.6 GB

The first word of a subset is its split; `clean` or `other` is the condition, which evaluation reports separately.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from seqaudio.cli.options import run
from seqaudio.errors import OptionError, SourceError
from seqaudio.ledger import encode_field
from seqaudio.prepare.corpora.expected import expect_counts
from seqaudio.prepare.corpora.folder import PublishedArchive, fill_folder
from seqaudio.prepare.corpora.tables import read_lines
from seqaudio.prepare.engine import Item
from seqaudio.prepare.speech.options import SpeechOptions, build_speech_store
from seqaudio.registry import did_you_mean
from seqaudio.store import describe_store

URL = "https://www.openslr.org/resources/12/{}.tar.gz"


class Subset(NamedTuple):
    """Facts about a subset."""

    split: str
    utterances: int
    sha256: str  # of its archive


SUBSETS = {
    "train-clean-100": Subset("train", 28_539, "d4ddd1d5a6ab303066f14971d768ee43278a5f2a0aa43dc716b0e64ecbbbf6e2"),
    "train-clean-360": Subset("train", 104_014, "146a56496217e96c14334a160df97fffedd6e0a04e66b9c5af0d40be3c792ecf"),
    "train-other-500": Subset("train", 148_688, "ddb22f27f96ec163645d53215559df6aa36515f26e01dd70798188350adcb6d2"),
    "dev-clean": Subset("valid", 2_703, "76f87d090650617fca0cac8f88b9416e0ebf80350acb97b343a85fa903728ab3"),
    "dev-other": Subset("valid", 2_864, "12661c48e8c3fe1de2c1caa4c3e135193bfb1811584f11f569dd12645aa84365"),
    "test-clean": Subset("test", 2_620, "39fde525e59672dc6d1551919b1478f724438a95aa55f874b576be21967e6c23"),
    "test-other": Subset("test", 2_939, "d09c181bba5cf717b3dee7d4d592af11a3ee3a09e08ae025c5506f6ebe961c29"),
}


@dataclass(frozen=True, kw_only=True)
class Config(SpeechOptions):
    """Options of the preparation."""

    subsets: tuple[str, ...] = ("train-clean-100", "dev-clean", "test-clean")  # parts of the corpus
    train_on: str = ""  # a subset to train on, whatever its name, for a trial with small downloads
    archive: tuple[Path, ...] = ()  # archives of subsets that you have; they are unpacked into the source folder first
    download: bool = False  # download the archives of the subsets that are missing


def main(config: Config) -> None:
    """Prepare the store and print what it holds."""
    splits = choose_splits(config.subsets, config.train_on)
    fill(config)
    store = build_speech_store(
        config, list_items(config.source, splits), source=f"LibriSpeech {' '.join(splits)}", licence="CC BY 4.0"
    )
    print("\n".join(describe_store(store)))
    expected = Counter[str]()
    for name, split in splits.items():
        expected[split] += SUBSETS[name].utterances
    expect_counts(store, {split: expected[split] for split in store.counts}, config.limit)


def choose_splits(subsets: tuple[str, ...], train_on: str) -> dict[str, str]:
    """The split of each chosen subset. Raises OptionError for an unknown subset, or where none is for training."""
    for name in (*subsets, *([train_on] if train_on else [])):
        if name not in SUBSETS:
            raise OptionError(f"unknown subset {name!r}; {did_you_mean(name, list(SUBSETS))}")
    splits = {name: "train" if name == train_on else SUBSETS[name].split for name in subsets}
    if train_on not in ("", *subsets):
        raise OptionError(f"--train-on {train_on} is not among --subsets {' '.join(subsets)}; add it")
    if "train" not in splits.values():
        raise OptionError(f"--subsets {' '.join(subsets)} has none to train on; add one, or give one as --train-on")
    return splits


def fill(config: Config) -> None:
    """Unpack the given archives, then download the missing subsets with --download."""
    given = {}
    for archive in config.archive:
        name = archive.name.removesuffix(".gz").removesuffix(".tar")
        if name not in SUBSETS:
            raise OptionError(
                f"--archive {archive}: expected the published file name, such as dev-clean.tar.gz; rename the file"
            )
        given[name] = archive
    for name in dict.fromkeys((*given, *config.subsets)):
        published = PublishedArchive(URL.format(name), SUBSETS[name].sha256)
        archive = given.get(name)
        fill_folder(config.source, name, published, archive=archive, fetch=config.download and archive is None)


def list_items(source: Path, splits: dict[str, str]) -> list[Item]:
    """Every utterance in the texts of chapters, in order of subsets, speakers, chapters and numbers.

    After those of a subset come its recordings without a text, which the preparation refuses.
    """
    listed = read_speakers(source / "SPEAKERS.TXT")
    items = []
    for name, split in splits.items():
        folder = source / name
        if not folder.is_dir():
            raise SourceError(f"{folder}: no such folder; give the folder with the subsets, or add --download")
        chapters = sorted(folder.glob("*/*/*.trans.txt"))
        if not chapters:
            raise SourceError(f"{folder}: has no texts, expected files such as 84/121123/84-121123.trans.txt")
        condition = name.split("-")[1]
        keys = set()
        for chapter in chapters:
            speaker = chapter.parent.parent.name
            if listed.get(speaker, name) != name:
                # the voice would be in two splits
                raise SourceError(
                    f"{chapter.parent}: SPEAKERS.TXT has speaker {speaker} in {listed[speaker]}, not {name}; move it"
                )
            for utterance, text in read_chapter(chapter):
                path = chapter.with_name(f"{utterance}.flac")
                key = path.relative_to(source).as_posix()
                keys.add(key)
                items.append(Item(key, path, utterance, split, text=text, speaker=speaker, condition=condition))
        for path in sorted(folder.glob("*/*/*.flac")):
            key = path.relative_to(source).as_posix()
            if key not in keys:
                items.append(Item(key, path, encode_field(key), split, condition=condition))
    return items


def read_chapter(path: Path) -> Iterator[tuple[str, str]]:
    """Name and text of each utterance: `84-121123-0000 GO DO YOU HEAR`."""
    for line in read_lines(path, "the text of a chapter"):
        utterance, _, text = line.partition(" ")
        if not utterance.startswith(path.name.removesuffix(".trans.txt") + "-") or not text:
            raise SourceError(f"{path}: {line!r}, expected a name and words, such as 84-121123-0000 GO DO YOU HEAR")
        yield utterance, text.strip()


def read_speakers(path: Path) -> dict[str, str]:
    """The subset of each speaker: `84 | F | dev-clean | 8.02 | Christie Nowak`; empty where the file is missing."""
    if not path.is_file():
        return {}
    subsets = {}
    for line in read_lines(path, "a list of speakers"):
        fields = [field.strip() for field in line.split("|")]
        if len(fields) >= 3 and not line.startswith(";"):
            subsets[fields[0]] = fields[2]
    return subsets


if __name__ == "__main__":
    run(Config, main)
