"""N-gram models of lines of text, and the command that makes an ARPA file of them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from conftest import Command, assert_refused
from seqaudio.errors import SourceError
from seqaudio.ngrams import KneserNey, best_kneser_ney, read_arpa
from seqaudio.ngrams.back_off import RESERVED
from seqaudio.ngrams.lines import cut_lines, fit_lines, held_out
from seqaudio.prepare.engine import Item, Row, build_store
from seqaudio.store import StoreDescription
from seqaudio.vocabulary import BOS, EOS


def sentences(seed: int, count: int) -> list[str]:
    """Lines in which the second word decides the third."""
    draw = np.random.default_rng(seed)
    pairs = [("red", "apples"), ("green", "pears"), ("old", "trees")]
    return [" ".join((draw.choice(["see", "buy", "sell"]), *pairs[draw.integers(3)], "now")) for _ in range(count)]


@pytest.fixture
def text(tmp_path: Path) -> Path:
    (tmp_path / "text.txt").write_text("\n".join(sentences(1, 200)), encoding="utf-8")
    return tmp_path / "text.txt"


def test_a_text_is_cut_into_lines_of_words_or_characters() -> None:
    text = "a  bc\t\n\n  d \r\ne\u0301 f"
    assert cut_lines(text, words=True) == [["a", "bc"], ["d"], ["\u00e9", "f"]]
    assert cut_lines(text, words=False) == [["a", " ", "b", "c"], ["d"], ["\u00e9", " ", "f"]]


@pytest.mark.parametrize("count", [2, 9, 10, 11, 30])
def test_every_tenth_line_is_held_out(count: int) -> None:
    lines = [[str(number)] for number in range(1, count + 1)]
    train, valid = held_out(lines)
    assert sorted([*train, *valid]) == sorted(lines)
    assert valid == ([[str(count)]] if count < 10 else [[str(number)] for number in range(10, count + 1, 10)])


def test_a_single_line_is_refused() -> None:
    with pytest.raises(SourceError, match="got 1 lines of text, expected at least 2"):
        held_out([["a"]])


def test_held_out_lines_choose_the_order_and_are_unknown_to_the_counts() -> None:
    train, valid = (cut_lines("\n".join(sentences(*some)), words=True) for some in ((1, 200), (2, 40)))
    fitted = fit_lines(train, [*valid, ["buy", "blue", "apples", "now"]])
    names = fitted.model.words
    assert names == (*RESERVED, *sorted({word for line in train for word in line}))
    ids = [np.array([names.index(word) for word in line]) for line in train]
    checked = [np.array([names.index(word) if word in names else 0 for word in line]) for line in valid]
    checked.append(np.array([names.index("buy"), 0, names.index("apples"), names.index("now")]))
    expected = best_kneser_ney(ids, checked, len(names), BOS, EOS)
    total, events = expected.nats(checked)
    assert (fitted.model.order, fitted.events, fitted.unknown) == (expected.order, events, 1)
    assert fitted.nats == pytest.approx(total / events)


def test_held_out_lines_can_be_counted_in_the_end() -> None:
    train, valid = (cut_lines("\n".join(sentences(*some)), words=True) for some in ((1, 100), (2, 30)))
    valid.append(["buy", "blue", "apples"])
    before, after = (fit_lines(train, valid, order=3, count_valid=counted) for counted in (False, True))
    assert before.nats == after.nats, "it is measured before they are counted"
    assert "blue" in after.model
    assert "blue" not in before.model
    ids = [np.array([after.model.index(word) for word in line]) for line in [*train, *valid]]
    whole = KneserNey(3).fit(ids, len(after.model.words), BOS, EOS)
    assert after.model.counts() == whole.back_off(after.model.words).counts()


def test_the_mark_of_an_unknown_word_counts_as_one() -> None:
    fitted = fit_lines([["an", "<unk>", "word"]] * 20, [["an", "odd", "word"]], order=2)
    assert fitted.model.counts()[0] == len(RESERVED) + 2
    assert fitted.model.log_probabilities([fitted.model.index("an"), 0])[1] > math.log(0.9)


def test_the_command_writes_what_it_says(command: Command, text: Path, tmp_path: Path) -> None:
    done = command("seqaudio", "ngram", text, "--words", "--out", tmp_path / "lm.arpa", "--json")
    assert done.returncode == 0, done.stderr
    said, model = json.loads(done.stdout), read_arpa(tmp_path / "lm.arpa")
    assert (said["unit"], said["order"], said["ngrams"]) == ("word", model.order, model.counts())
    assert said["perplexity"] == pytest.approx(math.exp(said["nats"]))
    assert said["unknown"] == 0
    # the words that follow each other by rule are nearly certain
    scores = model.log_probabilities(model.index(word) for word in ("buy", "red", "apples", "now"))
    assert (np.exp(scores[2:]) > 0.9).all()


def test_characters_and_an_order_of_ones_own(command: Command, text: Path, tmp_path: Path) -> None:
    done = command("seqaudio", "ngram", text, "--order", "2", "--out", tmp_path / "lm.arpa")
    assert done.returncode == 0, done.stderr
    assert f"{tmp_path / 'lm.arpa'}: order 2 over characters, " in done.stdout
    model = read_arpa(tmp_path / "lm.arpa")
    assert set(model.words) == {*RESERVED, *"".join(sentences(1, 200))}


def test_a_file_of_its_own_is_held_out(command: Command, text: Path, tmp_path: Path) -> None:
    (tmp_path / "valid.txt").write_text("\n".join([*sentences(3, 30), "buy blue apples"]), encoding="utf-8")
    done = command(
        "seqaudio", "ngram", text, "--words", "--valid", tmp_path / "valid.txt", "--out", tmp_path / "lm.arpa"
    )
    assert done.returncode == 0, done.stderr
    assert "on 31 held-out lines" in done.stdout
    assert "(1 of 154 unknown)" in done.stdout
    assert "blue" not in read_arpa(tmp_path / "lm.arpa")


class Spoken:
    """A frame and a text for each item; the texts of the valid split are others."""

    def __call__(self, item: Item) -> list[Row]:
        [text] = sentences(int(item.id), 1)
        return [Row(item.id, np.zeros((3, 4), dtype=np.float32), duration=1.0, text=text)]


def test_the_texts_of_a_store_are_lines(command: Command, text: Path, tmp_path: Path) -> None:
    splits = ["train"] * 8 + ["valid", "test"]
    items = [Item(str(n), text, str(n), split=splits[n % 10]) for n in range(60)]
    build_store(tmp_path / "store", items, Spoken(), StoreDescription("features", {"features": {}}))
    done = command("seqaudio", "ngram", tmp_path / "store", "--words", "--out", tmp_path / "lm.arpa")
    assert done.returncode == 0, done.stderr
    assert "on 6 held-out lines" in done.stdout
    prepared = command("seqaudio", "prepare", "text_file", "--source", text, "--out", tmp_path / "book")
    assert prepared.returncode == 0, prepared.stderr
    done = command("seqaudio", "ngram", tmp_path / "book", "--words", "--out", tmp_path / "lm.arpa", "--force")
    assert done.returncode == 0, done.stderr
    assert "apples" in read_arpa(tmp_path / "lm.arpa")
    wrong = command("seqaudio", "ngram", tmp_path / "book", "--valid", text, "--out", tmp_path / "lm.arpa", "--force")
    assert_refused(wrong, "--valid is for a text; a store has a valid split")


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        (b"a line\n" * 30, ("--out", "lm.txt"), "expected a name that ends in .arpa"),
        (b"a line\n" * 30, ("--out", "lm.arpa", "--order", "9"), "1 to 8"),
        (b"a line without an end " * 30, ("--out", "lm.arpa"), "expected at least 2"),
        (b"\xff\xfe" * 100, ("--out", "lm.arpa"), "is not UTF-8"),
        (b"short", ("--out", "lm.arpa"), "5 characters, expected at least 100"),
        (b"<s> a line </s>\n" * 30, ("--out", "lm.arpa", "--words"), "the text has the word </s>"),
        (b"a <space> there\n" * 30, ("--out", "lm.arpa", "--words"), "the word '<space>' has a meaning of its own"),
    ],
)
def test_bad_texts_and_options_are_one_line(
    command: Command, tmp_path: Path, content: bytes, arguments: tuple[str, ...], message: str
) -> None:
    (tmp_path / "text.txt").write_bytes(content)
    assert_refused(command("seqaudio", "ngram", tmp_path / "text.txt", *arguments, folder=tmp_path), message)
    assert [path.name for path in tmp_path.iterdir()] == ["text.txt"]


def test_an_existing_file_is_kept(command: Command, text: Path, tmp_path: Path) -> None:
    (tmp_path / "lm.arpa").write_text("mine")
    assert_refused(command("seqaudio", "ngram", text, "--out", tmp_path / "lm.arpa"), "exists; give --force")
    assert (tmp_path / "lm.arpa").read_text() == "mine"
