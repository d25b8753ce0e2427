"""Comparing runs: intervals that are right as often as they say, groups by settings, verdicts, curves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import t as student

from legibility import assert_legible, words
from seqaudio.cli import compare
from seqaudio.errors import OptionError, RunError
from seqaudio.evaluation.comparison import NO_DIFFERENCE, difference, smallest_step, student_t, verdict
from seqaudio.evaluation.comparison_figure import MAX_GROUPS, comparison_figure, draw_comparison
from seqaudio.evaluation.intervals import wilson
from seqaudio.evaluation.run_groups import group_runs, read_run, run_folders

STORE, OTHER_STORE = "a" * 64, "b" * 64


# --- statistics ---


@pytest.mark.parametrize("degrees", [2, 2.5, 3, 4, 7.3, 20, 1000])
def test_the_t_quantile_agrees_with_scipy(degrees: float) -> None:
    assert student_t(degrees) == pytest.approx(student.ppf(0.975, degrees), rel=0.01)


@pytest.mark.parametrize("runs", [3, 5, 10])
@pytest.mark.parametrize("paired", [True, False])
def test_groups_that_do_not_differ_are_told_apart_in_one_case_of_twenty(runs: int, paired: bool) -> None:
    draw = np.random.default_rng(7)
    cases = 400
    false = 0
    for _ in range(cases):
        a, b = draw.normal(size=(2, runs)).tolist()
        shift = 0 if paired else runs
        outcome = difference(dict(enumerate(a)), dict(enumerate(b, start=shift)))
        assert outcome.paired == paired
        false += outcome.found
    # 20 are expected; outside of 8..36 a right rate falls in fewer than one case of a thousand
    assert 8 <= false <= 36


def test_a_gap_well_beyond_the_spread_is_found() -> None:
    outcome = difference({1: 0.90, 2: 0.91, 3: 0.92}, {4: 0.70, 5: 0.72, 6: 0.71})
    assert outcome.found
    assert outcome.gap == pytest.approx(0.2)
    assert outcome.interval is not None
    low, high = outcome.interval
    assert 0.1 < low < 0.2 < high < 0.3


def test_pairing_takes_out_what_a_seed_does_to_both() -> None:
    a = {1: 0.50, 2: 0.70, 3: 0.90}
    b = {1: 0.47, 2: 0.68, 3: 0.87}
    assert difference(a, b).found
    assert not difference(a, {seed + 3: value for seed, value in b.items()}).found


def test_groups_of_partly_other_seeds_are_not_paired() -> None:
    outcome = difference({1: 0.5, 2: 0.6, 3: 0.7}, {1: 0.5, 2: 0.6, 4: 0.7, 5: 0.9})
    assert not outcome.paired
    assert outcome.runs == (3, 4)


def test_a_comparison_is_the_same_each_time_and_in_either_order() -> None:
    a, b = {1: 0.5, 2: 0.62, 3: 0.7}, {1: 0.4, 2: 0.61, 3: 0.5}
    there, again, back = difference(a, b), difference(dict(reversed(a.items())), b), difference(b, a)
    assert there == again
    assert there.interval is not None and back.interval is not None
    assert back.gap == -there.gap
    assert there.found == back.found


@pytest.mark.parametrize("runs", [1, 2])
def test_fewer_than_three_runs_are_too_few_whatever_the_gap(runs: int) -> None:
    many = dict.fromkeys(range(5), 0.99)
    few = dict.fromkeys(range(runs), 0.1)
    outcome = difference(many, few)
    assert not outcome.found
    assert outcome.interval is None
    assert "n is too small" in verdict(outcome, "accuracy", "gru", "lstm")


@pytest.mark.parametrize(("items", "found"), [(0, False), (1, False), (2, True)])
def test_one_item_is_never_a_difference(items: int, found: bool) -> None:
    hits = {1: 280, 2: 290, 3: 295}
    a = {seed: (n + items) / 300 for seed, n in hits.items()}
    b = {seed: n / 300 for seed, n in hits.items()}
    outcome = difference(a, b, smallest_step("accuracy", 300))
    assert outcome.found == found
    assert (NO_DIFFERENCE in verdict(outcome, "accuracy", "a", "b")) == (not found)


def test_losses_have_no_smallest_step() -> None:
    assert smallest_step("nats_per_clip", 300) == 0
    assert smallest_step("accuracy", 300) == pytest.approx(1 / 300)


def test_an_empty_group_is_refused() -> None:
    with pytest.raises(ValueError, match="groups of 0 and 1 runs"):
        difference({}, {1: 0.5})


def test_a_verdict_names_the_better_group_whichever_way_the_metric_is_good() -> None:
    high, low = {1: 0.9, 2: 0.91, 3: 0.92}, {1: 0.7, 2: 0.72, 3: 0.71}
    for first, second, names in ((high, low, ("high", "low")), (low, high, ("low", "high"))):
        outcome = difference(first, second)
        assert verdict(outcome, "accuracy", *names).startswith("high better than low by 20.00 points (")
        assert verdict(outcome, "nats_per_event", *names).startswith("low better than high by 0.2 (")


# --- runs and groups ---


def make_run(
    folder: Path,
    name: str,
    *,
    seed: int = 1,
    valid: float | dict[str, float] = 0.9,
    test: dict[str, float] | None = None,
    recipe: str = "keyword_recognition",
    store: str = STORE,
    **settings: Any,
) -> Path:
    """A finished run as a recipe leaves it, without weights.

    valid: the accuracy of 1,000 clips, or all metrics. test: accuracy by the fingerprint of the store read.
    """
    run = folder / name
    run.mkdir(parents=True)
    chosen = {"store": f"stores/{name}", "cell": "gru", "hidden_size": None, "seed": seed} | settings
    config = {
        "format": 1,
        "recipe": recipe,
        "settings": chosen,
        "model": {
            "name": "keyword",
            "arguments": {"cell": chosen["cell"], "hidden_size": chosen["hidden_size"] or 128},
        },
        "input": {"kind": "features", "settings": {}},
        "vocabulary": ["no", "yes"],
        "store": store,
        "use": [],
        "parent": None,
    }
    figures = valid if isinstance(valid, dict) else {"accuracy": valid, "nats_per_clip": 1 - valid, "count": 1000}
    results = {"seed": seed, "valid": figures, "parameters": 5000, "wall_seconds": 12.0, "machine": "2 cores"}
    lines = [
        {"epoch": n, "step": 10 * n, "train_loss": 2 / n, "valid": figures | {"nats_per_clip": 1 / n}, "best": n < 3}
        for n in (1, 2, 3)
    ]
    (run / "config.json").write_text(json.dumps(config))
    (run / "results.json").write_text(json.dumps(results))
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if test:
        reads = [
            f"2030-01-01\t{read}\t{json.dumps({'accuracy': value, 'count': 500})}\n" for read, value in test.items()
        ]
        (run / "test_reads.tsv").write_text("time\tstore\tmetrics\n" + "".join(reads))
    return run


def cells(folder: Path, figures: dict[str, list[float]], **others: Any) -> Path:
    """A folder with runs of several cells, a seed a figure."""
    for cell, values in figures.items():
        for seed, value in enumerate(values):
            make_run(folder, f"{cell}_{seed}", cell=cell, seed=seed, valid=value, **others)
    return folder


def test_runs_that_differ_in_seed_and_places_only_are_one_group(tmp_path: Path) -> None:
    runs = [make_run(tmp_path, f"run{seed}", seed=seed) for seed in (3, 1, 2)]
    (group,) = group_runs([read_run(run) for run in runs])
    assert [run.seed for run in group.runs] == [1, 2, 3]
    assert group.summary("accuracy", "valid") == {"mean": 0.9, "sd": 0, "by_seed": {1: 0.9, 2: 0.9, 3: 0.9}}
    assert group.summary("accuracy", "test") is None


def test_a_group_is_named_by_what_tells_it_from_the_others(tmp_path: Path) -> None:
    make_run(tmp_path, "a", cell="gru", dropout=0.1)
    make_run(tmp_path, "b", cell="lstm", dropout=0.1, bidirectional=True)
    groups = group_runs([read_run(run) for run in run_folders([tmp_path])])
    assert [group.name for group in groups] == ["cell=gru, bidirectional=none", "cell=lstm, bidirectional=true"]


def test_a_width_left_open_and_the_same_width_given_are_one_group(tmp_path: Path) -> None:
    runs = [make_run(tmp_path, "a", seed=1), make_run(tmp_path, "b", seed=2, hidden_size=128)]
    assert len(group_runs([read_run(run) for run in runs])) == 1
    runs.append(make_run(tmp_path, "c", seed=3, hidden_size=64))
    assert [group.name for group in group_runs([read_run(run) for run in runs])] == [
        "hidden_size=128",
        "hidden_size=64",
    ]


def test_the_spread_of_a_single_run_is_not_made_up(tmp_path: Path) -> None:
    (group,) = group_runs([read_run(make_run(tmp_path, "a"))])
    summary = group.summary("accuracy", "valid")
    assert summary is not None and summary["sd"] is None


def test_only_readings_of_the_runs_own_test_split_are_compared_but_all_are_counted(tmp_path: Path) -> None:
    own = read_run(make_run(tmp_path, "own", test={STORE: 0.8, OTHER_STORE: 0.3}))
    foreign = read_run(make_run(tmp_path, "foreign", seed=2, test={OTHER_STORE: 0.3}))
    assert own.test is not None and own.test["accuracy"] == 0.8
    assert foreign.test is None
    assert (own.test_reads, foreign.test_reads) == (2, 1)


def refused_runs(folder: Path) -> Iterator[tuple[list[Path], str]]:
    run = make_run(folder, "run")
    yield [], "no run was given"
    yield [run, run], "equal settings and seed 1"
    yield (
        [run, make_run(folder, "music", recipe="music_generation")],
        "figures cannot be compared; give runs of one recipe",
    )
    yield [run, make_run(folder, "elsewhere", store=OTHER_STORE)], "figures cannot be compared; give runs of one store"
    yield [folder / "none"], "no such folder"
    (folder / "empty").mkdir()
    yield [folder / "empty"], "not a run"
    unfinished = make_run(folder, "unfinished", seed=2)
    (unfinished / "results.json").unlink()
    yield [run, unfinished], "finish its training"
    damaged = make_run(folder, "damaged", seed=3)
    (damaged / "results.json").write_text("{}")
    yield [run, damaged], "damaged"


def test_what_does_not_compare_is_refused_with_the_reason(tmp_path: Path) -> None:
    for runs, reason in refused_runs(tmp_path):
        with pytest.raises((OptionError, RunError), match=reason):
            compare.main(compare.Config(tuple(runs)))


# --- the command ---


def test_the_table_holds_the_figures_and_a_verdict_a_pair(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = {"gru": [0.90, 0.91, 0.92], "lstm": [0.95, 0.96, 0.97], "elman": [0.90, 0.92, 0.91]}
    compare.main(compare.Config((cells(tmp_path, figures),)))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"keyword_recognition on store {STORE[:16]}, accuracy (higher is better)"
    table = [line.split() for line in lines[2:5]]
    assert table[0] == ["cell=lstm", "3", "96.00", "%", "1.00", "%", "not", "read", "-", "0", "5,000", "12"]
    assert {line[0] for line in table[1:]} == {"cell=gru", "cell=elman"}
    verdicts = [line for line in lines if "paired by seed" in line]
    assert len(verdicts) == 3
    assert any(
        line.strip().startswith("cell=lstm better than cell=gru by 5.00 points (5.00 .. 5.00)") for line in verdicts
    )
    assert sum(NO_DIFFERENCE in line for line in verdicts) == 1
    assert "each pair is tested by itself" in lines[-1]


def test_equal_runs_have_no_spread_but_errors_with_an_interval(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one_of_300 = {"accuracy": 299 / 300, "nats_per_clip": 0.1, "count": 300}
    for seed in (1, 2, 3):
        make_run(tmp_path, f"gru_{seed}", seed=seed, valid=one_of_300)
    compare.main(compare.Config((tmp_path,)))
    out = capsys.readouterr().out
    assert "99.67 %" in out and "0.00 %" in out
    heading, line = out.splitlines()[3:5]
    assert heading == "errors on validation by seed, 95 % interval of one reading:"
    assert line.split() == ["all", "runs", "1,", "1,", "1", "of", "300,", "98.14", "..", "99.94", "%"]
    compare.main(compare.Config((tmp_path,), json=True))
    errors = json.loads(capsys.readouterr().out)["groups"][0]["errors"]
    assert errors["valid"] | {"interval": None} == {
        "items": 300, "by_seed": {"1": 1, "2": 1, "3": 1}, "interval": None,
    }  # fmt: skip
    assert errors["valid"]["interval"] == pytest.approx(wilson(299 / 300, 300))
    assert errors["test"] is None


def test_symbols_of_one_sequence_are_counted_without_an_interval(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_run(tmp_path, "copy", valid={"accuracy": 0.995, "nats_per_symbol": 0.1, "count": 2000})
    compare.main(compare.Config((tmp_path,)))
    heading, line = capsys.readouterr().out.splitlines()[3:5]
    assert heading == "errors on validation by seed:"
    assert line.split()[2:] == ["10", "of", "2,000"]
    compare.main(compare.Config((tmp_path,), metric="nats_per_symbol"))
    assert "errors on" not in capsys.readouterr().out


def test_test_figures_are_compared_where_all_runs_were_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cells(tmp_path, {"gru": [0.9, 0.91, 0.92], "lstm": [0.9, 0.92, 0.91]}, test={STORE: 0.8})
    compare.main(compare.Config((tmp_path,)))
    out = capsys.readouterr().out
    assert "on test:" in out
    assert "80.00 %" in out
    (tmp_path / "gru_0" / "test_reads.tsv").unlink()
    compare.main(compare.Config((tmp_path,)))
    out = capsys.readouterr().out
    assert "on test:" not in out
    assert "not read" in out


def test_json_tells_all_that_the_table_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cells(tmp_path, {"gru": [0.5, 0.6, 0.7], "lstm": [0.95, 0.96, 0.97]}, test={STORE: 0.8})
    compare.main(compare.Config((tmp_path,), metric="nats_per_clip", json=True))
    data = json.loads(capsys.readouterr().out)
    assert (data["metric"], data["better_when"]) == ("nats_per_clip", "lower")
    assert [group["name"] for group in data["groups"]] == ["cell=lstm", "cell=gru"]
    assert data["groups"][1]["valid"]["by_seed"] == pytest.approx({"0": 0.5, "1": 0.4, "2": 0.3})
    assert data["groups"][0]["test_reads"] == [1, 1, 1]
    (comparison,) = data["comparisons"]
    assert comparison["gap"] == pytest.approx(-0.36)
    assert comparison["paired"] is True
    assert comparison["found"] == ("better than" in comparison["verdict"])


def test_an_unknown_metric_is_refused_with_the_nearest(tmp_path: Path) -> None:
    run = make_run(tmp_path, "a")
    for metric in ("accurcy", "count"):
        with pytest.raises(OptionError, match=r"no metric .*accuracy"):
            compare.main(compare.Config((run,), metric=metric))


def test_the_picture_is_written_once_and_replaced_on_demand(tmp_path: Path) -> None:
    runs = cells(tmp_path / "runs", {"gru": [0.9], "lstm": [0.8]})
    png = tmp_path / "curves.png"
    compare.main(compare.Config((runs,), png=png))
    before = png.read_bytes()
    with pytest.raises(OptionError, match="--force"):
        compare.main(compare.Config((runs,), png=png))
    compare.main(compare.Config((runs,), png=png, force=True))
    assert png.read_bytes() == before


# --- curves ---


def epochs(scale: float, count: int = 12) -> list[dict[str, Any]]:
    """Lines as a training writes them; the fifth is the best."""
    return [
        {"step": 40 * n, "train_loss": scale / n, "valid": {"nats_per_event": 2 * scale / n}, "best": n <= 5}
        for n in range(1, count + 1)
    ]


@pytest.mark.parametrize("groups", [1, 2, MAX_GROUPS])
@pytest.mark.parametrize("scale", [1.0, 1e-6])
def test_curves_are_legible_for_few_groups_and_many(groups: int, scale: float) -> None:
    curves = {f"cell=lstm+zoneout=0.1, layers={n}": [epochs(scale * (n + 1)), epochs(3.0)] for n in range(groups)}
    assert_legible(comparison_figure(curves, title="A recipe"))


def test_each_run_is_a_line_in_both_panels_and_each_group_a_name() -> None:
    figure = comparison_figure({"cell=gru": [epochs(1.0), epochs(1.1)], "cell=lstm": [epochs(0.9)]})
    validation, training = figure.axes
    assert len(validation.lines) == len(training.lines) == 3
    np.testing.assert_allclose(validation.lines[2].get_ydata(), [1.8 / n for n in range(1, 13)])
    np.testing.assert_allclose(training.lines[0].get_ydata(), [1.0 / n for n in range(1, 13)])
    assert list(training.lines[0].get_xdata()) == [40 * n for n in range(1, 13)]
    assert validation.lines[0].get_markevery() == [4], "the dot is on the fifth epoch, whose weights are kept"
    assert {"cell=gru (2 runs)", "cell=lstm (1 run)", "validation, nats per event"} <= set(words(figure))


def test_no_two_groups_share_ink_and_style_and_the_first_differ_in_style_alone() -> None:
    figure = comparison_figure({str(n): [epochs(1.0 + n)] for n in range(MAX_GROUPS)})
    looks = [(line.get_color(), line.get_linestyle()) for line in figure.axes[0].lines]
    assert len(set(looks)) == MAX_GROUPS
    assert len({style for _, style in looks[:4]}) == 4


def test_curves_that_cannot_be_drawn_are_refused() -> None:
    with pytest.raises(OptionError, match=f"{MAX_GROUPS + 1} groups"):
        comparison_figure({str(n): [epochs(1.0)] for n in range(MAX_GROUPS + 1)})
    for empty in ({}, {"a": [[]]}):
        with pytest.raises(RunError, match="no epoch"):
            comparison_figure(empty)


def test_losses_that_fall_far_are_on_a_logarithmic_axis() -> None:
    assert comparison_figure({"a": [epochs(1.0)]}).axes[0].get_yscale() == "log"
    assert comparison_figure({"a": [epochs(1.0, count=5)]}).axes[0].get_yscale() == "linear"
    at_zero = [line | {"train_loss": 0.0} for line in epochs(1.0)]
    assert comparison_figure({"a": [at_zero]}).axes[1].get_yscale() == "linear"


def test_equal_curves_give_equal_pictures(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        draw_comparison({"cell=gru": [epochs(1.0)]}, tmp_path / name, title="runs")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
