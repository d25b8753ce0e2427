"""The adding and the copy problem: what they ask, that splits share no draw, and that a run of them learns."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from seqaudio.batching import MEMORY_TASKS, AddingProblem, Batch, CopyProblem, GeneratedBatches, held_out
from seqaudio.batching.memory_tasks import BLANK, GO, RECALLED, SYMBOLS
from seqaudio.cli.scripts import load, recipes
from seqaudio.errors import OptionError, RunError
from seqaudio.evaluation.results import command_of
from seqaudio.run_folder import RunFolder


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """The tensors here are tiny: a second thread would only cost the time to wake it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def first_batch(source: GeneratedBatches, epoch: int = 0) -> Batch:
    return next(source.epoch(epoch))


@pytest.mark.parametrize("length", [2, 3, 11, 60])
def test_adding_asks_for_the_sum_of_the_marked_numbers_at_the_last_step(length: int) -> None:
    batch = first_batch(GeneratedBatches(AddingProblem(length), "train", 1, 200))
    numbers, marks = batch.inputs.unbind(-1)
    assert batch.inputs.shape == (length, 200, 2)
    assert batch.lengths.tolist() == [length] * 200
    assert ((numbers >= 0) & (numbers < 1)).all()
    assert (marks[: length // 2].sum(0) == 1).all(), "one mark in the first half"
    assert (marks[length // 2 :].sum(0) == 1).all(), "one in the second"
    torch.testing.assert_close(batch.targets[-1, :, 0], (numbers * marks).sum(0))
    assert batch.weights[:-1].eq(0).all()
    assert batch.weights[-1].eq(1).all()


def test_marks_reach_every_step_of_their_half() -> None:
    marks = first_batch(GeneratedBatches(AddingProblem(8), "train", 1, 1000)).inputs[..., 1]
    assert (marks.mean(1) > 0.15).all()


def test_copy_asks_for_the_symbols_after_the_sign_in_their_order() -> None:
    batch = first_batch(GeneratedBatches(CopyProblem(7), "train", 1, 300))
    symbols = batch.inputs[:RECALLED]
    assert batch.steps == 7 + 2 * RECALLED
    assert sorted(symbols.unique().tolist()) == list(range(SYMBOLS))
    assert batch.inputs[RECALLED : RECALLED + 6].eq(BLANK).all()
    assert batch.inputs[RECALLED + 6].eq(GO).all()
    assert batch.inputs[RECALLED + 7 :].eq(BLANK).all()
    assert torch.equal(batch.targets[-RECALLED:], symbols)
    assert batch.weights.sum(0).eq(RECALLED).all()
    assert batch.weights[-RECALLED:].eq(1).all()
    assert batch.inputs.max() < CopyProblem.vocabulary_size


def test_the_constant_guess_of_adding_has_the_variance_of_the_sum() -> None:
    guess = AddingProblem(20).constant_guess(held_out(AddingProblem(20), "test"))
    assert guess["mse"] == pytest.approx(1 / 6, abs=0.01)


def test_the_constant_guess_of_copying_is_one_symbol_of_eight() -> None:
    guess = CopyProblem(5).constant_guess(held_out(CopyProblem(5), "test"))
    assert guess["nats_per_symbol"] == pytest.approx(math.log(8))
    assert guess["accuracy"] == pytest.approx(1 / 8, abs=0.01)


@pytest.mark.parametrize("name", list(MEMORY_TASKS))
def test_a_source_repeats_and_goes_on_in_the_middle_of_an_epoch(name: str) -> None:
    one, other = (GeneratedBatches(MEMORY_TASKS[name](9), "train", 4, 3, seed=5) for _ in range(2))
    whole = [batch.inputs for batch in one.epoch(2)]
    assert len(whole) == len(one) == 4
    for inputs, again in zip(whole[2:], other.epoch(2, 2), strict=True):
        assert torch.equal(inputs, again.inputs)


@pytest.mark.parametrize("name", list(MEMORY_TASKS))
def test_no_two_splits_seeds_epochs_or_batches_share_a_sequence(name: str) -> None:
    task = MEMORY_TASKS[name](6)
    drawn = [
        batch.inputs[:, row].flatten().tolist()
        for split in ("train", "valid", "test")
        for seed in (0, 1)
        for epoch in (0, 1)
        for batch in GeneratedBatches(task, split, 2, 4, seed).epoch(epoch)
        for row in range(4)
    ]
    assert len({tuple(sequence) for sequence in drawn}) == len(drawn) == 3 * 2 * 2 * 2 * 4


def test_fingerprints_tell_tasks_and_lengths_apart() -> None:
    prints = {task.fingerprint for task in (AddingProblem(9), AddingProblem(10), CopyProblem(9), CopyProblem(10))}
    assert len(prints) == 4
    assert AddingProblem(9).fingerprint == AddingProblem(9).fingerprint


@pytest.mark.parametrize(("kind", "length"), [(AddingProblem, 1), (CopyProblem, 0)])
def test_lengths_that_hold_no_problem_are_refused(kind: type, length: int) -> None:
    with pytest.raises(OptionError, match=f"over {length} steps"):
        kind(length)
    with pytest.raises(OptionError, match="0 batches"):
        GeneratedBatches(kind(), "train", 0, 5)


# --- the recipe ---


@pytest.fixture(scope="module")
def train() -> ModuleType:
    return load(recipes("train.py")["memory_tasks"])


@pytest.fixture(scope="module")
def evaluate() -> ModuleType:
    return load(recipes("evaluate.py")["memory_tasks"])


@pytest.fixture(scope="module")
def study() -> ModuleType:
    return load(recipes("study.py")["memory_tasks"])


def results(run: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((run / "results.json").read_text())
    return data


TINY: dict[str, Any] = {"length": 8, "parameters": 1960, "steps": 20, "check_every": 10, "batch_size": 5}


def test_a_recurrent_net_learns_to_add_over_a_short_while(
    train: ModuleType, evaluate: ModuleType, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    train.main(train.Config(run=run, **{**TINY, "steps": 300, "check_every": 100, "batch_size": 20}))
    data = results(run)
    assert data["valid"]["mse"] < 0.02 < data["baselines"]["constant guess"]["valid"]["mse"]
    assert data["test"] is None, "training never opens the test split"
    evaluate.main(evaluate.Config(run=run, split="test"))
    data = results(run)
    assert data["test"]["mse"] < 0.02
    assert data["test"]["count"] == 2000
    assert data["test_reads"] == 1
    assert RunFolder(run).input == {"kind": "memory_task", "settings": {"name": "adding", "length": 8}}


def test_a_recurrent_net_learns_to_copy_over_a_short_while(
    train: ModuleType, evaluate: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    options = {"length": 1, "parameters": 3000, "learning_rate": 2e-2}
    train.main(train.Config(run=run, task="copy", steps=400, check_every=100, batch_size=20, **options))
    evaluate.main(evaluate.Config(run=run))
    data = results(run)
    assert data["valid"]["nats_per_symbol"] < 1.8 < data["baselines"]["constant guess"]["valid"]["nats_per_symbol"]
    assert f"valid accuracy {data['valid']['accuracy']:.5f}" in capsys.readouterr().out


def test_the_width_is_picked_for_the_number_of_parameters(train: ModuleType, tmp_path: Path) -> None:
    for cell, layers in (("lstm", 1), ("elman", 2), ("gru", 1)):
        config = train.Config(run=tmp_path, cell=cell, layers=layers, parameters=5000)
        count = train.build_model(**train.model_of(config)).parameter_count()
        assert abs(count - 5000) <= 100
    given = train.model_of(train.Config(run=tmp_path, hidden_size=9))
    assert given["arguments"]["hidden_size"] == 9
    with pytest.raises(OptionError, match="exclude each other"):
        train.model_of(train.Config(run=tmp_path, hidden_size=9, parameters=5000))


def test_steps_that_no_check_ends_are_refused(train: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="--steps 25 with --check-every 10"):
        train.main(train.Config(run=tmp_path / "run", **{**TINY, "steps": 25}))
    assert not (tmp_path / "run").exists()


def test_a_run_tells_the_command_that_repeats_it(train: ModuleType) -> None:
    config = train.Config(run=Path("runs/a"), cell="gru", learned_state=True, learning_rate=3e-3, resume=True)
    assert command_of("memory_tasks", config) == (
        "python recipes/memory_tasks/train.py --run runs/a --cell gru --learning-rate 0.003 --learned-state"
    )


def test_a_study_goes_on_with_the_runs_that_are_missing(
    study: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = study.Config(
        out=tmp_path / "a", cells=("lstm@chrono={length}", "elman"), learning_rates=(1e-3, 1e-2), **TINY
    )
    study.main(config)
    table = capsys.readouterr().out
    files = sorted(tmp_path.rglob("results.json"))
    assert [str(file.parent.relative_to(tmp_path)) for file in files] == [
        "a/adding_8_elman_1/rate_0.001",
        "a/adding_8_elman_1/rate_0.01",
        "a/adding_8_lstm_chrono8_1/rate_0.001",
        "a/adding_8_lstm_chrono8_1/rate_0.01",
    ]
    files[1].unlink()
    kept = files[2].read_bytes()
    study.main(config)
    assert files[2].read_bytes() == kept
    assert files[1].is_file()
    again = capsys.readouterr().out
    assert table.splitlines()[-3:-1] == again.splitlines()[-3:-1]


def test_a_study_reads_test_for_the_run_that_validation_chose(
    study: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = study.Config(
        out=tmp_path / "a", task="copy", cells=("gru",), learning_rates=(1e-4, 1e-2), publish=tmp_path / "docs", **TINY
    )
    study.main(config)
    slow, fast = (results(tmp_path / "a" / "copy_8_gru_1" / f"rate_{rate}") for rate in ("0.0001", "0.01"))
    chosen, other = sorted((slow, fast), key=lambda data: data["valid"]["nats_per_symbol"])
    assert (chosen["test_reads"], other["test"]) == (1, None)
    assert chosen["tuning"]["learning_rates"] == {
        "0.0001": slow["valid"]["nats_per_symbol"],
        "0.01": fast["valid"]["nats_per_symbol"],
    }
    assert json.loads((tmp_path / "docs" / "copy_8_gru_1.json").read_text()) == chosen
    assert f"{chosen['test']['nats_per_symbol']:.5f}" in capsys.readouterr().out


def test_a_study_with_other_settings_in_the_same_folder_is_refused(study: ModuleType, tmp_path: Path) -> None:
    options = {**TINY, "cells": ("elman",), "learning_rates": (1e-2,)}
    study.main(study.Config(out=tmp_path / "a", **options))
    with pytest.raises(RunError, match="other values of steps"):
        study.main(study.Config(out=tmp_path / "a", **{**options, "steps": 30}))


def test_a_trial_without_finite_gradients_is_an_outcome_and_not_the_end(
    study: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {**TINY, "steps": 40, "learning_rates": (1e20,)}
    study.main(study.Config(out=tmp_path / "a", cells=("elman_relu", "lstm"), **options))
    lines = capsys.readouterr().out.splitlines()
    assert any("rate_1e+20" in line and "not finite" in line for line in lines)
    assert any(line.startswith("adding_8_elman_relu") and "no trial" in line for line in lines)


def test_a_damaged_run_ends_the_study_and_is_no_outcome(study: ModuleType, tmp_path: Path) -> None:
    options = {**TINY, "steps": 40, "learning_rates": (1e-2,)}
    study.main(study.Config(out=tmp_path / "a", cells=("lstm",), **options))
    run = next((tmp_path / "a").glob("*/rate_*"))
    (run / "results.json").unlink()
    for file in (run / "resume").glob("*.safetensors"):
        file.write_bytes(b"torn")
    with pytest.warns(UserWarning, match="damaged"), pytest.raises(RunError, match="checkpoints are damaged"):
        study.main(study.Config(out=tmp_path / "a", cells=("lstm",), **options))


def test_a_model_off_the_number_of_parameters_is_refused_before_any_training(study: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"expected 30 within 2%"):
        study.main(study.Config(out=tmp_path / "a", cells=("lstm",), **{**TINY, "parameters": 30}))
    assert not (tmp_path / "a").exists()
