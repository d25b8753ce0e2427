"""Baselines against their definitions, intervals against counting, figures that can be read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from legibility import assert_legible, words
from seqaudio.batching import Series, SeriesChannels
from seqaudio.cli.scripts import load, recipes
from seqaudio.errors import OptionError
from seqaudio.evaluation.forecasts.baselines import Scaled, fit_linear, linear_baselines, simple_baselines
from seqaudio.evaluation.forecasts.figure import Panel, forecasts_figure
from seqaudio.evaluation.forecasts.forecasts import Forecasts, Intervals

window = load(recipes("window_figure.py")["forecasting"])

MEAN, STD = np.array([2.0, -1.0]), np.array([3.0, 0.5])
ALL = SeriesChannels(("a", "b"), (0, 1), (1, 0), 4, True)


def series(values: np.ndarray, first: int = 0) -> Series:
    frames = values.astype(np.float32)
    return Series("s", frames, frames[:, [1, 0]].copy(), first)


def walk(steps: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((steps, 2)).cumsum(axis=0)


def test_simple_baselines_repeat_the_last_value_and_the_last_season() -> None:
    values = walk(20)
    split = Scaled.of([series(values, first=9)], ALL, (MEAN, STD), window=3, horizon=6)
    found = simple_baselines(split)
    targets = ((values - MEAN) / STD)[:, [1, 0]]
    for row, origin in enumerate(range(9, 15)):
        np.testing.assert_allclose(found["persistence"].values[row], np.tile(targets[origin - 1], (6, 1)), rtol=1e-5)
        seasons = [origin - 4, origin - 3, origin - 2, origin - 1, origin - 4, origin - 3]
        np.testing.assert_allclose(found["seasonal naive"].values[row], targets[seasons], rtol=1e-5)
        np.testing.assert_allclose(found["persistence"].truth[row], targets[origin : origin + 6], rtol=1e-5)
    assert not found["training mean"].values.any()


def test_persistence_takes_the_last_value_that_was_known() -> None:
    one = series(walk(10))
    one.targets[4:6] = np.nan
    split = Scaled.of([one], SeriesChannels(("a", "b"), (0, 1), (1, 0), 0, True), (MEAN, STD), 6, 1)
    first = simple_baselines(split)["persistence"].values[0, 0]
    np.testing.assert_allclose(first, (one.targets[3] - MEAN[[1, 0]]) / STD[[1, 0]], rtol=1e-5)
    assert "seasonal naive" not in simple_baselines(split)


def recursion(steps: int) -> np.ndarray:
    """Two channels that a linear map of two steps forecasts without an error."""
    x = np.zeros((steps, 2))
    x[:2] = [[1.0, 0.3], [0.4, -0.8]]
    for t in range(2, steps):
        x[t] = 1.6 * x[t - 1] - 0.999 * x[t - 2] + 0.01
    return x


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("level", ["none", "last", "mean"])
def test_a_linear_rule_is_found_in_closed_form(apart: bool, level: str) -> None:
    channels = SeriesChannels(("a", "b"), (0, 1), (1, 0), 0, True)
    unit = (np.zeros(2), np.ones(2))
    train = Scaled.of([series(recursion(300))], channels, unit, 4, 3)
    test = Scaled.of([series(recursion(380), first=300)], channels, unit, 4, 3)
    fitted = fit_linear(train, test, 4, level, apart, strengths=(1e-9,))  # type: ignore[arg-type]
    assert fitted(test).metrics()["mse"] < 1e-8


def test_ridge_equals_the_normal_equations_and_validation_chooses_its_strength() -> None:
    channels = SeriesChannels(("x",), (0,), (0,), 0, True)
    values = walk(60)[:, :1]
    one = Series("s", values.astype(np.float32), values.astype(np.float32), 0)
    train = Scaled.of([one], channels, (np.zeros(1), np.ones(1)), 5, 2)
    fitted = fit_linear(train, train, 5, "none", False, strengths=(0.7,))
    wide = np.asarray(one.inputs[:, 0], dtype=np.float64)
    rows = np.stack([np.append(wide[t - 5 : t], 1.0) for t in range(5, 59)])
    wanted = np.stack([wide[t : t + 2] for t in range(5, 59)])
    expected = np.linalg.solve(rows.T @ rows + 0.7 * np.eye(6), rows.T @ wanted)
    np.testing.assert_allclose(fitted.weights, expected, rtol=1e-6)
    assert fit_linear(train, train, 5, "none", False, strengths=(1e6, 1e-6, 1e3)).strength == 1e-6


def test_linear_maps_go_by_what_the_channels_allow() -> None:
    seen_only = SeriesChannels(("a", "b"), (0,), (1,), 0, True)
    one = Series("s", walk(50)[:, :1].astype(np.float32), walk(50)[:, 1:].astype(np.float32), 0)
    for channels, data, names in (
        (ALL, series(walk(50)), {"linear, channels apart", "linear"}),
        (seen_only, one, {"linear"}),
    ):
        split = Scaled.of([data], channels, (MEAN, STD), 4, 2)
        assert set(linear_baselines(split, split, 4)) == names


def test_errors_leave_out_what_is_unknown() -> None:
    truth = np.array([[[1.0], [np.nan]], [[2.0], [5.0]]])
    said = Forecasts(np.zeros_like(truth), truth)
    assert said.metrics() == {"mse": 10.0, "mae": 8 / 3, "mse_first": 2.5, "mse_last": 25.0, "count": 3}
    assert said.by_step() == [2.5, 25.0]
    assert said.by_channel() == [10.0]


def test_an_interval_is_the_order_statistic_of_split_conformal_prediction() -> None:
    errors = np.random.default_rng(1).permutation(np.arange(1.0, 20.0))[:, None, None] * [-1.0]
    intervals = Intervals.from_errors(errors, (0.8, 0.95))
    assert intervals.widths.ravel().tolist() == [16.0, 19.0]  # ceil(20 * 0.8), ceil(20 * 0.95)
    assert np.isinf(Intervals.from_errors(errors, (0.96,)).widths).all(), "19 values cannot vouch for 96 %"
    few = Intervals.from_errors(errors, (0.8, 0.96)).coverage(Forecasts(errors, np.zeros_like(errors)))
    assert few == {"coverage_80": 16 / 19, "width_80": 32.0}
    with_gap = np.concatenate([errors, np.full((5, 1, 1), np.nan)])
    assert Intervals.from_errors(with_gap, (0.8, 0.95)).widths.tolist() == intervals.widths.tolist()
    with pytest.raises(OptionError, match="above 0 and below 1"):
        Intervals.from_errors(errors, (95.0,))


def test_intervals_hold_what_they_promise_where_errors_are_exchangeable() -> None:
    draw = np.random.default_rng(1)
    scale = np.array([1.0, 5.0])[None, :, None]  # errors grow with the step: each has its own width
    intervals = Intervals.from_errors(draw.standard_t(3, (4000, 2, 1)) * scale)
    truth = draw.standard_t(3, (4000, 2, 1)) * scale
    found = intervals.coverage(Forecasts(np.zeros_like(truth), truth))
    assert found["coverage_80"] == pytest.approx(0.80, abs=0.02)
    assert found["coverage_95"] == pytest.approx(0.95, abs=0.01)
    narrow, wide = intervals.widths[0, :, 0]
    assert wide / narrow == pytest.approx(5, rel=0.1)


def test_a_figure_of_forecasts_can_be_read() -> None:
    steps = np.arange(30)
    panels = [
        Panel(
            name, steps[:20], np.sin(steps[:20]), steps[20:], np.sin(steps[20:]), np.cos(steps[20:]), np.ones((2, 10))
        )
        for name in ("OT", "a channel with a very long name", "x")
    ]
    figure = forecasts_figure(panels, (0.8, 0.95), "run")
    assert_legible(figure)
    assert {"forecast", "observed", "80 % interval", "95 % interval", "step of the split"} <= set(words(figure))


def study(failing: int) -> dict[str, object]:
    windows = (10, 25, 40, 49, 50, 60, 80, 120, 200, 300)
    rows = [
        {
            "window": window,
            "error": 1.0 if window < 50 else 0.05,
            "parameters": 65 * window,
            "examples": None if window < failing else 3 * window,
            "all_examples": 1339,
        }
        for window in windows
    ]
    recurrent = {"window": 0, "error": 0.04, "parameters": 3489, "examples": 60, "all_examples": 1339}
    default = recurrent | {"error": 1.01, "examples": None}
    study = {"delay": 50, "noise": 0.03, "chrono": 300.0, "windows": rows}
    return study | {"recurrent": recurrent, "recurrent_default": default}


@pytest.mark.parametrize("language", list(window.WORDS))
@pytest.mark.parametrize("failing", [0, 50])
def test_the_figure_of_the_study_can_be_read_in_every_language(language: str, failing: int) -> None:
    figure = window.window_study_figure(study(failing), window.words_of(language))
    assert_legible(figure)
    seen = set(words(figure))
    assert {window.WORDS[language][name] for name in ("window", "parameters", "mlp", "recurrent_default")} <= seen
    assert window.WORDS[language]["recurrent"].format(steps=300) in seen
    assert (window.WORDS[language]["never"].format(count="1,339") in seen) == bool(failing)


@pytest.mark.parametrize("language", list(window.WORDS))
def test_the_picture_of_the_net_can_be_read(language: str, tmp_path: Path) -> None:
    assert_legible(window.window_net_figure(window.words_of(language)))
    for name in ("a.png", "b.png"):
        window.draw_window_net(tmp_path / name, language)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_languages_have_the_same_words_and_others_are_refused() -> None:
    assert len({frozenset(translated) for translated in window.WORDS.values()}) == 1
    with pytest.raises(OptionError, match="language 'xx', expected one of en, tr"):
        window.words_of("xx")


def test_levels_of_the_linear_map_are_those_of_the_nets() -> None:
    from seqaudio.evaluation.forecasts.baselines import _window_statistics
    from seqaudio.models import WindowMLP

    frames = torch.randn(7, 3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for level in ("last", "mean", "standard"):
        model = WindowMLP(2, 2, 1, 7, level, targets=[0, 1]).double()
        for ours, theirs in zip(
            _window_statistics(frames.transpose(0, 1).numpy(), level), model._window_statistics(frames), strict=True
        ):
            np.testing.assert_allclose(np.broadcast_to(ours[:, 0], (3, 2)), theirs.numpy())
