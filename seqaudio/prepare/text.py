"""Turn a text into rows of ids, of characters or words, cut in order into train, valid and test."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from seqaudio.errors import InputFileError, SourceError, VocabularyError
from seqaudio.files import read_plain_text
from seqaudio.ledger import Reason
from seqaudio.prepare.corpora.splits import check_percentages
from seqaudio.prepare.engine import Item, Row
from seqaudio.store import SPLITS
from seqaudio.terminal import few
from seqaudio.text_units import CharacterUnit, TextUnit
from seqaudio.vocabulary import UNKNOWN_WORD, Vocabulary

MIN_CHARACTERS = 100  # of a text; a shorter one cannot be split sensibly
NAMED = 5  # units in a message


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


@dataclass(frozen=True)
class Parts:
    """The shares of a text, from its beginning: training, then validation, then test.

    Raises OptionError for percentages that leave nothing to train on.
    """

    valid_percent: float
    test_percent: float

    def __post_init__(self) -> None:
        check_percentages(self.valid_percent, self.test_percent)

    def ends(self, length: int) -> tuple[int, int]:
        """Where training ends, and where validation does, of `length` units."""
        first = round(length * (100 - self.valid_percent - self.test_percent) / 100)
        return first, round(length * (100 - self.test_percent) / 100)


def character_vocabulary(paths: Iterable[Path]) -> tuple[str, ...]:
    """PAD, BOS and EOS, then every character of the texts, sorted by code point. Unreadable texts are left out.

    Raises SourceError, with the error of the first text, where none can be read.
    """
    characters: set[str] = set()
    for text in _readable(paths):
        characters.update(text)
    return (*CharacterUnit.reserved, *sorted(characters))


def training_vocabulary(
    paths: Iterable[Path], unit: TextUnit, parts: Parts, min_count: int = 1, size: int | None = None
) -> tuple[str, ...]:
    """The reserved names of a unit, then units of the training parts, the most frequent first, then by code point.

    Unreadable texts are left out.

    Args:
        min_count: of a unit in all training parts together.
        size: number of units at most, reserved names not counted.
    Raises:
        SourceError: no text can be read, with the error of the first one, or no unit has `min_count`.
        VocabularyError: a text has units such as `<eos>`, which are reserved names.
    """
    counts: Counter[str] = Counter()
    for text in _readable(paths):
        units = unit.split(text)
        counts.update(units[: parts.ends(len(units))[0]])
    counts.pop(UNKNOWN_WORD, None)
    if names := sorted(counts.keys() & set(unit.reserved)):
        raise VocabularyError(
            f"the text has the {unit.name}s {few(names, NAMED)}, which mark its beginning and end; leave them out"
        )
    kept = sorted(
        (name for name, count in counts.items() if count >= min_count), key=lambda name: (-counts[name], name)
    )
    if not kept:
        most = counts.most_common(1)
        found = f"it has no {unit.name}s"
        if most:
            often = "once" if most[0][1] == 1 else f"{most[0][1]:,} times"
            found = f"the most frequent, {few([repr(most[0][0])], NAMED)}, occurs {often}"
        raise SourceError(
            f"no {unit.name} occurs at least {min_count:,} times in the training part: {found}; "
            f"give a lower --min-count or more text"
        )
    return (*unit.reserved, *kept[:size])


def _readable(paths: Iterable[Path]) -> Iterator[str]:
    """The texts that can be read. Raises SourceError, with the error of the first, where none can."""
    refused: list[InputFileError] = []
    none = True
    for path in paths:
        try:
            yield read_text(path)
            none = False
        except InputFileError as error:
            refused.append(error)
    if none:
        raise SourceError(str(refused[0]) if refused else "no text was given; give at least one text file")


@dataclass(frozen=True)
class TextPreparation:
    """A `Process` of `build_store`: one text becomes up to three rows of ids of its units.

    Raises InputFileError, when called, as `read_text`.
    """

    vocabulary: tuple[str, ...]  # has every unit, or a name for unknown ones
    unit: TextUnit
    parts: Parts

    @cached_property
    def _names(self) -> Vocabulary:
        return Vocabulary(self.vocabulary)

    def __call__(self, item: Item) -> list[Row]:
        ids = self._names.encode(self.unit.split(read_text(item.file)), UNKNOWN_WORD)
        return [
            Row(id=f"{item.id}#{split}", sequence=part, duration=0.0, split=split)
            for split, part in zip(SPLITS, np.split(ids, self.parts.ends(len(ids))), strict=True)
            if len(part)
        ]
