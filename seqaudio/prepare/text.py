"""Turn a text into rows of character ids, cut in order into train, valid and test."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from seqaudio.errors import InputFileError, SourceError
from seqaudio.files import read_plain_text
from seqaudio.ledger import Reason
from seqaudio.prepare.corpora.splits import check_percentages
from seqaudio.prepare.engine import Item, Row
from seqaudio.store import SPLITS
from seqaudio.vocabulary import SPECIAL_TOKENS, Vocabulary

MIN_CHARACTERS = 100  # of a text; a shorter one cannot be split sensibly


def read_text(path: Path) -> str:
    """A text file as one string in Unicode normal form C, with \\n at line ends.

    Raises InputFileError for a file that cannot be read, is not UTF-8, or is too short.
    """
    try:
        text = read_plain_text(path, "utf-8-sig")
    except OSError as error:
        raise InputFileError(path, Reason.UNREADABLE, error.strerror or type(error).__name__) from None
    except UnicodeDecodeError as error:
        detail = f"byte {error.start:,} is not UTF-8; convert the file, such as with iconv -t utf-8"
        raise InputFileError(path, Reason.NOT_TEXT, detail) from None
    if len(text) < MIN_CHARACTERS:
        detail = f"{len(text)} characters, expected at least {MIN_CHARACTERS}"
        raise InputFileError(path, Reason.TOO_SHORT, detail)
    return unicodedata.normalize("NFC", text)


def character_vocabulary(paths: Iterable[Path]) -> tuple[str, ...]:
    """PAD, BOS and EOS, then every character of the texts, sorted by code point. Unreadable texts are left out.

    Raises SourceError, with the error of the first text, where none can be read.
    """
    characters: set[str] = set()
    refused: list[InputFileError] = []
    for path in paths:
        try:
            characters.update(read_text(path))
        except InputFileError as error:
            refused.append(error)
    if not characters:
        raise SourceError(str(refused[0]) if refused else "no text was given; give at least one text file")
    return (*SPECIAL_TOKENS, *sorted(characters))


@dataclass(frozen=True)
class CharacterPreparation:
    """A `Process` of `build_store`: one text becomes up to three rows of character ids.

    Raises:
        OptionError: percentages that leave nothing to train on.
        InputFileError: when called, as `read_text`.
    """

    vocabulary: tuple[str, ...]
    valid_percent: float
    test_percent: float

    def __post_init__(self) -> None:
        check_percentages(self.valid_percent, self.test_percent)

    @cached_property
    def _names(self) -> Vocabulary:
        return Vocabulary(self.vocabulary)

    def __call__(self, item: Item) -> list[Row]:
        text = read_text(item.file)
        ids = self._names.encode(text)
        first = round(len(ids) * (100 - self.valid_percent - self.test_percent) / 100)
        second = round(len(ids) * (100 - self.test_percent) / 100)
        parts = np.split(ids, [first, second])
        return [
            Row(id=f"{item.id}#{split}", sequence=part, duration=0.0, split=split)
            for split, part in zip(SPLITS, parts, strict=True)
            if len(part)
        ]
