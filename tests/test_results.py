"""What is published is what the files say."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from conftest import ROOT
from seqaudio.errors import OptionError, RunError
from seqaudio.evaluation import results

sys.path.append(str(ROOT / "docs" / "pages"))

import results_page


def outcome(accuracy: float, test: bool = True) -> dict[str, Any]:
    data = results.results(
        recipe="keyword_recognition",
        seed=1,
        valid={"accuracy": 0.5, "count": 10},
        baselines={"guess": {"valid": {"accuracy": 0.1}}},
        parameters=1234,
        wall_seconds=1.0,
        command="train.py --store words --run r",
    )
    if test:
        data["test"] = {"accuracy": accuracy, "count": 300}
        data["baselines"]["guess"]["test"] = {"accuracy": 0.1}
        data["test_reads"] = 1
    return data


def test_the_results_page_is_what_its_files_say() -> None:
    written = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    assert written == results_page.page(ROOT / "docs" / "results"), "run `make results`"


def test_published_results_hold_no_place_of_a_machine() -> None:
    for file in (ROOT / "docs" / "results").glob("*.json"):
        data = json.loads(file.read_text(encoding="utf-8"))
        assert data["test"] is not None
        assert data["test_reads"] >= 1
        words = [word for word in data["command"].split() if word.startswith("/") or ".." in word]
        assert not words, f"{file.name}: {words}"


def test_a_page_has_a_row_a_run_and_its_command(tmp_path: Path) -> None:
    for name, accuracy in (("a", 0.98765), ("b", 1.0)):
        (tmp_path / f"{name}.json").write_text(json.dumps(outcome(accuracy)))
    text = results_page.page(tmp_path)
    assert "| a | 1 | 50.00 % | **98.77 %** | 300 | guess 10.00 % | 1,234 | 1 | 1 |" in text
    assert "**100.00 %**" in text
    assert text.count("`train.py --store words --run r`") == 2


def test_seeds_are_summed_up(tmp_path: Path) -> None:
    for seed, accuracy in ((1, 0.98), (2, 0.99), (3, 1.0)):
        (tmp_path / f"gru_{seed}.json").write_text(json.dumps(outcome(accuracy)))
    (tmp_path / "lstm_1.json").write_text(json.dumps(outcome(0.5)))
    text = results_page.page(tmp_path)
    assert "- gru: 3 seeds, mean 99.00 %, standard deviation 1.00 %, from 98.00 % to 100.00 %" in text
    assert "- lstm:" not in text


def test_only_a_run_whose_test_split_was_read_is_published(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    with pytest.raises(RunError, match=r"no results.json"):
        results.publish(run, "x", tmp_path / "docs")
    (run / "results.json").write_text(json.dumps(outcome(0.9, test=False)))
    with pytest.raises(RunError, match="--split test"):
        results.publish(run, "x", tmp_path / "docs")
    results.record_test(run, {"accuracy": 0.9, "count": 300}, {"guess": {"accuracy": 0.1}}, "fingerprint")
    published = json.loads(results.publish(run, "x", tmp_path / "docs").read_text())
    assert published["test"]["accuracy"] == 0.9
    assert published["baselines"]["guess"] == {"valid": {"accuracy": 0.1}, "test": {"accuracy": 0.1}}


def test_an_unknown_task_is_refused() -> None:
    with pytest.raises(OptionError, match="publish RUN NAME"):
        results_page.main(["print"])
