"""How recipes begin an evaluation and end a training; memory tasks, which have no store, go the same way."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from in_process import run_in_process
from made_up import frame_store, token_store
from seqaudio import extensions
from seqaudio.bptt import Trained
from seqaudio.cli.scripts import load, recipes
from seqaudio.errors import RunError, StoreError
from seqaudio.evaluation.finishing import (
    begun_run,
    describe_baselines,
    few_steps,
    finish,
    finished_run,
    lost_to,
    open_run,
    still_improving,
)
from seqaudio.run_folder import RunFolder
from seqaudio.tensors import load_tensors

TINY: dict[str, Any] = {"length": 8, "hidden_size": 6, "steps": 20, "check_every": 10, "batch_size": 4, "device": "cpu"}


@pytest.fixture(scope="module")
def train() -> ModuleType:
    return load(recipes("train.py")["memory_tasks"])


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of music and, beside it, its store."""
    folder = tmp_path_factory.mktemp("music")
    recipe, store = load(recipes("train.py")["music_generation"]), token_store(folder)
    options = {"epochs": 1, "hidden_size": 6, "batch_size": 4, "advance": 8, "device": "cpu"}
    recipe.main(recipe.Config(store=store.path, run=folder / "run", **options))
    return folder / "run"


def test_a_run_is_opened_with_its_store(music: Path, tmp_path: Path) -> None:
    folder, store = open_run(music, "music_generation", "tokens")
    assert (folder.path, store.path) == (music, music.parent / "tokens")
    moved = shutil.copytree(store.path, tmp_path / "moved")
    assert open_run(music, "music_generation", "tokens", moved, exact=True)[1].path == moved
    other = token_store(tmp_path / "other", longest=12).path
    assert open_run(music, "music_generation", "tokens", other)[1].path == other
    with pytest.raises(RunError, match="is not the store that"):
        open_run(music, "music_generation", "tokens", other, exact=True)
    with pytest.raises(StoreError, match="music generation needs 'tokens'"):
        open_run(music, "music_generation", "tokens", frame_store(tmp_path).path)
    with pytest.raises(RunError, match="a run of 'music_generation', this recipe needs one of 'forecasting'"):
        open_run(music, "forecasting", "series")
    with pytest.raises(RunError, match="no such folder"):
        open_run(tmp_path / "none", "music_generation", "tokens")


def test_a_run_that_is_not_finished_is_not_evaluated(music: Path, tmp_path: Path) -> None:
    run = shutil.copytree(music, tmp_path / "run")
    (run / "results.json").unlink()
    with pytest.raises(RunError, match="finish its training"):
        finished_run(run, "music_generation")


def test_a_study_goes_on_with_its_own_runs_alone(train: ModuleType, tmp_path: Path) -> None:
    options = train.Config(run=tmp_path / "run", **TINY)
    assert not begun_run(options.run, options)
    train.main(options)
    assert begun_run(options.run, options)
    with pytest.raises(RunError, match=r"learning_rate, steps; .*choose another --out"):
        begun_run(options.run, train.Config(run=options.run, **TINY | {"steps": 30, "learning_rate": 0.5}))


def test_a_training_ends_with_results_curves_and_what_comes_next(
    music: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = shutil.copytree(music, tmp_path / "run")
    shutil.rmtree(run / "figures")
    trained = Trained(RunFolder(run), {"accuracy": 0.5, "count": 8}, parameters=1234, seconds=2.6)
    baselines = {"guess": {"accuracy": 0.25, "count": 8}}
    finish(trained, reached="half", metric="accuracy", baselines=baselines, command="make it", more={"by_step": [1]})
    assert capsys.readouterr().out == (
        "validation half (guess 25.00 %), 1,234 parameters, 3 s; 1 epoch made 21 steps only, as there is little to "
        f"train on: try --epochs 15 or a smaller --batch-size, in another --run; "
        f"next: seqaudio evaluate {run} --split test\n"
    )
    data = json.loads((run / "results.json").read_text())
    assert data["baselines"] == {"guess": {"valid": {"accuracy": 0.25, "count": 8}}}
    assert (data["valid"], data["test"], data["test_reads"]) == (trained.best, None, 0)
    assert (data["recipe"], data["seed"], data["command"], data["by_step"]) == ("music_generation", 1, "make it", [1])
    assert (run / "figures" / "curves.png").stat().st_size > 5_000
    finish(trained, reached="half", metric="accuracy", baselines={}, valid={"accuracy": 0.75}, curves=False)
    assert json.loads((run / "results.json").read_text())["valid"] == {"accuracy": 0.75}


@pytest.mark.parametrize(
    ("metric", "own", "other", "lost"),
    [("accuracy", 0.5, 0.6, True), ("accuracy", 0.6, 0.6, True), ("accuracy", 1.0, 1.0, False),
     ("accuracy", 0.7, 0.6, False), ("mse", 0.7, 0.6, True), ("mse", 0.5, 0.6, False),
     ("nats_per_event", 2.0, 1.9, True)],
)  # fmt: skip
def test_a_net_that_loses_to_a_baseline_is_told(metric: str, own: float, other: float, lost: bool) -> None:
    worst = 0.0 if metric == "accuracy" else 9.0
    words = lost_to({metric: own}, {"a guess": {metric: worst}, "a map": {metric: other}, "none": {}}, metric)
    assert words.startswith("; the net does not beat a map: ") == lost
    assert bool(words) == lost


@pytest.mark.parametrize(
    ("steps", "best", "told"),
    [
        (24, 24, "try --epochs 300 or"),
        (299, 23, "try --epochs 25 or"),
        (300, 24, ""),
        (24, 9, "try --epochs 300 or"),
        (240, 9, ""),
        (0, 24, ""),
    ],
)
def test_few_steps_of_a_small_store_are_told_while_the_net_still_learns(steps: int, best: int, told: str) -> None:
    epochs = [{"step": steps * number // 24, "best": number <= best} for number in range(1, 25)]
    words = few_steps(epochs)
    assert told in words
    assert bool(words) == bool(told)


@pytest.mark.parametrize(
    ("best", "settings", "told"),
    [
        (24, {}, "still improving: --epochs 48,"),
        (24, {"minutes": 1.5}, "still improving: --minutes 3,"),
        (23, {}, ""),
    ],
)
def test_a_net_that_still_improves_is_told(best: int, settings: dict[str, float], told: str) -> None:
    epochs = [{"best": number <= best, "valid": {"accuracy": 0.9}} for number in range(1, 25)]
    words = still_improving(epochs, settings)
    assert told in words
    assert bool(words) == bool(told)
    assert still_improving([epochs[0]], settings) == ""
    assert still_improving([*epochs[1:], {"best": True, "valid": {"accuracy": 1.0}}], settings) == ""


def test_what_comes_next_is_a_command_that_works(
    music: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = shutil.copytree(music, tmp_path / "run")
    cells = tmp_path / "my cells.py"
    cells.write_text("registered = 1\n")
    monkeypatch.setattr(extensions, "_used", {})
    extensions.use(cells)
    trained = Trained(RunFolder(run), {"accuracy": 0.5}, parameters=1, seconds=1.0)
    finish(trained, reached="half", metric="accuracy", baselines={}, curves=False)
    assert capsys.readouterr().out.endswith(f"next: seqaudio evaluate {run} --split test --use '{cells}'\n")
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps(config | {"recipe": "speakers"}))
    trained = Trained(RunFolder(run), {"accuracy": 0.5}, parameters=1, seconds=1.0)
    finish(trained, reached="half", metric="accuracy", baselines={}, curves=False)
    assert capsys.readouterr().out.endswith(f"next: seqaudio info {run}\n")


def test_a_run_of_a_recipe_of_ones_own_is_named_by_evaluate(music: Path, tmp_path: Path) -> None:
    run = shutil.copytree(music, tmp_path / "run")
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps(config | {"recipe": "speakers"}))
    done = run_in_process(None, ["evaluate", str(run)], tmp_path)
    assert done.returncode == 2
    assert "'speakers' that does not come with seqaudio" in done.stderr


def test_baselines_are_told_in_the_unit_of_the_metric() -> None:
    assert describe_baselines({"a": {"mse": 0.12345}, "b": {"mse": 2.0}}, "mse") == "a 0.1235, b 2.0000"
    assert describe_baselines({"a": {"accuracy_clean": 0.5}}, "accuracy_clean") == "a 50.00 %"
    assert describe_baselines({"kneser-ney": {"nats": 1.5, "order": 7}}, "nats") == "kneser-ney of order 7 1.5000"


# --- memory tasks ---


def test_a_memory_task_has_the_options_of_every_training(train: ModuleType, tmp_path: Path) -> None:
    options = TINY | {"bptt": "truncated", "advance": 3, "average": 0.5, "accumulate": 2, "schedule": "constant"}
    train.main(train.Config(run=tmp_path / "whole", **options))
    train.main(train.Config(run=tmp_path / "cut", **options))
    assert len((tmp_path / "cut" / "metrics.jsonl").read_text().splitlines()) == 2
    for file in sorted((tmp_path / "cut" / "resume").iterdir())[2:]:
        file.unlink()
    (tmp_path / "cut" / "results.json").unlink()
    train.main(train.Config(run=tmp_path / "cut", resume=True, **options))
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "cut")]
    assert weights[0] == weights[1]
    lines = [json.loads(line) for line in (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [10, 20], "of 15 pairs of windows 10 hold a target"


def test_a_gradient_that_does_not_reach_the_marks_learns_nothing_of_them(train: ModuleType, tmp_path: Path) -> None:
    options = TINY | {"steps": 300, "check_every": 100, "batch_size": 20, "learning_rate": 2e-2}
    reached = {}
    for name, extra in (("full", {}), ("truncated", {"bptt": "truncated", "advance": 2})):
        train.main(train.Config(run=tmp_path / name, **options, **extra))
        data = json.loads((tmp_path / name / "results.json").read_text())
        reached[name] = data["valid"]["mse"] / data["baselines"]["constant guess"]["valid"]["mse"]
    assert reached["full"] < 0.3 < reached["truncated"]


def test_what_was_learnt_over_one_length_is_the_start_for_another(train: ModuleType, tmp_path: Path) -> None:
    train.main(train.Config(run=tmp_path / "short", **TINY))
    longer = TINY | {"length": 16, "learning_rate": 1e-12, "steps": 10}
    train.main(train.Config(run=tmp_path / "long", start_from=tmp_path / "short", **longer))
    short, long = (load_tensors(tmp_path / name / "model.safetensors") for name in ("short", "long"))
    for name, value in short.items():
        assert (value - long[name]).abs().max() < 1e-9
    with pytest.raises(RunError, match="does not suit"):
        copy = TINY | {"task": "copy", "start_from": tmp_path / "short"}
        train.main(train.Config(run=tmp_path / "other", **copy))
