"""Prepare a language of Common Voice: read sentences; CC0 1.0; download by hand, size by language.

    data_prep/common_voice.py --source cv-corpus-17.0-2024-03-15/tr --out stores/turkish
    data_prep/common_voice.py --source cv-corpus-17.0-2024-03-15/tr --out stores/turkish_more --tables validated
    data_prep/common_voice.py --source NEW_FOLDER --out stores/turkish --archive cv-corpus-17.0-2024-03-15-tr.tar.gz

    Content    sentences read by volunteers, MP3, mostly 32 or 48 kHz; how many depends on language and release
    Source     https://commonvoice.mozilla.org, where a form has to be filled in, so there is no --download
    Licence    CC0 1.0; its terms forbid trying to identify a speaker
    Cite       R. Ardila et al., "Common Voice: a massively-multilingual speech corpus" (2020)
    Names      train.tsv, dev.tsv, test.tsv, validated.tsv with columns client_id, path, sentence, locale and others;
               clips/{path}

The text is the unchanged sentence, in Unicode normal form C; the speaker is the client_id. Splits:

    official     train.tsv, dev.tsv, test.tsv: no speaker in two of them, one recording of each sentence
    validated    all recordings that two listeners approved, often many times as many: 10 % of the speakers are for
                 validation and 10 % for the test, by the hash of their client_id

--words keeps the recordings whose sentence is one of these words, with the word as their label: releases with single
words (yes, no, digits) are keyword corpora in many languages.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from seqaudio.cli.options import run
from seqaudio.errors import OptionError, SourceError
from seqaudio.ledger import encode_field
from seqaudio.prepare.corpora.folder import PublishedArchive, fill_folder
from seqaudio.prepare.corpora.splits import hash_split
from seqaudio.prepare.corpora.tables import listed_file, read_table
from seqaudio.prepare.engine import Item
from seqaudio.prepare.speech.options import ArchiveOptions, build_speech_store
from seqaudio.store import describe_store

PUBLISHED = PublishedArchive("https://commonvoice.mozilla.org")
TABLES = {
    "official": {"train": "train.tsv", "valid": "dev.tsv", "test": "test.tsv"},
    "validated": {"": "validated.tsv"},
}
COLUMNS = ("client_id", "path", "sentence")
VALID_PERCENT, TEST_PERCENT = 10.0, 10.0  # of the speakers of validated.tsv


@dataclass(frozen=True, kw_only=True)
class Config(ArchiveOptions):
    """Options of the preparation."""

    tables: Literal["official", "validated"] = "official"  # the tables that list the recordings and their splits
    words: tuple[str, ...] = ()  # keep only recordings of these single words, as labels; by default all sentences


def main(config: Config) -> None:
    """Prepare the store and print what it holds."""
    fill_folder(config.source, "clips", PUBLISHED, archive=config.archive)
    items = list_items(config.source, config.tables)
    if config.words:
        items = keep_words(items, config.words)
    store = build_speech_store(config, items, source=f"Common Voice {locale_of(config.source)}", licence="CC0 1.0")
    print("\n".join(describe_store(store)))


def list_items(source: Path, tables: str = "official") -> list[Item]:
    """Every row of the tables, in their order. Raises SourceError for a clip that is listed twice."""
    items = []
    listed: dict[str, str] = {}  # clip -> the table that lists it
    speakers: dict[str, str] = {}
    shared = set()  # speakers in two splits
    for split, name in TABLES[tables].items():
        for row in read_table(source / name, COLUMNS, only=COLUMNS):
            path, speaker = row["path"], row["client_id"]
            if not Path(path).suffix:
                path += ".mp3"  # the first releases omit it
            if path in listed:
                raise SourceError(f"{path} is listed in {listed[path]} and again in {name}; delete one of the rows")
            listed[path] = name
            place = split or hash_split(speaker, VALID_PERCENT, TEST_PERCENT)
            if speakers.setdefault(speaker, place) != place:
                shared.add(speaker)
            key = f"clips/{path}"
            items.append(
                Item(
                    key,
                    listed_file(source / "clips", path),
                    encode_field(key),
                    place,
                    text=row["sentence"],
                    speaker=speaker,
                )
            )
    if shared:
        print(
            f"warning: speakers in two splits: {len(shared):,}; are the tables from the same release?", file=sys.stderr
        )
    return items


def keep_words(items: Sequence[Item], words: Sequence[str]) -> list[Item]:
    """The recordings of these single words, with the words as labels; case and punctuation are ignored.

    Raises OptionError where no sentence is a given word.
    """
    labels = {plain(word): unicodedata.normalize("NFC", word) for word in words}
    kept = [replace(item, label=labels[plain(item.text)]) for item in items if plain(item.text) in labels]
    missing = set(labels.values()) - {item.label for item in kept}
    if missing:
        raise OptionError(
            f"--words: no sentence is just {', '.join(sorted(missing))}; leave it out, or use a release of single words"
        )
    return kept


def plain(text: str) -> str:
    """A text for comparison: Unicode normal form C, lower case, without punctuation at its ends."""
    return unicodedata.normalize("NFC", text).casefold().strip(" .!?¿¡,;:\"'。！？،")


def locale_of(source: Path) -> str:
    """The language code in the tables, such as `tr` or `zh-CN`; empty where they have no such column."""
    table = next((source / name for name in ("train.tsv", "validated.tsv") if (source / name).is_file()), None)
    return "" if table is None else read_table(table, only=["locale"])[0].get("locale", "")


if __name__ == "__main__":
    run(Config, main)
