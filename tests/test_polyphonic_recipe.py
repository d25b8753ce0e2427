"""The recipe of piano rolls from a made-up store to its test figures; its batches, its baselines, its refusals."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from conftest import Command, assert_refused
from made_up import roll_store, token_store
from seqaudio.batching import PaddedBatches, RollSequences, Transposition
from seqaudio.cli.scripts import load, recipes
from seqaudio.decoding import sample_roll
from seqaudio.errors import OptionError
from seqaudio.evaluation.roll_baselines import Marginal, NoteMarkov, note_rates, roll_baselines
from seqaudio.midi import read_midi
from seqaudio.midi.writing import write_midi
from seqaudio.notes import NoteSequence
from seqaudio.run_folder import RunFolder
from seqaudio.store import Store
from seqaudio.tokens.roll import RollRepresentation

TINY: dict[str, Any] = {"epochs": 2, "hidden_size": 8, "nade_size": 4, "batch_size": 8, "device": "cpu"}


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """The nets here are tiny: a second thread would only cost the time to wake it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rolls")


@pytest.fixture(scope="module")
def store(folder: Path) -> Path:
    return roll_store(folder).path


@pytest.fixture(scope="module")
def recipe() -> ModuleType:
    return load(recipes("train.py")["polyphonic_music"])


def results(run: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((run / "results.json").read_text())
    return data


@pytest.fixture(scope="module")
def run(recipe: ModuleType, store: Path, folder: Path) -> Path:
    """A NADE that knows the rising thirds."""
    options = {
        "epochs": 30,
        "hidden_size": 48,
        "learning_rate": 1e-2,
        "input_dropout": 0.0,
        "dropout": 0.0,
        "weight_dropout": 0.0,
    }
    recipe.main(recipe.Config(store=store, run=folder / "run", head="nade", **TINY | options))
    return folder / "run"


# ---- batches


def test_each_frame_is_predicted_from_those_before_it(store: Path) -> None:
    split = Store(store)["train"]
    batch = RollSequences(split)([2, 0, 5], 0)
    assert batch.lengths.tolist() == [len(split.sequence(row)) for row in (2, 0, 5)]
    assert batch.ids == tuple(split.ids[row] for row in (2, 0, 5))
    for column, row in enumerate((2, 0, 5)):
        roll = split.sequence(row)
        np.testing.assert_array_equal(batch.targets[: len(roll), column], roll)
        assert not batch.targets[len(roll) :, column].any()
    assert not batch.inputs[0].any(), "silence before the first frame"
    assert torch.equal(batch.inputs[1:], batch.targets[:-1])


def test_transposition_keeps_every_note_of_a_frame_in_range() -> None:
    roll = np.zeros((6, 88), dtype=np.uint8)
    roll[np.arange(6), [2, 40, 84, 50, 2, 3]] = 1
    roll[3, 53] = 1
    shifts = set()
    for epoch in range(200):
        moved = Transposition(5, seed=3)(roll, epoch, "a")
        assert moved.sum(1).tolist() == roll.sum(1).tolist()
        shift = int(np.flatnonzero(moved[0])[0]) - 2
        np.testing.assert_array_equal(np.roll(roll, shift, axis=1), moved)
        shifts.add(shift)
    assert shifts == {-2, -1, 0, 1, 2, 3}, "2 keys are free below and 3 above"
    silent = np.zeros((3, 88), dtype=np.uint8)
    assert not Transposition(5)(silent, 0, "a").any()


def test_transposition_is_a_function_of_seed_epoch_and_piece(store: Path) -> None:
    split = Store(store)["train"]

    def pieces(seed: int, epoch: int, rows: list[int]) -> dict[str, Any]:
        batch = RollSequences(split, Transposition(6, seed))(rows, epoch)
        return {
            name: batch.targets[:n, place] for place, (name, n) in enumerate(zip(batch.ids, batch.lengths, strict=True))
        }

    some, others = pieces(1, 4, [0, 1, 2, 3]), pieces(1, 4, [3, 7, 0])
    assert all(torch.equal(some[name], others[name]) for name in some.keys() & others.keys())
    assert any(not torch.equal(some[name], pieces(1, 5, [0, 1, 2, 3])[name]) for name in some)
    assert any(not torch.equal(some[name], pieces(2, 4, [0, 1, 2, 3])[name]) for name in some)


# ---- baselines


def test_a_marginal_is_the_smoothed_rate_of_each_note() -> None:
    rolls = [np.array([[1, 0], [1, 0]], dtype=np.uint8), np.array([[0, 0], [1, 0]], dtype=np.uint8)]
    model = Marginal().fit(rolls)
    some = (3 + 0.5) / (8 + 1)
    rates = (np.array([3, 0]) + some) / (4 + 1)
    np.testing.assert_allclose(model.rates(), rates)
    np.testing.assert_allclose(note_rates(rolls), rates)
    np.testing.assert_allclose(
        model.nats(rolls[1]), [-np.log((1 - rates[0]) * (1 - rates[1])), -np.log(rates[0] * (1 - rates[1]))]
    )


def test_a_markov_chain_knows_how_long_notes_are() -> None:
    roll = np.array([[1], [1], [0], [0], [1]], dtype=np.uint8)
    model = NoteMarkov().fit([roll])
    model.weight = 1e-9
    np.testing.assert_allclose(model.nats(roll), -np.log([3 / 5, 1 / 2, 1 / 2, 1 / 2, 1 / 2]), rtol=1e-6)
    assert model.nats(roll[:0]).shape == (0,)


def test_baselines_are_tuned_on_validation_and_stand_in_order(store: Path) -> None:
    held = Store(store)
    rolls = [np.asarray(roll) for roll in held["train"]]
    found = roll_baselines(held["train"], held["valid"], held["test"])
    assert list(found) == ["marginal", "note Markov"]
    for scores in found.values():
        assert set(scores) == {"nats_per_frame", "nats_per_later_frame", "nats_per_note", "count"}
        assert scores["count"] == held.counts["test"].steps
        assert scores["nats_per_note"] == pytest.approx(scores["nats_per_frame"] / 2), "two notes in each frame"
    tuned = Marginal().fit(rolls).tune(rolls[:4])
    for weight in (0.01, 1.0, 100.0):
        other = Marginal().fit(rolls)
        other.weight = weight
        assert sum(tuned.nats(roll).sum() for roll in rolls[:4]) <= sum(other.nats(roll).sum() for roll in rolls[:4])


# ---- the recipe


def test_a_model_learns_what_baselines_cannot(run: Path, store: Path) -> None:
    data = results(run)
    valid, count = data["valid"], Store(store).counts["valid"]
    assert valid["count"] == count.steps
    assert valid["nats_per_later_frame"] < 0.5 * data["baselines"]["note Markov"]["valid"]["nats_per_later_frame"]
    assert valid["nats_per_frame"] > valid["nats_per_later_frame"], "the first frame can only be guessed"
    assert valid["nats_per_note"] == pytest.approx(valid["nats_per_frame"] / 2)
    first = valid["nats_per_frame"] * count.steps - valid["nats_per_later_frame"] * (count.steps - count.rows)
    assert first > 0
    assert data["test"] is None, "training never opens the test split"


def test_evaluation_records_both_conventions(command: Command, run: Path, tmp_path: Path) -> None:
    copied = tmp_path / "run"
    shutil.copytree(run, copied)
    done = command("seqaudio", "evaluate", copied, "--split", "test")
    assert done.returncode == 0, done.stderr
    data = results(copied)
    assert f"test {data['test']['nats_per_frame']:.4f} nats a frame" in done.stdout
    assert f"without first frames {data['test']['nats_per_later_frame']:.4f} nats a frame; marginal" in done.stdout
    assert data["test_reads"] == 1
    assert data["baselines"]["note Markov"]["test"]["nats_per_later_frame"] > data["test"]["nats_per_later_frame"]
    done = command("seqaudio", "evaluate", copied, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["metrics"]["nats_per_frame"] == pytest.approx(
        data["valid"]["nats_per_frame"], rel=1e-5
    )


def test_a_run_is_described_and_probed(command: Command, run: Path, store: Path) -> None:
    done = command("seqaudio", "info", run)
    assert done.returncode == 0, done.stderr
    assert "polyphonic_music" in done.stdout
    done = command("seqaudio", "probe", run, store, "--lags", "3")
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def independent(recipe: ModuleType, store: Path, folder: Path) -> Path:
    recipe.main(recipe.Config(store=store, run=folder / "independent", head="sigmoid", **TINY))
    return folder / "independent"


def test_rolls_of_independent_notes_are_sampled_under_the_grammar(independent: Path) -> None:
    run, draw = RunFolder(independent), torch.Generator().manual_seed(1)
    representation = RollRepresentation(steps_per_quarter=1, repeats="joined")
    roll = sample_roll(run.model(), representation, generator=draw, frames=16)
    assert len(representation.decode(roll)) > 0


def test_the_best_weights_continue_a_rising_third(run: Path) -> None:
    model = RunFolder(run).model()
    state, frame, draw = model.initial_state(1), torch.zeros(1, 88), torch.Generator().manual_seed(1)
    for low in range(30, 34):
        frame = torch.zeros(1, 88)
        frame[0, [low, low + 4]] = 1
        _, before = model.step(frame, state) if low < 33 else (None, state)
        state = before
    frame, _ = model.next_frame(frame, state, temperature=0.2, generator=draw)
    assert frame[0].nonzero().flatten().tolist() == [34, 38]


@pytest.mark.parametrize(
    "options",
    [
        {"head": "sigmoid", "bptt": "full", "transpose": 3, "cell": "gru", "layers": 2},
        {"head": "nade", "advance": 4, "cell": "rru", "weight_dropout": 0.2, "precision": "bf16-mixed"},
        {"head": "sigmoid", "bptt": "checkpointed", "segments": 2, "learned_state": True, "probe_every": 1},
        {"head": "sigmoid", "cell": "min_gru", "shared": 0},
        {"head": "nade", "cell": "gru+variational_dropout=0.1,0.2", "parameters": 20_000, "hidden_size": None},
    ],
)
def test_cells_strategies_and_dropout_go_together(
    recipe: ModuleType, store: Path, tmp_path: Path, options: dict[str, Any]
) -> None:
    recipe.main(recipe.Config(store=store, run=tmp_path / "run", **TINY | options))
    assert math.isfinite(results(tmp_path / "run")["valid"]["nats_per_frame"])


def test_recurrent_weights_are_dropped_by_default_where_a_cell_has_them(recipe: ModuleType, store: Path) -> None:
    def share(**options: Any) -> float:
        config = recipe.Config(store=store, run=Path("run"), **options)
        found: float = config.description(88)["arguments"]["weight_dropout"]
        return found

    assert share(cell="rru") == share(cell="lstm+zoneout") == 0.5
    assert share(cell="min_lstm") == 0
    assert share(cell="lstm", weight_dropout=0.0) == 0


def test_an_interrupted_training_ends_as_one_that_was_not(recipe: ModuleType, store: Path, folder: Path) -> None:
    options = TINY | {"epochs": 3, "head": "nade", "advance": 4, "weight_dropout": 0.3, "transpose": 2}
    recipe.main(recipe.Config(store=store, run=folder / "whole", **options))
    recipe.main(recipe.Config(store=store, run=folder / "cut", **options))
    for file in sorted((folder / "cut" / "resume").iterdir())[2:]:
        file.unlink()
    (folder / "cut" / "results.json").unlink()
    recipe.main(recipe.Config(store=store, run=folder / "cut", resume=True, **options))
    weights = [(folder / name / "model.safetensors").read_bytes() for name in ("whole", "cut")]
    assert weights[0] == weights[1]


def test_a_piece_has_the_loss_that_it_has_alone(run: Path, store: Path) -> None:
    model, split = RunFolder(run).model(), Store(store)["test"]
    together = sum(
        model.evaluate(batch)["nats_per_frame"][0] for batch in PaddedBatches(RollSequences(split), 64).epoch(0)
    )
    alone = sum(model.evaluate(batch)["nats_per_frame"][0] for batch in PaddedBatches(RollSequences(split), 1).epoch(0))
    assert together == pytest.approx(alone, rel=1e-5)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--store", "{tokens}", "--run", "{new}"), ("tokens", "'roll'")),
        (("--store", "{none}", "--run", "{new}"), ("no such folder",)),
        (("--store", "{store}", "--run", "{run}"), ("exists", "--resume")),
        (("--store", "{store}", "--run", "{new}", "--cell", "gruu"), ("did you mean gru",)),
        (("--store", "{store}", "--run", "{new}", "--transpose", "100"), ("--transpose 100, expected 0 to 87",)),
        (("--store", "{store}", "--run", "{new}", "--weight-dropout", "1"), ("--weight-dropout 1", "under 1")),
        (("--store", "{store}", "--run", "{new}", "--nade-size", "0"), ("--nade-size 0",)),
        (
            ("--store", "{store}", "--run", "{new}", "--cell", "min_gru", "--weight-dropout", "0.2"),
            ("--weight-dropout", "MinGRUCell has none"),
        ),
    ],
)
def test_bad_input_is_one_line(
    command: Command, store: Path, run: Path, tmp_path: Path, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    places = {"store": store, "run": run, "new": tmp_path / "new", "none": tmp_path / "none"}
    if "{tokens}" in arguments:
        places["tokens"] = token_store(tmp_path).path
    given = [argument.format(**places) for argument in arguments]
    assert_refused(command("seqaudio", "train", "polyphonic_music", *given), *words)


def test_rolls_are_generated_from_both_heads(command: Command, run: Path, independent: Path, tmp_path: Path) -> None:
    for name, model in (("nade", run), ("sigmoid", independent)):
        out = ("--out", tmp_path / f"{name}.mid", "--bars", "3", "--tempo", "90")
        done = command("seqaudio", "generate", model, *out, "--count", "2", "--png")
        assert done.returncode == 0, done.stderr
        first, second = (read_midi(tmp_path / f"{name}-{number}.mid") for number in (1, 2))
        assert 0 < first.last_tick <= 12 * first.ticks_per_quarter
        assert first.pitch.tolist() != second.pitch.tolist()
        assert np.rint(60e6 / first.tempo).tolist() == [90]
        again = command("seqaudio", "generate", model, *out, "--count", "2", "--force")
        assert again.returncode == 0, again.stderr
        assert read_midi(tmp_path / f"{name}-1.mid").pitch.tolist() == first.pitch.tolist()


def test_a_roll_goes_on_from_a_primer(command: Command, run: Path, tmp_path: Path) -> None:
    primer = NoteSequence.from_columns([0, 480], [480, 960], [60, 64])
    write_midi(primer, tmp_path / "primer.mid")
    out = ("--out", tmp_path / "more.mid", "--primer", tmp_path / "primer.mid")
    done = command("seqaudio", "generate", run, *out, "--bars", "2")
    assert done.returncode == 0, done.stderr
    made = read_midi(tmp_path / "more.mid")
    begins = made.select(made.start_tick < 2 * made.ticks_per_quarter)
    assert sorted(zip(begins.start_tick.tolist(), begins.pitch.tolist(), strict=True)) == [
        (0, 60), (made.ticks_per_quarter, 64),
    ]  # fmt: skip
    long = NoteSequence.from_columns([0], [480 * 12], [60])
    write_midi(long, tmp_path / "primer.mid")
    assert_refused(command("seqaudio", "generate", run, *out, "--bars", "2", "--force"), "12 quarters", "--bars")
    write_midi(NoteSequence.from_columns([0, 480], [480, 960], [36, 38], is_drum=True), tmp_path / "primer.mid")
    assert_refused(command("seqaudio", "generate", run, *out, "--force"), "has no notes that roll can represent")


@pytest.mark.parametrize(
    "options",
    [("--metre", "3/4"), ("--wild",), ("--max-events", "9"), ("--primer-events", "3"), ("--program", "0"),
     ("--max-copied", "0")],
)  # fmt: skip
def test_options_of_tokens_are_refused_for_rolls(
    command: Command, run: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    done = command("seqaudio", "generate", run, "--out", tmp_path / "x.mid", *options)
    assert_refused(done, f"{options[0]} is for tokens", "leave it out")


def test_a_study_compares_cells_of_equal_size_and_reads_test_once_a_cell(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = load(recipes("study.py")["polyphonic_music"])
    config = study.Config(
        store=store, out=tmp_path / "cells", cells=("elman", "lstm"), parameters=40_000, epochs=2, device="cpu"
    )
    study.main(config)
    table = capsys.readouterr().out.splitlines()[-2:]
    for cell, line in zip(config.cells, table, strict=True):
        runs = sorted((config.out / f"cells_{store.name}_sigmoid_{cell}_1").iterdir())
        found = [results(run) for run in runs]
        assert [data["parameters"] for data in found] == [pytest.approx(40_000, rel=0.02)] * 2
        best = min(found, key=lambda data: data["valid"]["nats_per_later_frame"])
        assert [data["test"] is not None for data in found] == [data is best for data in found]
        assert f"{best['test']['nats_per_later_frame']:.5f}" in line
        assert best["tuning"]["learning_rates"].keys() == {"0.003", "0.01"}

    study.main(config)  # finished runs are kept
    assert capsys.readouterr().out.splitlines()[-2:] == table
    with pytest.raises(OptionError, match=r"elman has .* parameters at its nearest width"):
        study.main(dataclasses.replace(config, out=tmp_path / "tiny", parameters=700))
