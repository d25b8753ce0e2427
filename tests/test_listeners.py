"""The study of listeners: correlations of known size, chance told from agreement, the page as the code writes it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from conftest import ROOT, Command
from seqaudio.errors import SourceError
from seqaudio.evaluation.music.judgement import Corpus
from seqaudio.evaluation.music.pieces import pieces_of_folder, pieces_of_split
from seqaudio.files import write_json
from seqaudio.store import Store

sys.path.append(str(ROOT / "docs" / "pages"))

import listeners
from listeners import Answers, dispersion, largest_by_chance, rank_correlation, read_answers


def test_a_rising_relation_is_1_whatever_its_form() -> None:
    x = np.arange(40.0)
    assert rank_correlation(x, np.exp(x), np.ones(40)).value == pytest.approx(1.0)
    assert rank_correlation(x, -(x**3), np.ones(40)).value == pytest.approx(-1.0)


def test_weights_and_ties_by_hand() -> None:
    # two ranks, each for one half: sqrt(3) / 2 n / sqrt(n^2 - 1)
    halves = np.repeat([0.0, 1.0], 20)
    expected = 0.75**0.5 * 40 / (40**2 - 1) ** 0.5
    assert rank_correlation(halves, np.arange(40.0), np.ones(40)).value == pytest.approx(expected)
    # a piece without answers does not count
    rows = np.arange(41.0), np.append(np.arange(40.0), -9.0)
    assert rank_correlation(*rows, np.append(np.ones(40), 0.0)).value == pytest.approx(1.0)


def test_the_interval_holds_no_relation_and_excludes_a_strong_one() -> None:
    draw = np.random.default_rng(0)
    x, noise = draw.normal(size=(2, 200))
    none, strong = rank_correlation(x, noise, np.ones(200)), rank_correlation(x, x + noise, np.ones(200))
    assert none.interval[0] < 0 < none.interval[1]
    assert 0.5 < strong.interval[0] < strong.value < strong.interval[1]
    assert 0.14 < largest_by_chance([x, noise], draw.normal(size=200), np.ones(200)) < 0.25


def test_answers_that_depend_on_the_piece_are_told_from_chance() -> None:
    draw = np.random.default_rng(1)
    responses = np.full(200, 8.0)
    chance = Answers(responses, draw.binomial(8, 0.4, size=200).astype(np.float64))
    depending = Answers(responses, draw.binomial(8, draw.uniform(0.1, 0.7, size=200)).astype(np.float64))
    assert dispersion(chance)[1] > 0.02
    assert dispersion(depending)[1] == 0.0


def test_answers_are_read_by_name_and_missing_ones_are_told(tmp_path: Path) -> None:
    file = tmp_path / "annotations.json"
    write_json(file, {"midi/3.mid": {"total": {"responses": 5, "correct": 3}}})
    found = read_answers(file, ["3.mid"])
    assert (found.responses.tolist(), found.bach.tolist()) == ([5.0], [2.0])
    with pytest.raises(SourceError, match=r"no answers on 4\.mid"):
        read_answers(file, ["3.mid", "4.mid"])


def test_the_page_is_as_the_code_writes_it(command: Command, data_folder: Path, tmp_path: Path) -> None:
    music = data_folder / "music"
    options = ("--source", music / "jsb_chorales_json", "--out", tmp_path / "jsb", "--representation", "chorale")
    assert command("data_prep/jsb_chorales.py", *options).returncode == 0
    store, fakes = Store(tmp_path / "jsb"), pieces_of_folder(music / "js_fakes")
    bach = Corpus("Bach", [piece for split in store.counts for piece in pieces_of_split(store, split).pieces])
    answers = read_answers(music / "js_fakes" / "annotations.json", [Path(piece.name).name for piece in fakes.pieces])
    text = listeners.PAGE.read_text(encoding="utf-8")
    assert listeners.filled(text, list(listeners.page(fakes, answers, bach))) == text, (
        "run python docs/pages/listeners.py"
    )
