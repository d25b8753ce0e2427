"""The gradient study: slopes equal theory, clipping cures an explosion, lengths are tabulated, a study goes on."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from conftest import ROOT
from legibility import assert_legible
from seqaudio.cells import build_cell
from seqaudio.cli.scripts import load, recipes
from seqaudio.errors import OptionError, RunError
from seqaudio.probing import LinearCell, probe, turning_cell, unit_reach

figures = load(recipes("figures.py")["gradient_flow"])

PUBLISHED = ROOT / "docs" / "results" / "studies" / "gradient_flow_adding.json"


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """The tensors here are tiny: a second thread would only cost the time to wake it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def study() -> ModuleType:
    return load(recipes("study.py")["gradient_flow"])


@pytest.fixture(scope="module")
def flow(study: ModuleType) -> dict[str, Any]:
    """What the study measures, over fewer lags, as it is read from its file."""
    found: dict[str, Any] = json.loads(json.dumps(study.flow.measure(lags=30, seed=1)))
    return found


# --- theory ---


@pytest.mark.parametrize("radius", [0.5, 0.9, 1.0, 1.1, 2.0])
def test_slope_of_a_linear_net_is_its_spectral_radius_within_one_percent(radius: float) -> None:
    torch.manual_seed(3)
    inputs = torch.randn(61, 3, 4)  # of ordinary size: theory holds whatever the inputs
    (layer,) = probe(turning_cell(4, 16, radius), inputs, lags=30, anchors=4, jacobians=1, double=True).layers
    assert layer.slope == pytest.approx(radius, rel=0.01)
    assert layer.growth == pytest.approx(radius, rel=0.01)
    assert layer.curve == pytest.approx(layer.curve[0] * radius ** np.arange(31), rel=0.01)
    assert layer.step_radii[0] == pytest.approx(radius, rel=0.01)


def test_linear_cell_does_not_squash() -> None:
    cell = LinearCell(2, 3).double()
    x, h = torch.randn(5, 2).double(), 10 * torch.randn(5, 3).double()
    outputs, _ = cell(x, type(cell.zero_state(5))(h))
    assert torch.allclose(outputs, x @ cell.weight_ih.T + h @ cell.weight_hh.T)


def test_a_radius_that_is_not_positive_is_refused() -> None:
    with pytest.raises(OptionError, match="radius of 0"):
        turning_cell(2, 3, 0.0)


def test_min_gru_begins_with_a_factor_of_one_half(flow: dict[str, Any]) -> None:
    # its gate sees the inputs alone, and these are small: z = sigmoid(0)
    (curve,) = [curve for curve in flow["curves"] if curve["label"] == "min_gru"]
    assert curve["slope"] == pytest.approx(0.5, rel=0.01)


def test_tanh_nets_are_told_apart_by_their_radius(flow: dict[str, Any]) -> None:
    slopes = [curve["slope"] for curve in flow["curves"] if curve["label"] == "tanh"]
    assert slopes == sorted(slopes)
    assert slopes[0] < 0.9 < 1 < slopes[-1] < 1.5  # the tanh takes away from every radius


def test_an_open_forget_gate_carries_further(flow: dict[str, Any]) -> None:
    ends = {curve["value"]: curve["curve"][-1] for curve in flow["curves"] if curve["label"] == "lstm"}
    assert ends[0.0] < 1e-3 < ends[1.0] < ends[3.0]


# --- unit by unit ---


def test_each_unit_of_a_min_gru_decays_by_its_own_gate() -> None:
    torch.manual_seed(0)
    cell = build_cell("min_gru", 3, 6, "chrono=40").double()
    reach = unit_reach(cell, torch.zeros(31, 1, 3).double(), lags=20)
    keep = torch.sigmoid(-cell.bias_ih[:6]).detach().numpy()  # 1 - z without inputs
    assert reach.shape == (6, 21)
    assert reach / reach[:, :1] == pytest.approx(keep[:, None] ** np.arange(21), rel=1e-9)


def test_unit_reach_leaves_the_cell_as_it_was() -> None:
    cell = build_cell("lstm", 3, 4)
    before = {name: value.clone() for name, value in cell.state_dict().items()}
    unit_reach(cell, torch.randn(9, 2, 3), lags=5, part="memory")
    assert all(torch.equal(value, before[name]) for name, value in cell.state_dict().items())
    assert all(parameter.grad is None for parameter in cell.parameters())
    assert not cell._forward_hooks


def test_unit_reach_refuses_lags_and_parts_that_are_not_there() -> None:
    cell = build_cell("gru", 3, 4)
    with pytest.raises(OptionError, match="9 lags"):
        unit_reach(cell, torch.randn(9, 2, 3), lags=9)
    with pytest.raises(OptionError, match="'memory', only hidden"):
        unit_reach(cell, torch.randn(9, 2, 3), lags=3, part="memory")


# --- clipping ---


def test_clipping_cures_an_explosion(study: ModuleType) -> None:
    plan = study.clipping.ClippingStudy(length=30, updates=150)
    wild = study.clipping.train(plan, plan.learning_rate, math.inf)
    tame = study.clipping.train(plan, plan.learning_rate, plan.clip_norm)
    assert len(wild["loss"]) < 5
    assert wild["norm"][-1] is None
    assert len(tame["loss"]) == 150
    assert max(tame["norm"]) > 100  # as wild as the other one, before clipping
    assert np.mean(tame["loss"][-25:]) < 0.3 < tame["loss"][0]


# --- the adding problem ---


def row(error: float) -> dict[str, float]:
    return {"test": error, "valid": error, "parameters": 5_000, "learning_rate": 1e-2, "wall_seconds": 1.0}


def made_up() -> dict[str, Any]:
    return {
        "lengths": [10, 20, 40],
        "guess": {"10": 0.16, "20": 0.16, "40": 0.16},
        "solved": 0.1,
        "cells": {
            "elman": {"10": row(0.16), "20": row(0.16)},
            "lstm": {"10": row(0.001), "20": row(0.0159), "40": row(0.017)},
            "gru@chrono={length}": {"10": row(0.001), "20": row(0.001), "40": row(0.001)},
            "elman_relu": {"10": row(0.001), "20": None, "40": row(0.001)},
        },
    }


def test_longest_solved_ends_before_the_first_failure(study: ModuleType) -> None:
    result = made_up()
    found = {cell: study.adding.longest_solved(result, cell) for cell in result["cells"]}
    assert found == {"elman": None, "lstm": 20, "gru@chrono={length}": 40, "elman_relu": 10}


def test_table_marks_what_was_solved_and_what_was_not_tried(study: ModuleType) -> None:
    lines = study.adding.table(made_up()).splitlines()
    assert lines[3] == "| `elman` | 0.1600 | 0.1600 | - | under 10 |"
    assert lines[4] == "| `lstm` | **0.0010** | **0.0159** | 0.0170 | 20 |"
    assert lines[5] == "| `gru@chrono={length}` | **0.0010** | **0.0010** | **0.0010** | 40 or more |"
    assert lines[6] == "| `elman_relu` | **0.0010** | broke off | **0.0010** | 10 |"


def test_a_cell_is_given_up_after_two_failures_in_a_row(study: ModuleType) -> None:
    guess = {10: 0.16, 20: 0.16, 40: 0.16}
    assert not study.adding.gave_up({10: row(0.16)}, guess)
    assert study.adding.gave_up({10: row(0.16), 20: row(0.16)}, guess)
    assert not study.adding.gave_up({10: row(0.16), 20: row(0.16), 40: row(0.001)}, guess)


def test_the_study_goes_on_where_it_stopped_and_refuses_other_settings(
    study: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = study.Config(
        out=tmp_path, parts=("adding",), lengths=(4, 6), cells=("elman",), learning_rates=(1e-2,), steps=20,
        parameters=300, publish=tmp_path / "published",
    )  # fmt: skip
    study.main(config)
    first = (tmp_path / "adding.json").read_bytes()
    table = capsys.readouterr().out.splitlines()[-4:]
    (tmp_path / "adding.json").unlink()  # as if it had been stopped after the trainings
    study.main(dataclasses.replace(config, language="tr"))
    said = capsys.readouterr().out
    assert "validation mse" not in said  # nothing was trained again
    assert said.splitlines()[-4:] == table
    assert json.loads(first)["cells"] == json.loads((tmp_path / "adding.json").read_text())["cells"]
    assert (tmp_path / "published" / "gradient_flow_adding.json").read_bytes() == (
        tmp_path / "adding.json"
    ).read_bytes()
    assert (tmp_path / "figures" / "adding.png").stat().st_size > 10_000
    with pytest.raises(RunError, match="other settings; choose another --out"):
        study.main(dataclasses.replace(config, steps=40))


def test_lengths_out_of_order_are_refused(study: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="ascending"):
        study.parts.adding_study(study.Config(out=tmp_path, lengths=(50, 20)))


def test_the_published_table_stands_in_the_readme(study: ModuleType) -> None:
    published = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    page = (ROOT / "recipes" / "gradient_flow" / "README.md").read_text(encoding="utf-8")
    assert study.adding.table(published) in page
    assert set(published["cells"]) == set(study.adding.CELLS)
    assert published["lengths"] == list(study.parts.LENGTHS)


# --- figures ---


def test_both_languages_have_the_same_words() -> None:
    english, turkish = figures.WORDS["en"], figures.WORDS["tr"]
    assert english.keys() == turkish.keys()
    for key, text in english.items():
        assert set(re.findall(r"{\w+", text)) == set(re.findall(r"{\w+", turkish[key])), key


@pytest.mark.parametrize("language", ["en", "tr"])
def test_figures_are_legible(study: ModuleType, flow: dict[str, Any], language: str) -> None:
    plan = study.clipping.ClippingStudy(length=10, updates=30)
    clipping = {"settings": dataclasses.asdict(plan)} | study.clipping.run_clipping(plan)
    assert_legible(figures.flow_figure(flow, language))
    assert_legible(figures.maps_figure(flow, language))
    assert_legible(figures.clipping_figure(clipping, language))
    assert_legible(figures.adding_figure(made_up(), study.adding.names(made_up()), language))


def test_figures_are_equal_to_the_byte_and_differ_between_languages(
    study: ModuleType, flow: dict[str, Any], tmp_path: Path
) -> None:
    for name, language in (("first", "en"), ("second", "en"), ("other", "tr")):
        figures.draw_flow(flow, tmp_path / f"{name}.png", language)
    first = (tmp_path / "first.png").read_bytes()
    assert first == (tmp_path / "second.png").read_bytes()
    assert first != (tmp_path / "other.png").read_bytes()


def test_a_cell_is_named_without_its_length(study: ModuleType) -> None:
    assert study.adding.names(made_up())["gru@chrono={length}"] == "gru, chrono=T"
