"""Units of texts for language models: a text as characters or as words, and such units as a text again.

    characters    "It's--no!"  ->  I t ' s - - n o !
    words         "It's--no!"  ->  It's @--@ no !        words, marks, and line ends, as in WikiText
    tokenised     "it 's no !" ->  it 's no !            what white space separates, as in files of PTB and WikiText

The vocabulary of words is that of a training text; every other word is `<unk>`, which a text may have itself.
"""

from __future__ import annotations

import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import ClassVar, Literal

from seqaudio.vocabulary import SPECIAL_TOKENS, UNKNOWN_WORD

LINE_END = "\n"  # a unit of every text
BEFORE = "#¿¡"  # marks with no space after them, besides those of Unicode's opening categories and currencies
AFTER = ".,;:!?%…"  # marks with no space before them, besides those of its closing categories
QUOTES = "\"'"  # open and close by turns; each paragraph begins with one that opens
APOSTROPHES = "'\u2019"  # part of a word where letters are on both sides
JOINERS = "\u200c\u200d"  # within words of Persian and of Indian languages
GLUED = re.compile(r"@(.+)@")  # a mark between two words, without spaces


def cleaned(text: str) -> str:
    """A text in Unicode normal form C, with \\n at line ends, as units are cut from."""
    return unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))


class TextUnit(ABC):
    """Tokenisation of texts, which are in Unicode normal form C, with \\n at line ends."""

    name: ClassVar[Literal["character", "word"]]  # of one: in stores, messages, and metrics such as nats_per_word
    reserved: ClassVar[tuple[str, ...]] = SPECIAL_TOKENS  # first names of a vocabulary
    by_perplexity: ClassVar[bool] = False  # whether models of it are compared by their perplexity

    @abstractmethod
    def split(self, text: str) -> list[str]:
        """The units of a text."""

    @abstractmethod
    def join(self, units: Iterable[str]) -> str:
        """The text of units, whose `split` are these units again, where they came from `split`."""


@dataclass(frozen=True)
class CharacterUnit(TextUnit):
    """Characters, all of which are kept: `join` is the inverse of `split`."""

    name = "character"

    def split(self, text: str) -> list[str]:
        return list(text)

    def join(self, units: Iterable[str]) -> str:
        return unicodedata.normalize("NFC", "".join(units))


@dataclass(frozen=True)
class WordUnit(TextUnit):
    """Words, punctuation marks and line ends.

    A word has letters, digits and combining marks, and apostrophes between them (don't). Every other character but
    white space is a mark; a run of the same one (--, ...) is a single mark. A mark between two words without spaces is
    written within @, as in WikiText: well-known is `well @-@ known`, and 3.5 is `3 @.@ 5`.

    `join` puts a space between units, but not around marks within @, after opening marks and before closing ones.
    Quotes that are alike on both sides open and close by turns. So the number of spaces in a row is lost, and unusual
    spaces are; the units of the text stay the same.

    Args:
        tokenised: white space separates units, and nothing else does.
    """

    name = "word"
    reserved = (*SPECIAL_TOKENS, UNKNOWN_WORD)
    by_perplexity = True

    tokenised: bool = False

    def split(self, text: str) -> list[str]:
        cut: Callable[[str], Iterable[str]] = str.split if self.tokenised else _cut_line
        units: list[str] = []
        for number, line in enumerate(text.split(LINE_END)):
            units += [LINE_END] if number else []
            units += cut(line)
        return units

    def join(self, units: Iterable[str]) -> str:
        parts = _spaced(units) if self.tokenised else _written(units)
        return unicodedata.normalize("NFC", "".join(parts))


@dataclass(frozen=True)
class UnitSettings:
    """The unit of a store or run, as its settings have it under `text`."""

    unit: Literal["character", "word"] = "character"
    tokenised: bool = False

    @property
    def built(self) -> TextUnit:
        return WordUnit(self.tokenised) if self.unit == "word" else CharacterUnit()


@cache
def _pattern() -> re.Pattern[str]:
    """Matches `<unk>`, a word, or a run of the same mark, which is in group 1 where it stands between two words."""
    # combining marks beyond the basic plane would make every search ten times as long
    combining = "".join(chr(code) for code in range(0x10000) if unicodedata.category(chr(code))[0] == "M")
    letter = f"(?:[^\\W_]|[{combining}{JOINERS}])"
    word = f"{letter}++(?:[{APOSTROPHES}]{letter}++)*+"
    mark = "([^\\w\\s]|_)"
    return re.compile(f"{UNKNOWN_WORD}|{word}|(?<={letter})({mark}\\2*)(?={letter})|@|{mark}\\3*")


def _cut_line(line: str) -> Iterator[str]:
    for found in _pattern().finditer(line):
        yield f"@{found[1]}@" if found[1] else found[0]


def _spaced(units: Iterable[str]) -> Iterator[str]:
    """Units with a space between them, but none beside a line end."""
    before = LINE_END
    for unit in units:
        yield unit if LINE_END in (before, unit) else f" {unit}"
        before = unit


def _written(units: Iterable[str]) -> Iterator[str]:
    """Units with spaces between them where a text has them."""
    opened: set[str] = set()  # quotes that were not closed yet
    last, close = "", True  # what stands before in this line, and whether the next unit follows it without a space
    for unit in units:
        if unit == LINE_END:
            if not last:  # an empty line, after which a paragraph begins
                opened.clear()
            yield unit
            last, close = "", True
            continue
        glued = GLUED.fullmatch(unit)
        shown = glued[1] if glued else unit
        opens, closes = (True, True) if glued else _sides(shown[0], opened)
        # two marks that are alike would be one, without a space
        yield shown if (close or closes) and last[-1:] != shown[0] else f" {shown}"
        if shown[0] in QUOTES and not glued:
            opened ^= {shown[0]}
        last, close = shown, opens


def _sides(first: str, opened: set[str]) -> tuple[bool, bool]:
    """Whether no space follows a unit, and whether none precedes it, by its first character."""
    if first in QUOTES:
        return first not in opened, first in opened
    category = unicodedata.category(first)
    return first in BEFORE or category in ("Ps", "Pi", "Sc"), first in AFTER or category in ("Pe", "Pf")
