"""Prepare your own text, or a folder of texts, as characters or as words.

    data_prep/text_file.py --source book.txt --out stores/book
    data_prep/text_file.py --source FOLDER --out stores/books --valid-percent 10 --test-percent 10
    data_prep/text_file.py --source book.txt --out stores/book_words --units words --min-count 3
    data_prep/text_file.py --source ptb.txt --out stores/ptb --units words --tokenised --vocabulary-size 10000

Texts are UTF-8; they are stored in Unicode normal form C, with \\n at line ends. Each text is cut in order into train,
valid and test. From a folder, every *.txt below it is taken.

Of characters, the vocabulary has every one that occurs, sorted by code point. With --units words, words, punctuation
marks and line ends are units, as `WordUnit` in seqaudio/text_units.py cuts them; the vocabulary has those of the
training part, the most frequent first, and <unk> for all others.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from seqaudio.cli.options import run
from seqaudio.errors import OptionError, SourceError
from seqaudio.prepare.corpora.file_kinds import refuse_other_kind
from seqaudio.prepare.corpora.splits import check_limit
from seqaudio.prepare.engine import Item, build_store
from seqaudio.prepare.text import Parts, TextPreparation, character_vocabulary, training_vocabulary
from seqaudio.store import StoreDescription, describe_store
from seqaudio.text_units import UnitSettings

MIN_COUNT = 2  # by default: of words that occur once, a model learns what <unk> stands for


@dataclass(frozen=True)
class Config:
    """Options of the preparation."""

    source: Path  # a text, or a folder of them
    out: Path  # new folder for the store
    units: Literal["characters", "words"] = "characters"  # what the model predicts one after the other
    min_count: int | None = None  # of words: rarer ones in the training part become <unk>; by default those below 2
    vocabulary_size: int | None = None  # of words: only the N most frequent ones, marks and line ends among them
    tokenised: bool = False  # of words: white space alone separates them, as in files of PTB and WikiText
    valid_percent: float = 5.0  # of the units of each text
    test_percent: float = 5.0  # of the units of each text
    name: str = ""  # of the corpus, for the store's description
    licence: str = ""  # of the corpus, for the store's description
    workers: int = 1  # number of processes
    limit: int | None = None  # take only the first N texts, for a trial
    force: bool = False  # replace an existing store at --out


def main(config: Config) -> None:
    """Prepare the store and print what it holds."""
    check_limit(config.limit)
    check_units(config)
    parts = Parts(config.valid_percent, config.test_percent)
    items = list_texts(config.source)[: config.limit]
    files = (item.file for item in items)
    settings: dict[str, object]
    if config.units == "words":
        about = UnitSettings("word", config.tokenised)
        rarest = MIN_COUNT if config.min_count is None else config.min_count
        vocabulary = training_vocabulary(files, about.built, parts, rarest, config.vocabulary_size)
        settings = {"text": asdict(about), "words": {"min_count": rarest, "most": config.vocabulary_size}}
    else:
        about = UnitSettings("character")
        vocabulary = character_vocabulary(files)
        settings = {"text": {"unit": "character"}}  # as in stores that were made before there were words
    store = build_store(
        config.out,
        items,
        TextPreparation(vocabulary, about.built, parts),
        StoreDescription(
            kind="text",
            settings=settings,
            vocabulary=vocabulary,
            sources=(config.name,) if config.name else (),
            licence=config.licence,
        ),
        workers=config.workers,
        force=config.force,
    )
    print("\n".join(describe_store(store)))


def check_units(config: Config) -> None:
    """Raise OptionError for an option of words where the units are characters."""
    if config.units == "words":
        return
    for name in ("min_count", "vocabulary_size", "tokenised"):
        if getattr(config, name):
            raise OptionError(f"--{name.replace('_', '-')} is for words; give --units words too, or leave it out")


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
