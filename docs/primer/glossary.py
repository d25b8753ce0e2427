"""The glossary, docs/primer/tr/sozluk.md: one Turkish term for each concept, and the words that stand for it elsewhere.

Two questions are asked of a Turkish text. Does it use a word that the glossary avoids (`rivals_in`)? And does each
concept that the English text names stand in it by the glossary's term (`missing_terms`)? The second finds a second
translation that nobody has thought of.
"""

from __future__ import annotations

import ast
import functools
import io
import re
import tokenize
from dataclasses import dataclass
from pathlib import Path

from chapters import PRIMER, PROSE, Page, PageError

PATH = PRIMER / "tr" / "sozluk.md"
# of prose: code, where links lead, names of files and symbols, titles of cited works
NO_WORDS = re.compile(r"`[^`]*`|\]\([^)]*\)|(?<=\d\), )\*[^*]*\*|\S*_\S*")
SOFTENED = {
    "k": "[kğ]",
    "p": "[pb]",
    "ç": "[çc]",
    "t": "[td]",
}  # a last letter before a suffix that begins with a vowel
SHORTENED = {"kayıp": "kay(?:ıp|b)"}  # words that lose a vowel before such a suffix


@dataclass(frozen=True)
class Term:
    """A row of the glossary."""

    english: tuple[str, ...]  # the ways in which an English page may name it
    turkish: str
    definition: str
    avoided: tuple[str, ...]  # other translations


def read_glossary(path: Path = PATH) -> list[Term]:
    """The rows of the table. Raises PageError for a row that lacks a column."""
    terms = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.startswith("| ") or line.startswith("| İngilizce"):
            continue
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) != 4 or not all(cells[:3]):
            raise PageError(f"{path.name}:{number}: expected English, Turkish, definition and avoided words")
        english, turkish, definition, avoided = cells
        terms.append(Term(_listed(english), turkish, definition, _listed(avoided)))
    return terms


def _listed(cell: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in cell.split(",") if part.strip())


def rivals_in(text: str, terms: list[Term]) -> list[str]:
    """The avoided words in a Turkish text, each with the term that stands for it."""
    text = lower(text)
    return [
        f"{match[0]!r}: the glossary has {term.turkish!r} for {term.english[0]!r}"
        for term in terms
        for rival in term.avoided
        if (match := _pattern(rival).search(text))
    ]


def missing_terms(english: str, turkish: str, terms: list[Term]) -> list[str]:
    """The concepts that the English text names more than once and the Turkish one never, by the glossary's term."""
    return [
        f"{term.english[0]!r} stands in the English text, {term.turkish!r} not in the Turkish one"
        for term in terms
        if sum(len(_named(name).findall(english)) for name in term.english) > 1
        and not _pattern(stem(term.turkish), inflected=True).search(lower(turkish))
    ]


def prose_of(page: Page) -> str:
    """The text between the blocks of a page, without names of code."""
    return NO_WORDS.sub(" ", page.prose)


def words_of(page: Page) -> str:
    """All words of a page: prose, strings and comments of its code, and its output; no names of code."""
    parts = []
    for piece in page.pieces:
        if piece.kind == PROSE:
            parts.append(NO_WORDS.sub(" ", piece.body))
        elif piece.kind == "python":
            parts.append(_words_of_code(piece.body))
        elif piece.kind in ("sh", "console"):
            parts += re.findall(r"^ *#.*", piece.body, re.MULTILINE)
        else:
            parts.append(piece.body)
    return "\n".join(parts)


def _words_of_code(code: str) -> str:
    strings = [node.value for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Constant)]
    tokens = tokenize.generate_tokens(io.StringIO(code).readline)
    comments = [token.string for token in tokens if token.type == tokenize.COMMENT]
    return "\n".join([*(text for text in strings if isinstance(text, str)), *comments])


def lower(text: str) -> str:
    """Small letters as Turkish has them: I becomes ı, İ becomes i."""
    return text.replace("I", "ı").replace("İ", "i").lower()


def stem(term: str) -> str:
    """The common stem of all forms of a term: `öğrenme oranı` without the possessive that its plural moves."""
    *first, last = term.split()
    if first and len(last) > 3:
        last = re.sub(r"(?<=[aeıioöuü])s[ıiuü]$|(?<=[^aeıioöuü])[ıiuü]$", "", last)
    return " ".join([*first, last])


@functools.lru_cache(maxsize=1024)
def _pattern(words: str, inflected: bool = False) -> re.Pattern[str]:
    """Those words with any suffixes behind the last, and across a line's end; `inflected` lets its end change."""
    *first, last = lower(words).split()
    ending = re.escape(last)
    if inflected:
        ending = SHORTENED.get(last, ending[:-1] + SOFTENED.get(last[-1], ending[-1]))
    return re.compile(r"\b" + r"\s+".join([*map(re.escape, first), ending]) + r"\w*")


@functools.lru_cache(maxsize=1024)
def _named(name: str) -> re.Pattern[str]:
    """An English term, its plural too, across a line's end."""
    return re.compile(r"\b" + r"[\s-]+".join(map(re.escape, name.split())) + r"(?:s|es|work|works)?\b", re.IGNORECASE)
