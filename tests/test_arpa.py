"""ARPA files: the same probabilities as the n-grams they were made of, other programs' files, and damaged ones."""

from __future__ import annotations

from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from seqaudio.errors import ArpaError, VocabularyError
from seqaudio.ngrams import BackOff, KneserNey, best_kneser_ney, read_arpa, write_arpa
from seqaudio.ngrams.back_off import RESERVED, UNKNOWN
from seqaudio.vocabulary import BOS, EOS

WORDS = (*RESERVED, "a", "b", "c", "d", " ", "é", "<", "\n")
V = len(WORDS)
token_lists = st.lists(st.lists(st.integers(3, 7), max_size=9).map(np.array), min_size=1, max_size=8)
any_tokens = st.lists(st.integers(3, V - 1), max_size=12)

# order 2; p(b|a) is there, p(c|a) backs off; "c b" is a context of nothing, and its suffix is known
BY_HAND = """a comment, which may stand here

\\data\\
ngram 1=5
ngram 2=3
ngram 3=1

\\1-grams:
-0.9\t<unk>
-99 <s> -0.25
-0.5\t</s>
-0.7\tb\t-0.125
-0.6\ta\t-0.375

\\2-grams:
-0.2\tb a\t-0.5
-0.3\ta b
-0.4\t<s> a\t-0.0625

\\3-grams:
-0.1\t<s> a b

\\end\\
"""


def kneser_ney(order: int, sequences: list[np.ndarray]) -> KneserNey:
    return KneserNey(order).fit(sequences, V, BOS, EOS)


def nats(model: BackOff, tokens: list[int]) -> np.ndarray:
    return -model.log_probabilities(tokens)


@settings(max_examples=60)
@given(token_lists, st.integers(1, 8), any_tokens)
def test_back_off_has_the_probabilities_of_the_interpolated_model(sequences, order, tokens) -> None:
    model = kneser_ney(order, sequences)
    expected = model.event_nats([np.array(tokens, dtype=np.int64)])
    np.testing.assert_allclose(nats(model.back_off(WORDS), tokens), expected, rtol=1e-12)


@pytest.mark.parametrize("order", [1, 2, 5, 8])
def test_a_file_has_the_same_probabilities(tmp_path: Path, order: int) -> None:
    draw = np.random.default_rng(order)
    sequences = [draw.integers(3, 8, size=size) for size in draw.integers(0, 15, size=40)]
    model = (
        best_kneser_ney(sequences, sequences[:5], V, max_order=order) if order == 5 else kneser_ney(order, sequences)
    )
    write_arpa(model.back_off(WORDS), tmp_path / "lm.arpa")
    found = read_arpa(tmp_path / "lm.arpa")
    assert (found.words, found.counts()) == (WORDS, model.back_off(WORDS).counts())
    for size in (0, 1, 3, 20):
        tokens = draw.integers(3, V, size=size)
        np.testing.assert_allclose(nats(found, tokens.tolist()), model.event_nats([tokens]), rtol=0, atol=1e-6)


def test_probabilities_sum_to_one_after_every_context() -> None:
    model = kneser_ney(4, [np.random.default_rng(1).integers(3, 7, size=60)]).back_off(WORDS)
    scores, _ = model.rows(np.arange(model.trie.highest), np.arange(V))
    np.testing.assert_allclose(np.exp(scores).sum(axis=1), 1, rtol=1e-12)


def test_a_row_is_the_steps_of_each_word() -> None:
    draw = np.random.default_rng(2)
    model = kneser_ney(4, [draw.integers(3, 8, size=80)]).back_off(WORDS)
    states = np.arange(model.trie.highest)
    scores, following = model.rows(states, np.arange(V))
    for token in range(V):
        each, after = model.steps(states, np.full(len(states), token))
        np.testing.assert_allclose(scores[:, token], each, rtol=1e-12)
        np.testing.assert_array_equal(following[:, token], after)


def test_a_file_by_hand(tmp_path: Path) -> None:
    (tmp_path / "lm.arpa").write_text(BY_HAND)
    model = read_arpa(tmp_path / "lm.arpa")
    assert model.words == ("<unk>", "<s>", "</s>", "b", "a")
    assert model.counts() == [5, 3, 1]
    scores = model.log_probabilities([model.index(word) for word in ("a", "b", "a", "what", "b")]) / np.log(10)
    expected = [
        -0.4,  # <s> a
        -0.1,  # <s> a b
        -0.2,  # after a b, which is a context of nothing: b a
        -0.5 - 0.375 - 0.9,  # back off from b a and from a
        -0.7,  # after an unknown word
        -0.125 - 0.5,
    ]
    np.testing.assert_allclose(scores, expected)


@pytest.mark.parametrize("change", ["crlf", "bom", "spaces", "upper"])
def test_other_programs_ways_of_writing(tmp_path: Path, change: str) -> None:
    text = BY_HAND.encode()
    text = {
        "crlf": text.replace(b"\n", b"\r\n"),
        "bom": b"\xef\xbb\xbf" + text[text.index(b"\\data") :],
        "spaces": text.replace(b"\t", b"  "),
        "upper": text.replace(b"<unk>", b"<UNK>"),
    }[change]
    (tmp_path / "lm.arpa").write_bytes(text)
    model = read_arpa(tmp_path / "lm.arpa")
    assert model.words == ("<unk>", "<s>", "</s>", "b", "a")
    assert model.log_probabilities([4])[0] == pytest.approx(-0.4 * np.log(10))


def test_marks_and_unknown_words_may_be_missing(tmp_path: Path) -> None:
    (tmp_path / "lm.arpa").write_text("\\data\\\nngram 1=1\n\n\\1-grams:\n-0.1 a\n\n\\end\\\n")
    model = read_arpa(tmp_path / "lm.arpa")
    assert model.words == (*RESERVED, "a")
    assert model.index("b") == UNKNOWN
    np.testing.assert_allclose(model.log_probabilities([3, UNKNOWN]) / np.log(10), [-0.1, -100, -100])


def test_a_suffix_that_was_pruned_is_looked_for_further_down(tmp_path: Path) -> None:
    text = BY_HAND.replace("ngram 2=3", "ngram 2=2").replace("-0.3\ta b\n", "")
    (tmp_path / "lm.arpa").write_text(text)
    model = read_arpa(tmp_path / "lm.arpa")
    # after <s> a b, of which only b is left as a context
    assert model.log_probabilities([4, 3, 4])[2] == pytest.approx(-0.2 * np.log(10))


@pytest.mark.parametrize("word", ["<s>", "</s>", "<unk>", "<UNK>", "<space>", "<U+0041>"])
def test_a_word_that_the_format_has_another_use_for_is_refused(tmp_path: Path, word: str) -> None:
    names = [*RESERVED, "a", word, *"bcdefghi"][:V]
    if word in RESERVED:
        names[:3] = ["pad", "bos", "eos"]  # so that it occurs once
    model = kneser_ney(2, [np.array([3, 4])]).back_off(names)
    with pytest.raises(VocabularyError, match="meaning of its own"):
        write_arpa(model, tmp_path / "lm.arpa")
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("\\data\\", "data"), "ends after line 23, expected an ARPA file"),
        (("\\end\\", ""), "ends after line 21"),
        (("\\end\\", "-0.1\ta b a"), "line 23: got '-0.1\\\\ta b a', expected \\\\end"),
        (("ngram 2=3", "ngram 2=4"), "line 20: got '.*3-grams:', expected a logarithm, 2 words and perhaps a back-off"),
        (("ngram 2=3", "ngram 2=2"), "line 18: got '-0.4.*expected .*3-grams:"),
        (("ngram 2=3", "ngram 3=3"), "line 5: got 'ngram 3=3', expected 'ngram 2='"),
        (("ngram 1=5\nngram 2=3\nngram 3=1\n", ""), "no line 'ngram 1='"),
        (("-0.6\ta", "x\ta"), "line 13: got 'x', expected a logarithm of at most 0"),
        (("-0.6\ta", "0.6\ta"), "line 13: got '0.6', expected a logarithm of at most 0"),
        (("-0.6\ta", "nan\ta"), "line 13: got 'nan'"),
        (("a\t-0.375", "a\tinf"), "line 13: got 'inf', expected a logarithm that is finite"),
        (("-0.3\ta b", "-0.3\ta what"), "line 17: 'what' is not among the 1-grams"),
        (("-0.3\ta b", "-0.3\ta"), "line 17: got '-0.3.*expected a logarithm, 2 words"),
        (("-0.3\ta b", "-0.3\tb a"), "the 2-gram number 2 is there twice"),
        (("-0.6\ta", "-0.6\tb"), "the 1-gram number 5 is there twice"),
        (("<s> a b", "a a b"), "the 3-gram number 1 has a context that is not among the 2-grams"),
    ],
)
def test_damaged_files_are_named_with_the_line(tmp_path: Path, change: tuple[str, str], reason: str) -> None:
    assert change[0] in BY_HAND
    (tmp_path / "lm.arpa").write_text(BY_HAND.replace(*change))
    with pytest.raises(ArpaError, match=reason) as error:
        read_arpa(tmp_path / "lm.arpa")
    assert str(error.value).startswith(f"{tmp_path / 'lm.arpa'}: ")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "ends after line 0"),
        (b"x" * 20_000, "line 1 has more than 10,000 bytes"),
        (b"\\data\\\nngram 1=999999999999\n\\1-grams:\n-1 a\n", "ends after line 4"),
        (b"\\data\\\nngram 1=1\n\\1-grams:\n-1 \xff\n", "line 4 is not UTF-8"),
        (b"\\data\\\n" + b"".join(b"ngram %d=1\n" % n for n in range(1, 40)), "order 13, expected at most 12"),
    ],
)
def test_files_of_anything_else_are_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "lm.arpa").write_bytes(content)
    with pytest.raises(ArpaError, match=reason):
        read_arpa(tmp_path / "lm.arpa")


@settings(max_examples=150)
@given(st.data())
def test_a_file_with_changed_bytes_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data) -> None:
    content = bytearray(BY_HAND.encode())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    path = tmp_path_factory.getbasetemp() / "changed.arpa"
    path.write_bytes(content)
    try:
        model = read_arpa(path)
    except ArpaError:
        return
    assert np.isfinite(model.log_probabilities([UNKNOWN, len(model.words) - 1])).all()


def test_kenlm_reads_the_same_probabilities(tmp_path: Path) -> None:
    kenlm = pytest.importorskip("kenlm")
    draw = np.random.default_rng(3)
    names = (*RESERVED, "one", "two", "three", "four", "five", "seen once", "não")
    names = tuple(name.replace(" ", "_") for name in names)
    sequences = [draw.integers(3, 8, size=size) for size in draw.integers(0, 15, size=40)]
    write_arpa(KneserNey(4).fit(sequences, len(names), BOS, EOS).back_off(names), tmp_path / "lm.arpa")
    ours, theirs = read_arpa(tmp_path / "lm.arpa"), kenlm.Model(str(tmp_path / "lm.arpa"))
    for size in range(12):
        words = [[*names, "another"][place] for place in draw.integers(3, len(names) + 1, size=size)]
        score = ours.log_probabilities(ours.index(word) for word in words).sum() / np.log(10)
        assert score == pytest.approx(theirs.score(" ".join(words), bos=True, eos=True), abs=1e-5)


def test_words_must_be_as_many_as_the_ids() -> None:
    with pytest.raises(ValueError, match=r"got 3 words for ids 0\.\.10"):
        kneser_ney(2, [np.array([3])]).back_off(RESERVED)
    with pytest.raises(ValueError, match="expected unique words"):
        kneser_ney(2, [np.array([3])]).back_off([*WORDS[:-1], "a"])


def test_ids_outside_the_words_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected 0\.\.10"):
        kneser_ney(2, [np.array([3])]).back_off(WORDS).log_probabilities([V])
