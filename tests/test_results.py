"""Published results are what the files say: groups, figures over seeds, the page."""

from __future__ import annotations

import json
import math
import re
import shlex
import statistics
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import ROOT
from made_up import frame_store
from seqaudio.cli import demo
from seqaudio.cli.grouped_help import parse
from seqaudio.cli.scripts import load, preparations, recipes
from seqaudio.errors import OptionError, RunError
from seqaudio.evaluation import results
from seqaudio.evaluation.intervals import wilson
from seqaudio.run_folder import RunFolder

sys.path.append(str(ROOT / "docs" / "pages"))

import results_page
from result_groups import group_runs, options, summary

PUBLISHED = ROOT / "docs" / "results"
PAGE = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
ALONE = {"demo_chorales", "demo_keywords"}  # runs of a name without a seed

figures = st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=8)


def outcome(accuracy: float, seed: int = 1, cell: str = "gru", **changes: Any) -> dict[str, Any]:
    """The content of a published file: 300 clips, two baselines, 100 seconds and 10 more with each seed."""
    data = results.results(
        recipe="keyword_recognition",
        seed=seed,
        valid={"accuracy": 0.5, "count": 10},
        baselines={"guess": {"valid": {"accuracy": 0.1}, "test": {"accuracy": 0.1 * seed}}, "unscored": {"valid": {}}},
        parameters=1234,
        wall_seconds=90.0 + 10 * seed,
        command=f"python train.py --store words --run runs/{cell}_{seed} --cell {cell} --seed {seed}",
    )
    return data | {"test": {"accuracy": accuracy, "count": 300}, "test_reads": 1} | changes


def write(folder: Path, **published: dict[str, Any]) -> Path:
    for name, data in published.items():
        (folder / f"{name}.json").write_text(json.dumps(data))
    return folder


def cells(text: str, name: str) -> dict[str, str]:
    """The row of a group by the headings of its table."""
    lines = text.splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith(f"| `{name}` |"))
    head = max(number for number in range(place) if lines[number].startswith("| runs |"))
    split = [[cell.strip() for cell in lines[number].strip("|").split("|")] for number in (head, place)]
    return dict(zip(*split, strict=True))


def test_the_order_of_n_grams_stands_beside_their_name(tmp_path: Path) -> None:
    counted = [{"kneser-ney": {"test": {"accuracy": 0.3, "order": order}}} for order in (7, 7, 7, 6)]
    runs = {f"fsdd_gru_{seed}": outcome(0.5, seed, baselines=names) for seed, names in enumerate(counted, start=1)}
    page = results_page.page(write(tmp_path, **dict(list(runs.items())[:3])))
    assert cells(page, "fsdd_gru")["*kneser-ney of order 7*"] == "30.00 %"
    page = results_page.page(write(tmp_path, **runs))
    assert cells(page, "fsdd_gru")["*kneser-ney*"] == "30.00 %", "runs differ in the order"


# --- what is published ---


def test_the_results_page_is_what_its_files_say() -> None:
    assert results_page.page(PUBLISHED) == PAGE, "run `make results`"


def test_published_results_hold_no_place_of_a_machine() -> None:
    for file in PUBLISHED.glob("*.json"):
        data = json.loads(file.read_text(encoding="utf-8"))
        assert data["test"] is not None
        assert data["test_reads"] >= 1
    for file in PUBLISHED.rglob("*.json"):
        command = json.loads(file.read_text(encoding="utf-8")).get("command", "")
        words = [word for word in command.split() if word.startswith("/") or ".." in word]
        assert not words, f"{file.name}: {words}"


def test_every_published_run_is_among_the_readings_of_its_test() -> None:
    listed = {(one.run, one.test): one for one in results_page.read_readings(PUBLISHED / results_page.READINGS)}
    for file in PUBLISHED.glob("*.json"):
        data = json.loads(file.read_text(encoding="utf-8"))
        reading = listed[file.stem, results_page.section_of(file.stem).test_name]  # the latest
        assert (reading.value, reading.reads) == (data["test"][reading.metric], data["test_reads"]), file.name


def test_names_and_commands_of_the_published_runs_make_the_same_groups() -> None:
    published = {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in PUBLISHED.glob("*.json")}
    by_name: dict[str, set[str]] = {}
    for name, data in published.items():
        stem, _, seed = name.rpartition("_")
        assert name in ALONE or seed == str(data["seed"]), name
        by_name.setdefault(name if name in ALONE else stem, set()).add(name)
    by_command = {group.name: {run.name for run in group.runs} for group in group_runs(published)}
    assert by_command == by_name
    assert max(map(len, by_name.values())) > 1


def test_every_command_of_the_page_is_understood() -> None:
    lines = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
    commands = [line for line in lines if not line.startswith("#")]
    assert len(commands) > 40
    for line in commands:
        line = line.replace("SEED", "7").replace("RATE", "0.01")
        words = [word for word in shlex.split(line) if word != "--quiet"]  # every command takes it
        if words[0] == "python":
            module, own = load(recipes(Path(words[1]).name)[Path(words[1]).parts[1]]), words[2:]
        elif words[1] == "train":
            module, own = load(recipes("train.py")[words[2]]), words[3:]
        elif words[1] == "prepare":
            module, own = load(preparations()[words[2]]), words[3:]
        else:
            assert words[1] == "demo", line
            module, own = demo, words[2:]
        config = parse(module.Config, own, "", " ".join(words[:3]))
        assert words[1] == "prepare" or hasattr(config, "seeds") or config.seed == 7, line  # a study has its own seeds


def test_every_study_is_told_and_every_link_leads_somewhere() -> None:
    for study in (PUBLISHED / "studies").glob("*.json"):
        assert f"(results/studies/{study.name})" in PAGE
    for place, _, anchor in (link.partition("#") for link in re.findall(r"\]\(([^)]+)\)", PAGE)):
        file = ROOT / "docs" / place
        assert file.exists(), place
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]


# --- the page ---


def test_a_table_has_a_row_a_group_and_the_single_runs_fold_away(tmp_path: Path) -> None:
    accuracies = {1: 0.98, 2: 0.99, 3: 1.0}
    write(tmp_path, **{f"fsdd_gru_{seed}": outcome(value, seed) for seed, value in accuracies.items()})
    text = results_page.page(tmp_path)
    assert cells(text, "fsdd_gru") == {
        "runs": "`fsdd_gru`",
        "seeds": "3",
        "mean": "**99.00 %**",
        "sd, points": "1.00",
        "range": "98.00 .. 100.00 %",
        "errors of 300": "3",
        "95 % interval": "97.10 .. 99.66 %",
        "*guess*": "20.00 %",
        "parameters": "1,234",
        "seconds": "110",
        "test reads": "1 each",
    }
    assert text.count("`fsdd_gru`") == 1
    assert "python train.py --store words --run runs/fsdd_gru_SEED --cell gru --seed SEED" in text
    assert "# fsdd_gru: SEED 1, 2, 3\n" in text
    shown, folded = text.split("<details>")
    for seed in accuracies:
        assert f"[fsdd_gru_{seed}](results/fsdd_gru_{seed}.json)" in folded
        assert f"fsdd_gru_{seed}" not in shown


def test_a_single_seed_has_no_spread(tmp_path: Path) -> None:
    row = cells(results_page.page(write(tmp_path, fsdd_gru_1=outcome(0.99))), "fsdd_gru")
    assert (row["seeds"], row["sd, points"], row["range"], row["test reads"]) == ("1", "-", "-", "1")


def test_test_reads_are_told_run_by_run_where_they_differ(tmp_path: Path) -> None:
    write(tmp_path, fsdd_gru_1=outcome(0.99), fsdd_gru_2=outcome(0.99, 2, test_reads=4))
    assert cells(results_page.page(tmp_path), "fsdd_gru")["test reads"] == "1, 4"


def test_readings_of_a_test_are_counted_over_tables_and_time(tmp_path: Path) -> None:
    file = tmp_path / results_page.READINGS
    for name, accuracy, reads in (("fsdd_gru_1", 0.9, 1), ("fsdd_gru_1", 0.9, 2), ("fsdd_streams_1", 0.8, 1)):
        results_page.note_reading(file, name, outcome(accuracy, test_reads=reads))
    assert [(one.run, one.value, one.reads) for one in results_page.read_readings(file)] == [
        ("fsdd_gru_1", 0.9, 2), ("fsdd_streams_1", 0.8, 1),
    ]  # fmt: skip
    results_page.note_reading(file, "fsdd_gru_1", outcome(0.95))  # trained again
    text = results_page.page(write(tmp_path, fsdd_gru_1=outcome(0.95)))
    assert "have read these test items 4 times" in text
    file.unlink()
    assert "have read these" not in results_page.page(tmp_path)


def test_runs_that_read_other_items_are_not_in_one_table(tmp_path: Path) -> None:
    def reading(items: str) -> dict[str, Any]:
        return {"f": {"items": items, "test": {"accuracy": 0.9, "count": 300}}}

    one, other, early = outcome(0.9, tests=reading("a")), outcome(0.9, 2, tests=reading("b")), outcome(0.9, 3)
    results_page.page(write(tmp_path, fsdd_gru_1=one, fsdd_gru_2=outcome(0.9, 2, tests=reading("a")), fsdd_gru_3=early))
    with pytest.raises(RunError, match="fsdd_gru: other runs of its table have read other test items"):
        results_page.page(write(tmp_path, fsdd_gru_1=one, fsdd_gru_2=other))


def test_the_best_mean_comes_first_whichever_way_is_better(tmp_path: Path) -> None:
    order = {
        "fsdd": lambda value: outcome(value),
        "adding_600": lambda value: outcome(0, test={"mse": value, "count": 9}, valid={"mse": 1.0}, baselines={}),
    }
    for prefix, of in order.items():
        values = {"worst": 0.1, "middle": 0.5, "best": 0.9}
        for name, value in values.items():
            shown = value if prefix == "fsdd" else 1 - value
            data = of(shown) | {"command": f"train.py --cell {name}", "recipe": prefix}
            write(tmp_path, **{f"{prefix}_{name}_1": data})
        text = results_page.page(tmp_path)
        places = [text.index(f"| `{prefix}_{name}` |") for name in ("best", "middle", "worst")]
        assert places == sorted(places)


def test_symbols_of_one_sequence_get_no_interval(tmp_path: Path) -> None:
    row = cells(results_page.page(write(tmp_path, copy_200_gru_1=outcome(0.9))), "copy_200_gru")
    assert row["errors of 300"] == "30"
    assert "95 % interval" not in row


def test_small_errors_keep_two_digits(tmp_path: Path) -> None:
    values = {"a": 0.000072, "b": 0.0004, "c": 0.00996, "d": 0.17, "e": 0.0}
    for name, value in values.items():
        data = outcome(0, test={"mse": value, "count": 9}, valid={"mse": 1.0}, baselines={})
        write(tmp_path, **{f"adding_600_{name}_1": data | {"command": f"train.py --cell {name}"}})
    text = results_page.page(tmp_path)
    shown = [cells(text, f"adding_600_{name}")["mean"] for name in values]
    assert shown == ["**0.000072**", "**0.00040**", "**0.0100**", "**0.1700**", "**0.0000**"]


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("fsdd_gru", "fsdd"),
        ("commands3_base", "commands3"),
        ("sunspots_h1_gru", "sunspots_h1"),
        ("sunspots_h12_gru", "sunspots_h12"),
    ],
)
def test_a_group_belongs_to_the_longest_prefix(name: str, prefix: str) -> None:
    assert prefix in results_page.section_of(name).prefixes


def test_what_the_page_cannot_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "studies").mkdir()
    write(tmp_path / "studies", unheard_of={})
    with pytest.raises(RunError, match=r"unheard_of.*STUDIES"):
        results_page.page(tmp_path)
    with pytest.raises(RunError, match=r"mine_1: no section .* fsdd, "):
        results_page.main(["publish", str(tmp_path), "mine_1"])
    write(tmp_path, fsddx_1=outcome(0.9))
    with pytest.raises(RunError, match="fsddx"):
        results_page.page(tmp_path)


def test_speakers_left_out_have_a_table_with_their_readings(tmp_path: Path) -> None:
    def row(*accuracies: float) -> dict[str, Any]:
        mean = statistics.mean(accuracies)
        errors = [round((1 - accuracy) * 500) for accuracy in accuracies]
        figures = {"accuracy": accuracies, "mean": mean, "count": 500, "errors": errors, "interval": wilson(mean, 500)}
        return figures | {"test_reads": [1, 1], "neighbours": 0.5, "seconds": [60.0, 61.0], "parameters": 1234}

    study = {"seeds": [1, 2], "machine": "2 cores", "speakers": {"ada": row(0.8, 0.9), "ben": row(0.7, 0.7)}}
    (tmp_path / "studies").mkdir()
    write(tmp_path / "studies", fsdd_speakers=study)
    for _ in range(2):  # the same study again is no other reading
        results_page.note_study(tmp_path / results_page.READINGS, "fsdd_speakers", study)
    results_page.note_study(
        tmp_path / results_page.READINGS, "fsdd_speakers", study | {"speakers": {"ben": row(0.6, 0.7)}}
    )
    text = results_page.page(tmp_path)
    lines = {
        line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:-1]]
        for line in text.splitlines()
        if line.startswith("| ")
    }
    low, high = wilson(0.85, 500)
    assert lines["ada"] == [
        "2", "**85.00 %**", "7.07", "80.00 .. 90.00 %", "75", f"{100 * low:.2f} .. {100 * high:.2f} %", "50.00 %",
        "1,234", "60", "1, 1", "2",
    ]  # fmt: skip
    assert lines["ben"][-1] == "3"
    assert lines["all"][:6] == ["2", "**77.50 %**", "3.54", "75.00 .. 80.00 %", "225 of 1,000", "-"]
    assert "The worst is ben: 70.00 %." in text


def test_a_table_holds_one_test_set(tmp_path: Path) -> None:
    other = outcome(0.9, cell="lstm", test={"accuracy": 0.9, "count": 500})
    write(tmp_path, fsdd_gru_1=outcome(0.9), fsdd_lstm_1=other)
    with pytest.raises(RunError, match=r"fsdd_gru has accuracy over 300 items, fsdd_lstm accuracy over 500: .*section"):
        results_page.page(tmp_path)


# --- groups ---


def test_options_of_a_command() -> None:
    command = "python train.py --store a --apart --seed=3 --rows 1 2 --run runs/x"
    assert options(command) == {"store": "a", "apart": "", "seed": "3", "rows": "1 2", "run": "runs/x"}


def test_the_order_of_options_and_the_way_to_call_make_no_other_group() -> None:
    (group,) = group_runs(
        {
            "x_1": outcome(0.9, command="seqaudio train keyword_recognition --store s --cell gru --seed=1 --run=a"),
            "x_2": outcome(0.9, 2, command="python recipes/keyword_recognition/train.py --cell=gru --run b --store s"),
        }
    )
    assert [run.seed for run in group.runs] == [1, 2]
    assert group.command == "seqaudio train keyword_recognition --store s --cell gru --seed=SEED --run=runs/x_SEED"


def test_a_command_without_a_seed_gets_one() -> None:
    (group,) = group_runs({"demo_keywords": outcome(0.9, command="seqaudio demo --out demo")})
    assert group.command == "seqaudio demo --out demo --seed SEED"


def test_a_learning_rate_that_validation_chose_is_no_setting() -> None:
    tuning = {"learning_rates": {"0.02": 0.1, "0.01": 0.2}, "steps": 5}
    commands = ("train.py --cell gru --run a --learning-rate 0.02", "train.py --cell gru --run b")
    runs = {f"x_{seed}": outcome(0.9, seed, command=command) for seed, command in enumerate(commands, start=1)}
    with pytest.raises(RunError, match=r"x_1 and x_2 are named as seeds.* differ in learning-rate \(0.02, none\)"):
        group_runs(runs)
    (group,) = group_runs({name: data | {"tuning": tuning} for name, data in runs.items()})
    assert group.command == "train.py --cell gru --run runs/x_SEED --learning-rate RATE --seed SEED"
    with pytest.raises(RunError, match=r"differ in updates \(5, 6\)"):
        group_runs({"x_1": runs["x_1"] | {"tuning": tuning}, "x_2": runs["x_2"] | {"tuning": tuning | {"steps": 6}}})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"test": {"accuracy": 0.9, "count": 299}}, r"x_1 has a test count of 300, x_2 of 299"),
        ({"test": {"mse": 0.9, "count": 300}}, r"x_1 has metrics of accuracy, count, x_2 of count, mse"),
        ({"parameters": 1235}, r"x_1 has parameters of 1234, x_2 of 1235"),
        ({"baselines": {}}, r"x_1 has baselines of guess, unscored, x_2 of "),
        ({"seed": 1}, r"x_2: its seed is 1 and its command has --seed 2"),
        (
            {"seed": 1, "command": "train.py --cell gru --store words"},
            r"x_1 and x_2 .*seed 1: one result counted twice",
        ),
        ({"command": "train.py --cell lstm --store words"}, r"x_1 and x_2 .* differ in cell \(gru, lstm\)"),
        ({"recipe": "other"}, r"x_1 and x_2 .* differ in recipe \(keyword_recognition, other\)"),
    ],
)
def test_a_group_of_unequal_runs_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(RunError, match=message):
        group_runs({"x_1": outcome(0.9), "x_2": outcome(0.9, 2) | changes})


def test_one_setting_of_two_names_is_refused() -> None:
    with pytest.raises(RunError, match=r"a_1 and b_2 differ by their seed alone .* NAME_SEED"):
        group_runs({"a_1": outcome(0.9), "b_2": outcome(0.9, 2)})


# --- figures over seeds ---


@given(figures)
def test_a_summary_is_that_of_numpy(values: list[float]) -> None:
    got = summary(values)
    assert math.isclose(got.mean, np.mean(values), rel_tol=1e-9, abs_tol=1e-9)
    assert (got.low, got.high) == (min(values), max(values))
    assert got.low <= got.mean <= got.high
    if len(values) == 1:
        assert got.deviation is None
    else:
        assert got.deviation is not None
        assert math.isclose(got.deviation, np.std(values, ddof=1), rel_tol=1e-6, abs_tol=1e-6)
        assert got.deviation <= (got.high - got.low) * (1 + 1e-9)


@given(figures, st.randoms())
def test_a_summary_does_not_depend_on_the_order_of_the_seeds(values: list[float], random: Any) -> None:
    shuffled = list(values)
    random.shuffle(shuffled)
    assert summary(shuffled) == summary(values)


@given(st.lists(st.integers(-1000, 1000), min_size=2, max_size=8), st.integers(-1000, 1000), st.integers(1, 100))
def test_a_spread_moves_with_the_scale_and_not_with_the_place(values: list[int], shift: int, scale: int) -> None:
    plain, moved = summary(values), summary([scale * value + shift for value in values])
    assert plain.deviation is not None
    assert moved.deviation is not None
    assert math.isclose(moved.deviation, scale * plain.deviation, rel_tol=1e-9)
    assert math.isclose(moved.mean, scale * plain.mean + shift, rel_tol=1e-9, abs_tol=1e-9)


def test_no_values_have_no_summary() -> None:
    with pytest.raises(statistics.StatisticsError):
        summary([])


@pytest.mark.parametrize(
    ("right", "count", "low", "high"),
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0), (81, 263, 0.2553, 0.3662)],
)
def test_the_interval_is_that_of_the_books(right: int, count: int, low: float, high: float) -> None:
    # the last one after Newcombe (1998), table I
    assert wilson(right / count, count) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_an_interval_holds_its_share_and_narrows_with_more_items(count: int, share: float) -> None:
    low, high = wilson(share, count)
    assert 0 <= low <= share + 1e-12
    assert share - 1e-12 <= high <= 1
    mirrored = wilson(1 - share, count)
    assert (1 - mirrored[1], 1 - mirrored[0]) == pytest.approx((low, high), abs=1e-9)
    wider, narrower = (high - low for low, high in (wilson(share, count), wilson(share, 4 * count)))
    assert narrower < wider


@pytest.mark.parametrize("share", [0.5, 0.8, 0.97])
def test_an_interval_holds_the_truth_in_about_95_of_100_cases(share: float) -> None:
    n = 300
    held = 0.0
    for right in range(n + 1):
        low, high = wilson(right / n, n)
        if low <= share <= high:
            held += math.comb(n, right) * share**right * (1 - share) ** (n - right)
    assert 0.93 < held < 0.97


def test_errors_are_a_mean_over_the_seeds() -> None:
    (group,) = group_runs({"x_1": outcome(299 / 300), "x_2": outcome(298 / 300, 2)})
    assert group.mean_errors() == 1.5


# --- publishing ---


def test_only_a_run_whose_test_split_was_read_is_published(tmp_path: Path) -> None:
    run, store = tmp_path / "run", frame_store(tmp_path / "store")
    RunFolder.create(
        run, recipe="keyword_recognition", settings={}, model={"name": "keyword", "arguments": {}}, store=store,
        resume=False,
    )  # fmt: skip
    with pytest.raises(RunError, match=r"no results.json"):
        results.publish(run, "x", tmp_path / "docs")
    unread = outcome(0, test=None, test_reads=0, baselines={"guess": {"valid": {"accuracy": 0.1}}})
    (run / "results.json").write_text(json.dumps(unread))
    with pytest.raises(RunError, match="--split test"):
        results.publish(run, "x", tmp_path / "docs")
    results.record_test(run, {"accuracy": 0.9, "count": 300}, {"guess": {"accuracy": 0.1}}, store)
    published = json.loads(results.publish(run, "x", tmp_path / "docs").read_text())
    assert published["test"]["accuracy"] == 0.9
    assert published["tests"][store.fingerprint]["items"] == store.items("test")
    assert published["baselines"]["guess"] == {"valid": {"accuracy": 0.1}, "test": {"accuracy": 0.1}}


def test_an_unknown_task_is_refused() -> None:
    with pytest.raises(OptionError, match="publish RUN NAME"):
        results_page.main(["print"])
