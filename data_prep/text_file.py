"""Prepare your own text, or a folder of texts, as characters.

    data_prep/text_file.py --source book.txt --out stores/book
    data_prep/text_file.py --source FOLDER --out stores/books --valid-percent 10 --test-percent 10

Texts are UTF-8; they are stored in Unicode normal form C, with \\n at line ends. Each text is cut in order into train,
valid and test. From a folder, every *.txt below it is taken. The vocabulary has every character that occurs, sorted by
code point.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from seqaudio.cli.options import run
from seqaudio.errors import SourceError
from seqaudio.prepare.corpora.file_kinds import refuse_other_kind
from seqaudio.prepare.corpora.splits import check_limit
from seqaudio.prepare.engine import Item, build_store
from seqaudio.prepare.text import CharacterPreparation, character_vocabulary
from seqaudio.store import StoreDescription, describe_store


@dataclass(frozen=True)
class Config:
    """Options of the preparation."""

    source: Path  # a text, or a folder of them
    out: Path  # new folder for the store
    valid_percent: float = 5.0  # of the characters
    test_percent: float = 5.0  # of the characters
    name: str = ""  # of the corpus, for the store's description
    licence: str = ""  # of the corpus, for the store's description
    workers: int = 1  # number of processes
    limit: int | None = None  # take only the first N texts, for a trial
    force: bool = False  # replace an existing store at --out


def main(config: Config) -> None:
    """Prepare the store and print what it holds."""
    check_limit(config.limit)
    items = list_texts(config.source)[: config.limit]
    vocabulary = character_vocabulary(item.file for item in items)
    store = build_store(
        config.out,
        items,
        CharacterPreparation(vocabulary, config.valid_percent, config.test_percent),
        StoreDescription(
            kind="text",
            settings={"text": {"unit": "character"}},
            vocabulary=vocabulary,
            sources=(config.name,) if config.name else (),
            licence=config.licence,
        ),
        workers=config.workers,
        force=config.force,
    )
    print("\n".join(describe_store(store)))


def list_texts(source: Path) -> list[Item]:
    """The text, or every *.txt below the folder, sorted by path."""
    if source.is_file():
        refuse_other_kind(source, "a text, or a folder of *.txt")
        return [Item(source.name, source, source.stem)]
    if not source.is_dir():
        raise SourceError(f"{source}: no such file or folder; give a text, or a folder of *.txt")
    paths = {path.relative_to(source).as_posix(): path for path in source.rglob("*.txt")}
    if not paths:
        raise SourceError(f"{source}: has no texts, expected *.txt files in it or in folders below")
    return [Item(key, paths[key], key) for key in sorted(paths)]


if __name__ == "__main__":
    run(Config, main)
