"""Forecasts beyond the end of a series: the model's own, in its units, at times that go on."""

from __future__ import annotations

import csv
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import seqaudio
from conftest import Command
from in_process import run_in_process
from seqaudio.api import Forecaster
from seqaudio.batching import series_of, statistics_of
from seqaudio.cli.scripts import load, preparations, recipes
from seqaudio.errors import OptionError
from seqaudio.evaluation.forecasts.beyond import continue_series
from seqaudio.evaluation.forecasts.figure import Panel, forecasts_figure
from seqaudio.evaluation.forecasts.forecasts import predict
from seqaudio.evaluation.forecasts.splits import forecast_source
from seqaudio.models import ForecastModel
from seqaudio.prepare.series.times import Times, time_index
from seqaudio.run_folder import RunFolder
from seqaudio.store import Store

prepare = load(preparations()["series"])
train = load(recipes("train.py")["forecasting"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of two channels with a row a day, `store`."""
    folder = tmp_path_factory.mktemp("forecast")
    draw = np.random.default_rng(1)
    rows = [
        f"{date(2020, 1, 1) + timedelta(day):%d.%m.%Y},{np.sin(day / 4) + 0.05 * draw.standard_normal():.4f},"
        f"{50 + 9 * np.cos(day / 7):.4f}"
        for day in range(400)
    ]
    (folder / "days.csv").write_text("\n".join(["day,a,b", *rows]))
    prepare.main(
        prepare.Config(
            source=folder / "days.csv", time_column="day", time_format="%d.%m.%Y", period=25, out=folder / "store"
        )
    )
    return folder


def trained(folder: Path, name: str, **options: Any) -> ForecastModel:
    if not (folder / name).exists():
        given = {"hidden_size": 8, "epochs": 1, "device": "cpu", "batch_size": 16, "figures": False}
        train.main(train.Config(store=folder / "store", run=folder / name, **given | options))
    model = RunFolder(folder / name).model()
    assert isinstance(model, ForecastModel)
    return model


RUNS: dict[str, dict[str, Any]] = {
    "windows": {"window": 30, "horizon": 6},
    "recursive": {"window": 30, "horizon": 6, "recursive": True, "model": "window_mlp"},
    "carried": {"window": 0, "horizon": 3, "bptt": "truncated", "advance": 50, "batch_size": 2},
}


@pytest.mark.parametrize("name", RUNS)
def test_a_forecast_from_the_end_of_validation_is_the_evaluation_of_the_first_test_step(
    folder: Path, name: str
) -> None:
    store, options = Store(folder / "store"), RUNS[name]
    model = trained(folder, name, **options)
    horizon = options["horizon"]
    found = continue_series(model, store, options["window"], horizon, "valid")
    source = forecast_source(series_of(store, "test"), options["window"], horizon)
    mean, std = statistics_of(store)
    first = predict(model, source, horizon).values[0] * std + mean
    assert source.origins[0].tolist() == [0, len(found.series)]
    np.testing.assert_allclose(found.values, first, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["recursive", "carried"])
def test_more_steps_than_the_horizon_are_fed_back_step_by_step(folder: Path, name: str) -> None:
    store, options = Store(folder / "store"), RUNS[name]
    model = trained(folder, name, **options)
    found = continue_series(model, store, options["window"], 20)
    whole = series_of(store, "test")[0]
    mean, std = statistics_of(store)
    frames = torch.from_numpy(whole.since(whole.first - 1000).inputs)
    state, expected = model.initial_state(1), []
    with torch.no_grad():
        for frame in frames:
            values, state = model.step(frame[None], state)
        while len(expected) < 20:
            block = values[0] * torch.tensor(std) + torch.tensor(mean)
            expected += list(block.numpy())
            for frame in block.float():
                values, state = model.step(frame[None], state)
    np.testing.assert_allclose(found.values, np.array(expected)[:20], rtol=1e-4, atol=1e-4)


def test_the_command_writes_a_table_with_times_that_go_on_and_a_picture(
    folder: Path, tmp_path: Path, command: Command
) -> None:
    trained(folder, "recursive", **RUNS["recursive"])
    options = ("--steps", "24", "--csv", "out.csv", "--png", "out.pdf", "--intervals")
    done = command("seqaudio", "forecast", folder / "recursive", *options, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    header, *rows = csv.reader((tmp_path / "out.csv").read_text().splitlines())
    assert header[:3] == ["time", "a", "a_low_80"]
    assert [row[0] for row in rows] == [f"{date(2020, 1, 1) + timedelta(day):%d.%m.%Y}" for day in range(400, 424)]
    said = continue_series(trained(folder, "recursive"), Store(folder / "store"), 30, 24).values
    np.testing.assert_allclose([[float(row[header.index(name)]) for name in "ab"] for row in rows], said, rtol=1e-5)
    assert all(float(row[2]) < float(row[1]) < float(row[3]) for row in rows)
    assert (tmp_path / "out.pdf").read_bytes().startswith(b"%PDF")
    printed = command("seqaudio", "forecast", folder / "recursive", "--steps", "2", "--until", "train")
    assert [line.split(",")[0] for line in printed.stdout.splitlines()] == ["time", "07.10.2020", "08.10.2020"]


@pytest.mark.parametrize("name", RUNS)
def test_python_forecasts_an_array_as_the_store_is_forecast(folder: Path, name: str) -> None:
    trained(folder, name, **RUNS[name])
    forecaster = seqaudio.load(folder / name, Forecaster)
    steps = 9 if name == "recursive" else forecaster.horizon
    expected = forecaster.continue_store(steps)
    past = expected.series.inputs[-(forecaster.window or 1080) :]
    found = forecaster.forecast(past, steps)
    assert (forecaster.inputs, forecaster.targets, found.shape) == (("a", "b"), ("a", "b"), (steps, 2))
    np.testing.assert_allclose(found, expected.values, rtol=1e-4, atol=1e-4)
    assert forecaster.forecast(past.tolist()).shape == (forecaster.horizon, 2)
    for series, more, words in [
        (past[:, :1], {}, r"shape \[\d+, 1\], expected \[T, 2\] of a, b"),
        (past * np.nan, {}, "fill its gaps"),
        (past, {"steps": 0}, "steps 0, expected 1 to"),
        (past[:0], {}, "a series of 0 steps"),
    ]:
        with pytest.raises(OptionError, match=words):
            forecaster.forecast(series, **more)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--steps", "0"), "--steps 0, expected 1"),
        (("--csv", "out.txt"), "expected a name that ends in .csv"),
        (("--png", "out.gif"), ".png, .pdf or .svg"),
        (("--series", "x"), "no series 'x'"),
    ],
)
def test_what_cannot_be_forecast_is_refused(folder: Path, options: tuple[str, ...], message: str) -> None:
    trained(folder, "windows", **RUNS["windows"])
    done = run_in_process(None, ["forecast", str(folder / "windows"), *options], folder)
    assert done.returncode == 2
    assert message in done.stderr


@pytest.mark.parametrize(
    ("texts", "time_format", "following"),
    [
        (["2016-07-01 00:00:00", "2016-07-01 01:00:00"], "", "2016-07-01 02:00:00"),
        (["2016-07-01T00:00", "2016-07-01T00:15"], "", "2016-07-01T00:30"),
        (["2016-12-30", "2016-12-31"], "", "2017-01-01"),
        (["1949-11", "1949-12"], "", "1950-01"),
        (["1949-11-15", "1949-12-15"], "", "1950-01-15"),
        (["2015-01-01", "2016-01-01"], "", "2017-01-01"),
        (["1.2.2020", "2.2.2020"], "%d.%m.%Y", "03.02.2020"),
        (["1749", "1750"], "", "1751"),
        (["0.5", "0.75"], "", "1"),
        (["1600000000", "1600003600"], "", "1600007200"),
    ],
)
def test_times_go_on_as_they_were_written(texts: list[str], time_format: str, following: str) -> None:
    index = time_index(texts, "table", time_format)
    settings = {"start": index.start, "interval": index.interval, "time_format": time_format}
    times = Times.of(settings)
    assert times is not None
    assert times.text(2) == following
    assert times.text(1) == (texts[1] if not time_format else "02.02.2020")


@pytest.mark.parametrize(
    "settings", [{}, {"start": "", "interval": "1 step"}, {"start": "1.2.20", "interval": "1 day"}]
)
def test_a_series_without_readable_times_counts_its_steps(settings: dict[str, str]) -> None:
    assert Times.of(settings) is None


def test_the_axes_of_forecasts_have_the_times_of_the_series() -> None:
    steps = np.arange(4)
    panel = Panel("a", steps, steps * 1.0, steps + 4, steps * 1.0, steps * 1.0, np.ones((1, 4)), first=31)
    times = Times.of({"start": "2020-01-01", "interval": "1 day"})
    (axes,) = forecasts_figure([panel], (0.8,), times=times).axes
    assert axes.get_xlabel() == "time"
    assert axes.xaxis.get_major_formatter()(0, None) == "2020-02-01"
    (axes,) = forecasts_figure([panel], (0.8,)).axes
    assert axes.get_xlabel() == "step of the split"
