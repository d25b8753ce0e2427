"""The forecasting recipe from a series to its test figures, and what a window cannot see."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from conftest import Command
from seqaudio.batching import series_of
from seqaudio.cli.scripts import load, preparations, recipes
from seqaudio.errors import OptionError, RunError, StoreError
from seqaudio.evaluation.forecasts.forecasts import predict
from seqaudio.evaluation.forecasts.splits import forecast_source
from seqaudio.models import ForecastModel
from seqaudio.run_folder import RunFolder
from seqaudio.store import Store

prepare = load(preparations()["series"])
train, evaluate, window_study = (
    load(recipes(file)["forecasting"]) for file in ("train.py", "evaluate.py", "window_study.py")
)


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """The nets here are tiny: a second thread would only cost the time to wake it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("forecasting")


@pytest.fixture(scope="module")
def echo(folder: Path) -> Path:
    """A dependence of 50 steps and no other."""
    prepare.main(prepare.Config(series="echo", delay=50, length=30_000, percent=(60, 20, 20), out=folder / "echo"))
    return folder / "echo"


@pytest.fixture(scope="module")
def sines(folder: Path) -> Path:
    """Two channels, one of them with gaps."""
    time = np.arange(900)
    values = np.stack([np.sin(time / 4), 50 + 9 * np.cos(time / 7)], axis=1)
    values += 0.05 * np.random.default_rng(1).standard_normal(values.shape)
    rows = [f"{a:.4f},{'' if t % 97 == 5 else f'{b:.4f}'}" for t, (a, b) in enumerate(values)]
    (folder / "sines.csv").write_text("\n".join(["a,b", *rows]))
    prepare.main(prepare.Config(source=folder / "sines.csv", period=25, out=folder / "sines"))
    return folder / "sines"


def results(run: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((run / "results.json").read_text())
    return data


def trained(store: Path, run: Path, **options: Any) -> dict[str, Any]:
    train.main(train.Config(**{"store": store, "run": run, "figures": False, "device": "cpu"} | options))
    return results(run)


def share_of_guess(data: dict[str, Any]) -> float:
    share: float = data["valid"]["mse"] / data["baselines"]["training mean"]["valid"]["mse"]
    return share


MLP = {
    "model": "window_mlp",
    "horizon": 1,
    "hidden_size": 24,
    "batch_size": 32,
    "epochs": 5,
    "passes": 5,
    "learning_rate": 3e-3,
}


def test_below_the_dependence_a_window_guesses_and_above_it_the_net_knows(echo: Path, folder: Path) -> None:
    short = {n: share_of_guess(trained(echo, folder / f"mlp_{n}", window=n, **MLP)) for n in (20, 49)}
    long = {n: share_of_guess(trained(echo, folder / f"mlp_{n}", window=n, **MLP)) for n in (50, 60)}
    recurrent = share_of_guess(
        trained(
            echo, folder / "gru", window=0, horizon=1, hidden_size=12, initialisation="chrono=50", epochs=8,
            bptt="truncated", advance=100, batch_size=8, learning_rate=1e-2,
        )
    )  # fmt: skip
    assert all(0.9 < error < 1.3 for error in short.values()), short
    assert all(error < 0.2 for error in long.values()), long
    assert recurrent < 0.1
    assert results(folder / "gru")["parameters"] < results(folder / "mlp_50")["parameters"] / 3


@pytest.fixture(scope="module")
def gru(sines: Path, folder: Path) -> Path:
    trained(
        sines, folder / "sines_gru", window=30, horizon=6, hidden_size=12, epochs=6, batch_size=16,
        learning_rate=1e-2, figures=True,
    )  # fmt: skip
    return folder / "sines_gru"


def test_a_recurrent_net_beats_persistence_and_its_test_split_is_read_once_told(
    gru: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert results(gru)["test"] is None
    evaluate.main(evaluate.Config(run=gru, split="test"))
    data = results(gru)
    assert data["test_reads"] == 1
    assert data["test"]["mse"] < 0.5 * data["baselines"]["persistence"]["test"]["mse"]
    assert {"training mean", "persistence", "seasonal naive", "linear", "linear, channels apart"} == set(
        data["baselines"]
    )
    assert 0.6 < data["test"]["coverage_80"] < data["test"]["coverage_95"] <= 1
    assert [len(steps) for steps in data["mse_by_step"]["test"].values()] == 6 * [6]
    printed = capsys.readouterr().out
    assert f"test mse {data['test']['mse']:.4f}" in printed
    assert "mse by channel: a " in printed
    for name in ("curves", "forecasts_valid", "forecasts_test"):
        assert (gru / "figures" / f"{name}.png").stat().st_size > 10_000


def test_counts_are_the_windows_of_the_protocol(gru: Path) -> None:
    """Stride 1, each split from its first step on, no batch dropped; gaps in the targets do not count."""
    test = Store(gru.parent / "sines")["test"].sequence(0)
    known = ~np.isnan(test)
    windows = range(len(test) - 6 + 1)
    assert results(gru)["test"]["count"] == sum(int(known[t : t + 6].sum()) for t in windows)


def test_a_loader_that_drops_its_last_batch_scores_the_first_windows(
    gru: Path, sines: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RunFolder(gru)
    model = run.model()
    assert isinstance(model, ForecastModel)
    window, horizon = run.settings["window"], run.settings["horizon"]
    every = predict(model, forecast_source(series_of(Store(sines), "valid"), window, horizon), horizon)
    windows = len(every.values)
    assert windows % 32
    kept = windows // 32 * 32
    errors = every.errors[:kept][~np.isnan(every.truth[:kept])]

    evaluate.main(evaluate.Config(run=gru, drop_last=32, json=True, figures=False))
    data = json.loads(capsys.readouterr().out)
    assert data["metrics"]["mse"] == pytest.approx(every.metrics()["mse"])
    assert data["metrics"]["mse_in_batches_of_32"] == pytest.approx(np.square(errors).mean())
    assert data["metrics"]["mae_in_batches_of_32"] == pytest.approx(np.abs(errors).mean())
    assert all("mse_in_batches_of_32" in found for found in data["baselines"].values())
    evaluate.main(evaluate.Config(run=gru, drop_last=32, figures=False))
    assert f"in whole batches of 32, the first {kept:,} of {windows:,} windows: mse " in capsys.readouterr().out
    with pytest.raises(OptionError, match="not one batch is whole"):
        evaluate.main(evaluate.Config(run=gru, drop_last=windows + 1))


def test_a_run_forecasts_in_the_units_of_the_series_without_its_store(gru: Path, sines: Path) -> None:
    model = RunFolder(gru).model()
    assert isinstance(model, ForecastModel)
    frames = torch.from_numpy(np.nan_to_num(Store(sines)["valid"].sequence(0)[-30:], nan=50.0).copy())[:, None]
    said = model.forecast(frames, 6) * model.target_std + model.target_mean
    assert said.shape == (1, 6, 2)
    assert said[..., 0].abs().max() < 2
    assert 35 < said[..., 1].min() < said[..., 1].max() < 65


def test_one_step_fed_back_is_judged_on_all_steps(sines: Path, folder: Path) -> None:
    data = trained(
        sines, folder / "recursive", model="window_mlp", window=30, horizon=6, recursive=True, apart=True,
        hidden_size=24, epochs=3, learning_rate=3e-3,
    )  # fmt: skip
    assert RunFolder(folder / "recursive").config["model"]["arguments"]["horizon"] == 1
    assert len(data["mse_by_step"]["valid"]["model"]) == 6
    assert data["valid"]["mse"] < data["baselines"]["persistence"]["valid"]["mse"]


def test_an_interrupted_training_ends_as_one_that_was_not(echo: Path, folder: Path) -> None:
    options = {
        "window": 0, "horizon": 1, "hidden_size": 4, "epochs": 3, "bptt": "truncated", "advance": 60,
        "batch_size": 16, "limit": 6_000,
    }  # fmt: skip
    trained(echo, folder / "whole", **options)
    trained(echo, folder / "cut", **options)
    for file in sorted((folder / "cut" / "resume").iterdir())[2:]:
        file.unlink()
    (folder / "cut" / "results.json").unlink()
    trained(echo, folder / "cut", resume=True, **options)
    weights = [(folder / name / "model.safetensors").read_bytes() for name in ("whole", "cut")]
    assert weights[0] == weights[1]


def test_options_that_do_not_go_together_are_refused(echo: Path, sines: Path, folder: Path) -> None:
    refused: list[tuple[str, dict[str, Any]]] = [
        ("--cell lstm belongs to --model recurrent", {"model": "window_mlp", "cell": "lstm"}),
        ("--bptt truncated with --window 96", {"bptt": "truncated"}),
        ("--thin 2 with --window 0", {"window": 0, "horizon": 1, "thin": 2}),
        ("needs a window that holds the targets", {"level": "last", "horizon": 1}),
        ("train it with --horizon 5", {"recursive": True, "horizon": 5}),
        ("no other memory", {"model": "window_mlp", "window": 0, "horizon": 1}),
        ("no window of 90,000 steps", {"window": 90_000, "horizon": 1}),
    ]
    for words, options in refused:
        with pytest.raises(OptionError) as caught:
            trained(echo, folder / "refused", **options)
        assert words.replace(",", "") in str(caught.value).replace(",", "")
    assert not (folder / "refused").exists()


def test_runs_and_stores_that_do_not_go_together_are_refused(gru: Path, echo: Path, folder: Path) -> None:
    with pytest.raises(RunError, match="is not the store that"):
        evaluate.main(evaluate.Config(run=gru, store=echo))
    with pytest.raises(StoreError, match="forecasting needs 'series'"):
        words = folder / "words"
        (folder / "text.txt").write_text("abc " * 200)
        text_file = load(preparations()["text_file"])
        text_file.main(text_file.Config(source=folder / "text.txt", out=words))
        trained(words, folder / "refused")
    other = load(recipes("evaluate.py")["memory_tasks"])
    with pytest.raises(RunError, match="a run of 'forecasting', this recipe needs one of 'memory_tasks'"):
        other.main(other.Config(run=gru))


def test_info_tells_the_channels(command: Command, sines: Path) -> None:
    done = command("seqaudio", "info", sines)
    assert done.returncode == 0, done.stderr
    assert "store of series" in done.stdout
    assert "channels: 2" in done.stdout


def test_the_study_draws_both_problems_and_goes_on_where_it_stopped(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options: dict[str, Any] = {
        "out": folder / "study", "delay": 8, "length": 12_000, "windows": (4, 8, 40), "shares": (4, 1), "updates": 120,
        "chrono": 48.0,
    }  # fmt: skip
    window_study.main(window_study.Config(**options))
    study = json.loads((folder / "study" / "window_study.json").read_text())
    errors = {row["window"]: row["error"] for row in study["windows"]}
    assert errors[4] > 0.9
    assert errors[8] < 0.2
    needed = {row["window"]: row["examples"] for row in study["windows"]}
    assert needed[4] is None
    assert needed[8] == pytest.approx(study["windows"][0]["all_examples"] / 4, rel=0.05)
    assert needed[40] > needed[8]
    assert study["recurrent"]["error"] < 0.2
    assert study["recurrent"]["parameters"] == study["recurrent_default"]["parameters"]
    before = {path: path.stat().st_mtime_ns for path in (folder / "study" / "runs").rglob("*") if path.is_file()}
    capsys.readouterr()
    window_study.main(window_study.Config(**options, language="tr"))
    assert before == {path: path.stat().st_mtime_ns for path in before}, "nothing was trained again"
    assert (folder / "study" / "window_study_tr.png").is_file()
    assert "over 8" in capsys.readouterr().out
    with pytest.raises(RunError, match="was made with"):
        window_study.main(window_study.Config(**options | {"noise": 0.5}))
