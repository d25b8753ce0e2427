"""N-gram models of lines of text, each of which is a sequence of words or of characters."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from seqaudio.errors import SourceError, VocabularyError
from seqaudio.ngrams.back_off import RESERVED, UNKNOWN, BackOff
from seqaudio.ngrams.kneser_ney import MAX_ORDER, KneserNey, best_kneser_ney
from seqaudio.vocabulary import BOS, EOS

EVERY = 10  # of the lines of a text, one is held out

Line = list[str]  # words, or characters


@dataclass(frozen=True)
class LineNgram:
    """A model, and how well it predicts held-out lines before these are counted too.

    nats: mean of -ln p over `events`, the words or characters of the lines and their ends; `unknown` of them are not
    among the words of the others.
    """

    model: BackOff
    nats: float
    events: int
    unknown: int


def cut_lines(text: str, words: bool) -> list[Line]:
    """The lines of a text that are not empty, each as words or characters; white space in it is one space."""
    lines = (line.split() for line in unicodedata.normalize("NFC", text).splitlines())
    return [line if words else list(" ".join(line)) for line in lines if line]


def held_out(lines: Sequence[Line]) -> tuple[list[Line], list[Line]]:
    """The lines without every tenth one, and these; of fewer than ten lines, the last.

    Raises SourceError for fewer than two lines.
    """
    if len(lines) < 2:
        raise SourceError(f"got {len(lines)} lines of text, expected at least 2, one of which is held out")
    valid = list(lines[EVERY - 1 :: EVERY]) or [lines[-1]]
    return [line for place, line in enumerate(lines, start=1) if place % EVERY and line is not valid[-1]], valid


def fit_lines(
    train: Sequence[Line], valid: Sequence[Line], order: int | None = None, count_valid: bool = False
) -> LineNgram:
    """The Kneser-Ney model of lines, whose discounts held-out lines choose, and by default the order, up to 8.

    `<unk>` in a line is an unknown word. Raises VocabularyError for lines with `<s>` or `</s>`, which are their ends.

    count_valid: count the n-grams of both at the end, by the discounts that were chosen.
    """
    names = _names(train)
    coded, checked = _encode(train, names), _encode(valid, names)
    if order is None:
        chosen = best_kneser_ney(coded, checked, len(names))
    else:
        chosen = KneserNey(min(order, MAX_ORDER)).fit(coded, len(names), BOS, EOS).tune(checked)
    nats, events = chosen.nats(checked)
    unknown = sum(int((line == UNKNOWN).sum()) for line in checked)
    if count_valid:
        lines = [*train, *valid]
        names = _names(lines)
        discounts = chosen.discounts
        chosen = KneserNey(chosen.order).fit(_encode(lines, names), len(names), BOS, EOS)
        chosen.discounts = discounts
    return LineNgram(chosen.back_off(names), nats / events, events, unknown)


def _names(lines: Iterable[Line]) -> tuple[str, ...]:
    found = {name for line in lines for name in line}
    if ends := sorted(found.intersection(RESERVED[BOS:])):
        raise VocabularyError(f"the text has the word {ends[0]}, which marks an end of a line; leave it out")
    return (*RESERVED, *sorted(found.difference(RESERVED)))


def _encode(lines: Iterable[Line], names: Sequence[str]) -> list[np.ndarray]:
    ids = {name: number for number, name in enumerate(names)}
    return [np.array([ids.get(name, UNKNOWN) for name in line], dtype=np.int64) for line in lines]
