"""Prepare CMU AN4: letters, dates, numbers, 48 minutes of 84 speakers; free with notice; --download.

    data_prep/an4.py --source FOLDER --out stores/an4
    data_prep/an4.py --source FOLDER --out stores/an4 --splits official
    data_prep/an4.py --source NEW_FOLDER --out stores/an4 --download
    data_prep/an4.py --source NEW_FOLDER --out stores/an4 --archive an4_sphere.tar.gz

    Content    people who spell names, dates and telephone numbers, or say simple commands to a computer: 1,078
               utterances, 84 speakers, 48.4 minutes, 16 kHz, 16 bits; 101 distinct words of A-Z
    Source     Carnegie Mellon University, 1991, http://www.speech.cs.cmu.edu/databases/an4
    Licence    free for any use, with its notice of copyright
    Cite       A. Acero, "Acoustical and environmental robustness in automatic speech recognition" (1993)
    Names      wav/an4_clstk/{speaker}/{utterance}.sph (or .flac, .wav), wav/an4test_clstk/... for the test;
               etc/an4_train.transcription and etc/an4_test.transcription contain the words

Splits, in utterances of train / valid / test, no speaker in two of them:

    valid         844 / 104 / 130    eight speakers of the official training part are for validation
    official      948 /   0 / 130    as the corpus defines it

There are also archives of raw samples, without rate and byte order: use the one with SPHERE files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from seqaudio.audio import is_audio_name
from seqaudio.cli.options import run
from seqaudio.errors import SourceError
from seqaudio.ledger import encode_field
from seqaudio.prepare.corpora.archives import Limits
from seqaudio.prepare.corpora.expected import expect_counts
from seqaudio.prepare.corpora.folder import PublishedArchive, fill_folder
from seqaudio.prepare.corpora.tables import read_lines
from seqaudio.prepare.engine import Item
from seqaudio.prepare.speech.options import DownloadOptions, build_speech_store
from seqaudio.store import describe_store

PUBLISHED = PublishedArchive(
    "http://www.speech.cs.cmu.edu/databases/an4/an4_sphere.tar.gz",  # no checksum is published
    limits=Limits(files=10_000, file_bytes=100_000_000, total_bytes=2_000_000_000),
)
PARTS = {"train": "an4_clstk", "test": "an4test_clstk"}
LINE = re.compile(r"(?:<s> )?(?P<text>.*?)(?: </s>)? \((?P<name>[^()\s]+)\)")  # <s> YES </s> (an251-fash-b)
VALID_SPEAKERS = frozenset({"ffmm", "flrp", "fplp", "fsrb", "ftmj", "mjgk", "msct", "mtxj"})
EXPECTED = {
    "valid": {"train": 844, "valid": 104, "test": 130},
    "official": {"train": 948, "test": 130},
}


@dataclass(frozen=True, kw_only=True)
class Config(DownloadOptions):
    """Options of the preparation."""

    splits: Literal["valid", "official"] = "valid"  # with eight training speakers for validation, or without


def main(config: Config) -> None:
    """Prepare the store and print what it holds."""
    fill_folder(config.source, "etc", PUBLISHED, archive=config.archive, fetch=config.download)
    store = build_speech_store(
        config,
        list_items(config.source, config.splits),
        source="CMU AN4",
        licence="free for any use, with the notice of Carnegie Mellon University",
    )
    print("\n".join(describe_store(store)))
    expect_counts(store, EXPECTED[config.splits], config.limit)


def list_items(source: Path, splits: str = "valid") -> list[Item]:
    """Every utterance with its words, speaker and split, in order of names within each part.

    Transcripts without a recording and recordings without a transcript are listed too; the preparation refuses them.
    """
    items = []
    for part, folder in PARTS.items():
        texts = read_transcripts(source / "etc" / f"an4_{part}.transcription")
        paths = {path.stem: path for path in (source / "wav" / folder).rglob("*") if is_audio_name(path)}
        if not paths and any((source / "wav" / folder).rglob("*.raw")):
            raise SourceError(
                f"{source}: has raw samples, whose rate and byte order are unknown; use an4_sphere.tar.gz"
            )
        for name in sorted(texts.keys() | paths.keys()):
            if name not in texts:
                key = paths[name].relative_to(source).as_posix()
                items.append(Item(key, paths[name], encode_field(key), part))
                continue
            speaker = name.split("-")[1]
            split = "valid" if splits == "valid" and speaker in VALID_SPEAKERS else part
            path = paths.get(name, source / "wav" / folder / speaker / f"{name}.sph")
            items.append(
                Item(path.relative_to(source).as_posix(), path, name, split, text=texts[name], speaker=speaker)
            )
    return items


def read_transcripts(path: Path) -> dict[str, str]:
    """The words of each utterance by its name, such as an251-fash-b, without the marks around a sentence."""
    hint = "the folder of the corpus, with etc and wav, or add --download"
    texts = {}
    for line in read_lines(path, hint):
        match = LINE.fullmatch(" ".join(line.split()))
        if match is None or match["name"].count("-") != 2:
            raise SourceError(f"{path}: {line!r}, expected a line such as YES (an251-fash-b)")
        texts[match["name"]] = match["text"]
    return texts


if __name__ == "__main__":
    run(Config, main)
