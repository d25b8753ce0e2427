r"""ARPA files, the exchange format of n-gram models: write them, and read those of any program.

    \data\
    ngram 1=5
    ngram 2=7

    \1-grams:
    -1.2041<tab>word<tab>-0.3010        log10 p, the words, log10 of the back-off weight (none: 0)
    ...
    \end\

Words are separated by white space, so a space that is a word itself is written as `<space>`, and other white space and
control characters as `<U+000A>`. Source: Doug Paul's format, as SRILM and KenLM write it.
"""

from __future__ import annotations

import codecs
import itertools
import math
import re
import unicodedata
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from seqaudio.errors import ArpaError, VocabularyError
from seqaudio.files import open_plain, write_bytes
from seqaudio.ledger import Reason
from seqaudio.ngrams.back_off import RESERVED, BackOff, Grams
from seqaudio.ngrams.trie import Floats, Ints

MAX_BYTES = 1 << 30  # of a file: some thirty million n-grams
MAX_ORDER = 12
MAX_LINE = 10_000  # bytes
LEAST = -100.0  # log10 p of unknown words in a file without <unk>, as KenLM has it
NEVER = -99.0  # log10 p of <s>, which is never predicted, as SRILM writes it
SPACE = "<space>"
UNK, UPPER_UNK = b"<unk>", b"<UNK>"  # SRILM writes the first, others the second

_LN10 = math.log(10)
_ESCAPED = re.compile(r"<U\+([0-9A-F]{4,6})>")


def write_arpa(model: BackOff, path: Path) -> None:
    """Write a model atomically, with nine significant digits.

    Raises VocabularyError for a word that the format has another use for, such as `<s>`; OSError from the system.
    """
    names = list(RESERVED) + [_written(word) for word in model.words[len(RESERVED) :]]
    starts, trie = model.starts(), model.trie
    parts = ["\\data\\\n", *(f"ngram {k}={count}\n" for k, count in enumerate(model.counts(), start=1))]
    scores, weights = trie.log_probability / _LN10, trie.back_off / _LN10
    scores[1 + RESERVED.index("<s>")] = NEVER
    texts, below = np.array([""], dtype=object), 0  # the n-grams of the order below, and the first node of them
    for order, (first, end) in enumerate(itertools.pairwise(starts), start=1):
        contexts = np.repeat(texts, np.diff(trie.first[below : first + 1]))
        last = np.array(names, dtype=object)[trie.token[first:end]]
        texts, below = (last if order == 1 else contexts + " " + last), first
        parts.append(f"\n\\{order}-grams:\n")
        lines = zip(scores[first:end].tolist(), texts.tolist(), weights[first:end].tolist(), strict=True)
        parts += [
            f"{score:.9g}\t{text}\n" if not weight else f"{score:.9g}\t{text}\t{weight:.9g}\n"
            for score, text, weight in lines
        ]
    parts.append("\n\\end\\\n")
    write_bytes(path, "".join(parts).encode("utf-8"))


def read_arpa(path: Path) -> BackOff:
    """The model of an ARPA file, whose words get ids after those of `RESERVED`, in their order in the file.

    The file is not trusted. Its n-grams may be in any order; the context of each must be there too. `<unk>`, `<s>` and
    `</s>` may be missing, and are then as good as impossible.

    Raises:
        ArpaError: a file that is no ARPA file or a damaged one, with the line, or a very large one.
        OSError: from the operating system.
    """
    with open_plain(path) as file:
        return _Reader(path, _lines(path, file)).model()


def _lines(path: Path, file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """The lines that are not empty, with their numbers, counted from 1."""
    number = size = 0
    while line := file.readline(MAX_LINE + 1):  # of a file without line ends, no more than that
        number += 1
        size += len(line)
        if len(line) > MAX_LINE or size > MAX_BYTES:
            what = f"line {number:,} has more than {MAX_LINE:,} bytes" if len(line) > MAX_LINE else "more than 1 GiB"
            raise ArpaError(path, Reason.TOO_LONG, f"{what}; expected an ARPA file")
        if text := line.removeprefix(codecs.BOM_UTF8 if number == 1 else b"").strip():
            yield number, text


class _Reader:
    """One pass over the lines of a file."""

    def __init__(self, path: Path, lines: Iterator[tuple[int, bytes]]) -> None:
        self.path = path
        self.lines = lines
        self.number = 0

    def model(self) -> BackOff:
        counts = self._header()
        words = {word.encode(): number for number, word in enumerate(RESERVED)}
        orders: list[Grams] = []
        known: list[Ints] = []  # keys of the n-grams of each order
        for order, count in enumerate(counts, start=1):
            ids, scores, weights = self._section(order, count, words)
            if order == 1:
                ids, scores, weights = self._complete(ids, scores, weights, len(words))
            orders.append(self._sorted(order, ids, scores, weights, known, len(words)))
        if (line := self._next()) != b"\\end\\":
            raise self._wrong(f"got {_shown(line)}, expected \\end\\")
        return BackOff.of(tuple(_read(word.decode()) for word in words), orders)

    def _header(self) -> list[int]:
        """The number of n-grams of each order. Lines before \\data\\ are comments."""
        while self._next() != b"\\data\\":
            pass
        counts: list[int] = []
        while not (line := self._next()).startswith(b"\\"):
            found = re.fullmatch(rb"ngram\s+(\d{1,3})\s*=\s*(\d{1,12})", line)
            if not found or int(found[1]) != len(counts) + 1:
                raise self._wrong(f"got {_shown(line)}, expected 'ngram {len(counts) + 1}=' and their number")
            counts.append(int(found[2]))
            if len(counts) > MAX_ORDER:
                raise self._wrong(f"n-grams of order {len(counts)}, expected at most {MAX_ORDER}")
        if not counts:
            raise self._wrong("no line 'ngram 1=' after \\data\\")
        self._expect(line, 1)
        return counts

    def _section(self, order: int, count: int, words: dict[bytes, int]) -> tuple[Ints, Floats, Floats]:
        """Ids [G, order], log10 p [G] and log10 back-off [G] of one order."""
        if order > 1:
            self._expect(self._next(), order)
        ids, scores, weights = array("i"), array("d"), array("d")
        for _ in range(count):
            line = self._next()
            fields = line.split()
            if line.startswith(b"\\") or not order + 1 <= len(fields) <= order + 2:
                form = f"a logarithm, {order} word{'s' * (order > 1)} and perhaps a back-off"
                raise self._wrong(f"got {_shown(line)}, expected {form}; n-gram {len(scores) + 1:,} of {count:,}")
            scores.append(self._logarithm(fields[0], most=0.0))
            weights.append(self._logarithm(fields[-1]) if len(fields) == order + 2 else 0.0)
            if order == 1:
                ids.append(words.setdefault(self._word(fields[1]), len(words)))
                continue
            for word in fields[1 : order + 1]:
                found = words.get(UNK if word == UPPER_UNK else word)
                if found is None:
                    raise self._wrong(f"{_shown(word)} is not among the 1-grams")
                ids.append(found)
        shaped = np.frombuffer(ids, dtype=np.int32).astype(np.int64).reshape(-1, order)
        return shaped, np.frombuffer(scores), np.frombuffer(weights)

    def _word(self, word: bytes) -> bytes:
        try:
            word.decode()
        except UnicodeDecodeError:
            detail = f"line {self.number:,} is not UTF-8; convert the file, such as with iconv -t utf-8"
            raise ArpaError(self.path, Reason.NOT_TEXT, detail) from None
        return UNK if word == UPPER_UNK else word

    def _complete(self, ids: Ints, scores: Floats, weights: Floats, size: int) -> tuple[Ints, Floats, Floats]:
        """The words with those of `RESERVED` that the file lacks."""
        missing = np.setdiff1d(np.arange(size), ids[:, 0])
        return (
            np.concatenate([ids, missing[:, None]]),
            np.concatenate([scores, np.full(len(missing), LEAST)]),
            np.concatenate([weights, np.zeros(len(missing))]),
        )

    def _sorted(self, order: int, ids: Ints, scores: Floats, weights: Floats, known: list[Ints], size: int) -> Grams:
        """The n-grams of one order in ascending order, with the places of their contexts."""
        context = np.zeros(len(ids), dtype=np.int64)
        for k, keys in enumerate(known):
            wanted = context * size + ids[:, k]
            context = np.searchsorted(keys, wanted)
            absent = keys[np.minimum(context, len(keys) - 1)] != wanted if len(keys) else np.ones(len(ids), np.bool_)
            if absent.any():
                number = int(np.flatnonzero(absent)[0]) + 1
                detail = f"the {order}-gram number {number:,} has a context that is not among the {k + 1}-grams"
                raise ArpaError(self.path, Reason.DAMAGED, f"{detail}; prune the model again, or write all contexts")
        keys = context * size + ids[:, -1]
        ascending = np.argsort(keys, kind="stable")
        keys = keys[ascending]
        if (twice := np.flatnonzero(np.diff(keys) == 0)).size:
            number = int(ascending[twice[0] + 1]) + 1
            raise ArpaError(self.path, Reason.DAMAGED, f"the {order}-gram number {number:,} is there twice")
        known.append(keys)
        log_probability, back_off = scores[ascending] * _LN10, weights[ascending] * _LN10
        return Grams(context[ascending], ids[ascending, -1], log_probability, back_off)

    def _expect(self, line: bytes, order: int) -> None:
        if line != f"\\{order}-grams:".encode():
            raise self._wrong(
                f"got {_shown(line)}, expected \\{order}-grams:, after the number of n-grams that is given"
            )

    def _logarithm(self, text: bytes, most: float = math.inf) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and value <= most):
            limit = "of at most 0" if most == 0 else "that is finite"
            raise self._wrong(f"got {_shown(text)}, expected a logarithm {limit}")
        return value

    def _next(self) -> bytes:
        found = next(self.lines, None)
        if found is not None:
            self.number, line = found
            return line
        detail = f"ends after line {self.number:,}, expected an ARPA file, from \\data\\ to \\end\\"
        raise ArpaError(self.path, Reason.TRUNCATED, detail)

    def _wrong(self, detail: str) -> ArpaError:
        return ArpaError(self.path, Reason.DAMAGED, f"line {self.number:,}: {detail}")


def _shown(text: bytes) -> str:
    return repr(text[:60].decode("utf-8", "backslashreplace"))


def _written(word: str) -> str:
    """A word as it stands in a file. Raises VocabularyError where another one would be read."""
    if word == " ":
        return SPACE
    text = "".join(f"<U+{ord(c):04X}>" if c.isspace() or unicodedata.category(c) == "Cc" else c for c in word)
    if text in (*RESERVED, UPPER_UNK.decode()) or _read(text) != word:
        raise VocabularyError(f"the word {word!r} has a meaning of its own in ARPA files; leave it out of the text")
    return text


def _read(text: str) -> str:
    """The inverse of `_written`."""
    if text == SPACE:
        return " "
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)) if int(found[1], 16) < 0x110000 else found[0], text)
