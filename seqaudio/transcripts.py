"""Transcripts: the text of a recording as ids of a recogniser's units, and such ids as text.

    characters    "SIX TWO" -> S I X _ T W O        the space is a unit
    words         "SIX TWO" -> SIX TWO
    phones        "SIX TWO" -> S IH K S T UW        by the first pronunciation of each word in a lexicon

Id 0 is the blank of CTC, which is no unit of a text: the vocabulary is the blank, then the units sorted by code point.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from seqaudio.errors import SourceError, VocabularyError
from seqaudio.files import read_plain
from seqaudio.terminal import few
from seqaudio.vocabulary import Vocabulary

Units = Literal["characters", "phones", "words"]
Case = Literal["keep", "upper", "lower"]

BLANK = "<blank>"  # of CTC, always id 0
SPACE = " "
NAMED = 10  # units or words in a message
APOSTROPHES = "'\u2019"  # part of a word where letters surround them
VARIANT = re.compile(r"\(\d+\)$")  # HOUSE(2), another pronunciation of a word


@dataclass(frozen=True)
class TextSettings:
    """How texts are normalised before they are cut into units; a run keeps them beside its vocabulary.

    Unicode is always in normal form C, and any white space is one space, none at the ends.
    """

    units: Units = "characters"
    case: Case = "keep"
    punctuation: bool = True  # keep it; False drops all but apostrophes within words, and hyphens become spaces

    def normalised(self, text: str) -> str:
        """The text as a recogniser with these settings is asked to write it."""
        text = unicodedata.normalize("NFC", text)
        if not self.punctuation:
            text = "".join(_plain(text, place) for place in range(len(text)))
        if self.case != "keep":
            text = text.upper() if self.case == "upper" else text.lower()
            text = unicodedata.normalize("NFC", text)
        return " ".join(text.split())


def _plain(text: str, place: int) -> str:
    """The character at a place, empty where it is punctuation, a space for dashes."""
    character = text[place]
    category = unicodedata.category(character)
    if category == "Pd":
        return SPACE
    if character in APOSTROPHES:
        within = text[max(0, place - 1) : place].isalnum() and text[place + 1 : place + 2].isalnum()
        return "'" if within else ""
    return "" if category[0] in "PS" else character


@dataclass(frozen=True)
class Spelling:
    """The units of a recogniser: text to ids and back.

    vocabulary: the blank, then the units. lexicon: the phones of each word, where the units are phones.
    """

    settings: TextSettings
    vocabulary: Vocabulary
    lexicon: Mapping[str, tuple[str, ...]] | None = None

    @classmethod
    def of_texts(
        cls, texts: Iterable[str], settings: TextSettings, lexicon: Mapping[str, tuple[str, ...]] | None = None
    ) -> Spelling:
        """The spelling whose units are all that occur in the texts.

        Raises VocabularyError where no text has a unit, SourceError for words that a lexicon lacks.
        """
        bare = cls(settings, Vocabulary((BLANK,)), lexicon)
        found = {unit for units in bare.units_of(texts) for unit in units} - {BLANK}
        if not found:
            raise VocabularyError("no recording has a text; prepare the store from a corpus with transcripts")
        return cls(settings, Vocabulary((BLANK, *sorted(found))), lexicon)

    def units(self, text: str) -> list[str]:
        """The units of a text, which is normalised first. Raises SourceError for words that the lexicon lacks."""
        text = self.settings.normalised(text)
        if self.settings.units == "characters":
            return list(text)
        words = text.split()
        if self.settings.units == "words":
            return words
        return self._phones(words)

    def units_of(self, texts: Iterable[str]) -> list[list[str]]:
        """The units of each text. Raises SourceError for the words of all texts that the lexicon lacks."""
        texts = list(texts)
        if self.settings.units == "phones":
            self.units(SPACE.join(texts))  # an error names the words of all
        return [self.units(text) for text in texts]

    def _phones(self, words: Sequence[str]) -> list[str]:
        lexicon = self.lexicon or {}
        if missing := sorted({word for word in words if word not in lexicon}):
            raise SourceError(
                f"the lexicon has no pronunciation of {few(missing, NAMED)}; add a line such as {missing[0]} F OW N"
            )
        return [phone for word in words for phone in lexicon[word]]

    def encode(self, text: str) -> np.ndarray:
        """The ids [U] int64 of a text. Raises VocabularyError for units that the recogniser does not have."""
        units = self.units(text)
        if unknown := self.unknown(units):
            raise VocabularyError(
                f"{few(map(repr, unknown), NAMED)} not among the {len(self.vocabulary) - 1:,} {self.settings.units} of "
                f"the recogniser"
            )
        return np.array([self.vocabulary.index(unit) for unit in units], dtype=np.int64)

    def unknown(self, units: Iterable[str]) -> list[str]:
        """The units that the recogniser does not have, each once, sorted."""
        return sorted({unit for unit in units if unit not in self.vocabulary or unit == BLANK})

    def text(self, ids: Iterable[int]) -> str:
        """The text of ids without blanks, such as those of a collapsed path; phones are separated by spaces."""
        return self.joined([self.vocabulary[unit] for unit in ids])

    def joined(self, units: Iterable[str]) -> str:
        """The text of units, with single spaces and none at its ends."""
        return " ".join(("" if self.settings.units == "characters" else SPACE).join(units).split())

    @cached_property
    def noun(self) -> str:
        """What a unit is called: character, phone or word."""
        return self.settings.units.removesuffix("s")


def read_lexicon(path: Path) -> dict[str, tuple[str, ...]]:
    """The first pronunciation of each word of a lexicon: lines of a word and its phones, as in CMUdict.

    `HOUSE(2)` is another pronunciation of HOUSE and is skipped; so are empty lines and comments after ;;;.
    Raises SourceError for a file that cannot be read, or a line without phones.
    """
    try:
        lines = read_plain(path).decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path}: not a readable lexicon in UTF-8 ({error})") from None
    found: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(lines, start=1):
        word, *phones = line.split() or [""]
        if not word or word.startswith(";;;"):
            continue
        if not phones:
            raise SourceError(f"{path}, line {number}: {line.strip()!r}, expected a word and its phones: SIX S IH K S")
        if not VARIANT.search(word):
            found.setdefault(unicodedata.normalize("NFC", word), tuple(phones))
    if not found:
        raise SourceError(f"{path}: has no pronunciation, expected lines such as SIX S IH K S")
    return found
