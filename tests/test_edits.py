"""Edits: the fewest, as another implementation counts them; error rates, tables, intervals."""

from __future__ import annotations

import functools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqaudio.evaluation.edits import Edits, ErrorTable, aligned, distances, edits_of, error_rate

words = st.lists(st.sampled_from("ABC"), max_size=8)
PAIRS = [("A B C", "A C"), ("A B C", "X B C D"), ("A", ""), ("B A B", "A B"), ("", ""), ("D E F G", "E F H G I")]


def fewest(reference: tuple[str, ...], hypothesis: tuple[str, ...]) -> int:
    """The definition, by recursion."""

    @functools.cache
    def between(r: int, h: int) -> int:
        if not r or not h:
            return r + h
        same = reference[r - 1] == hypothesis[h - 1]
        return min(between(r - 1, h - 1) + (not same), between(r - 1, h) + 1, between(r, h - 1) + 1)

    return between(len(reference), len(hypothesis))


@given(words, words)
def test_an_alignment_has_the_fewest_edits_and_both_texts(reference: list[str], hypothesis: list[str]) -> None:
    pairs = aligned(reference, hypothesis)
    assert [given for given, _ in pairs if given is not None] == reference
    assert [heard for _, heard in pairs if heard is not None] == hypothesis
    least = fewest(tuple(reference), tuple(hypothesis))
    assert edits_of(pairs).errors == least == int(distances(reference, hypothesis)[-1, -1])
    assert edits_of(pairs).units == len(reference)


@pytest.mark.parametrize(
    ("reference", "hypothesis", "expected"),
    [
        ("A B C", "A C", Edits(0, 1, 0, 3)),
        ("A B C", "A X C", Edits(1, 0, 0, 3)),
        ("A C", "A B C", Edits(0, 0, 1, 2)),
        ("A B", "", Edits(0, 2, 0, 2)),
        ("", "A", Edits(0, 0, 1, 0)),
    ],
)
def test_each_edit_is_counted_as_its_kind(reference: str, hypothesis: str, expected: Edits) -> None:
    assert edits_of(aligned(reference.split(), hypothesis.split())) == expected


def test_rates_are_those_of_jiwer() -> None:
    references = [
        "please call stella", "six spoons of fresh snow peas", "ask her", "five thick slabs of blue cheese", "a",
    ]  # fmt: skip
    hypotheses = [
        "please calls stella", "six poons fresh fresh snow pea", "ask her to bring", references[3], "",
    ]  # fmt: skip
    # jiwer 4.0.0, which tests need not install: jiwer.wer, jiwer.cer and jiwer.process_words of these lists
    words = ErrorTable.of([text.split() for text in references], [text.split() for text in hypotheses])
    assert words.rate == pytest.approx(0.3888888888888889)
    assert words.total == Edits(4, 1, 2, 18)
    assert error_rate(list(map(list, references)), list(map(list, hypotheses))) == pytest.approx(0.20930232558139536)


def test_a_table_sums_up_and_ranks() -> None:
    table = ErrorTable.of([given.split() for given, _ in PAIRS], [heard.split() for _, heard in PAIRS])
    assert table.total == Edits(1, 4, 3, 14)
    assert table.rate == 8 / 14
    assert table.rate == error_rate([given.split() for given, _ in PAIRS], [heard.split() for _, heard in PAIRS])
    assert table.confusions(2) == [(("B", None), 2), ((None, "D"), 1)]
    assert table.worst(2) == [5, 1]
    low, high = table.interval() or (math.nan, math.nan)
    assert low < table.rate < high


def test_a_table_without_references_has_no_rate() -> None:
    table = ErrorTable.of([[]], [["A"]])
    assert math.isnan(table.rate)
    assert table.interval() is None
    assert math.isnan(error_rate([[]], [["A"]]))
