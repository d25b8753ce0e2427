"""A grid of trainings: what it plans, what it refuses, that a crash, an interruption or a second call loses nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

from conftest import ROOT, Command
from made_up import token_store
from seqaudio import extensions
from seqaudio.cli import sweep
from seqaudio.cli.grid import parse_seeds, plan
from seqaudio.cli.main import main
from seqaudio.cli.scripts import load, recipes
from seqaudio.errors import OptionError, RunError
from seqaudio.run_folder import RunFolder, run_settings

TINY = (
    "--length",
    "8",
    "--steps",
    "4",
    "--check-every",
    "2",
    "--hidden-size",
    "4",
    "--batch-size",
    "2",
    "--device=cpu",
)
CRASH = """
import os, signal, sys
if "--cell=gru" in sys.argv:
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def recipe() -> ModuleType:
    return load(recipes("train.py")["memory_tasks"])


# --- the grid ---


def test_a_grid_is_every_combination_with_every_seed(recipe: ModuleType) -> None:
    runs = plan(
        recipe, Path("out"), ["cell=gru,lstm", "hidden-size=8,None", "learned_state=true,false"], [0, 1], TINY[:2]
    )
    assert len(runs) == len({run.name for run in runs}) == 16
    assert [run.name for run in runs[:3]] == [
        "cell-gru_hidden_size-8_learned_state-true_seed-0",
        "cell-gru_hidden_size-8_learned_state-true_seed-1",
        "cell-gru_hidden_size-8_learned_state-false_seed-0",
    ]
    first, last = runs[0].config, runs[-1].config
    assert (first.cell, first.hidden_size, first.learned_state, first.seed) == ("gru", 8, True, 0)
    assert (last.cell, last.hidden_size, last.learned_state, last.seed) == ("lstm", None, False, 1)
    assert {run.config.length for run in runs} == {8}
    assert first.run == Path("out") / runs[0].name


def test_values_may_hold_commas_and_be_empty(recipe: ModuleType) -> None:
    runs = plan(recipe, Path("out"), ["cell=lstm;lstm+zoneout=0.1,0.5", "initialisation=,chrono=8"], [1], [])
    assert [(run.config.cell, run.config.initialisation) for run in runs] == [
        ("lstm", ""),
        ("lstm", "chrono=8"),
        ("lstm+zoneout=0.1,0.5", ""),
        ("lstm+zoneout=0.1,0.5", "chrono=8"),
    ]
    assert all("/" not in run.name and "," not in run.name for run in runs)


def test_without_variation_there_is_a_run_a_seed(recipe: ModuleType) -> None:
    assert [run.name for run in plan(recipe, Path("out"), [], [3, 4], [])] == ["seed-3", "seed-4"]


@pytest.mark.parametrize(
    ("vary", "options", "expected"),
    [
        (["cell"], [], "expected NAME=VALUE"),
        (["=gru"], [], "expected NAME=VALUE"),
        (["cel=gru"], [], "did you mean cell"),
        (["seed=1,2"], [], "give --seeds"),
        (["run=a,b"], [], "give --out"),
        (["store=a,b"], [], "a sweep for each store"),
        (["cell=gru,gru"], [], "two runs would be named cell-gru_seed-1"),
        (["cell=gru", "cell=lstm"], [], "names an option twice"),
        (["learned_state=maybe"], [], "expected true or false"),
        (["steps=many"], [], "--steps: invalid literal"),
        (["task=adding,addin"], [], "invalid choice 'addin'"),
        ([], ["--step", "3"], "did you mean --steps"),
        ([], ["--seed=3"], "give --seeds"),
        ([], ["--resume"], "an interrupted run is resumed"),
        (["cell=gru"], ["--cell", "lstm"], "after -- and in --vary"),
        ([], ["stray"], "Unrecognized options: stray"),
    ],
)
def test_what_the_recipe_cannot_do_is_refused_before_anything_is_trained(
    vary: list[str], options: list[str], expected: str, recipe: ModuleType
) -> None:
    with pytest.raises(OptionError) as refusal:
        plan(recipe, Path("out"), vary, [1], options)
    assert expected in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_an_option_without_a_default_is_asked_for() -> None:
    with pytest.raises(OptionError, match="needs --store"):
        plan(load(recipes("train.py")["music_generation"]), Path("out"), ["cell=gru"], [1], [])


def test_a_flag_may_be_switched_off_behind_the_dashes(recipe: ModuleType) -> None:
    (run,) = plan(recipe, Path("out"), [], [1], ["--no-learned-state"])
    assert run.config.learned_state is False


@pytest.mark.parametrize("text", ["", "a", "1,", "-1", "1 2", "1.5"])
def test_seeds_are_whole_numbers(text: str) -> None:
    assert parse_seeds("0,10,2") == [0, 10, 2]
    with pytest.raises(OptionError, match="such as 0,1,2"):
        parse_seeds(text)


def test_an_unknown_recipe_is_refused_with_the_nearest() -> None:
    with pytest.raises(OptionError, match="did you mean memory_tasks"):
        sweep.main(sweep.Config("memory_task"))


def test_a_place_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OptionError, match="choose another path"):
        sweep.main(sweep.Config("memory_tasks", out=tmp_path / "file"))


# --- earlier runs ---


def test_a_run_of_another_store_is_not_taken_for_this_one(tmp_path: Path) -> None:
    first, second = token_store(tmp_path / "a", longest=10), token_store(tmp_path / "b", longest=12)
    music = load(recipes("train.py")["music_generation"])
    (planned,) = plan(music, tmp_path, [], [1], ["--store", str(first.path)])
    (other,) = plan(music, tmp_path, [], [1], ["--store", str(second.path)])
    folder = tmp_path / planned.name
    model = {"name": "events", "arguments": {}}
    settings = run_settings(planned.config)
    RunFolder.create(folder, recipe="music_generation", settings=settings, model=model, store=first, resume=False)
    sweep.check_previous_run("music_generation", folder, planned.config)
    with pytest.raises(RunError, match="was made with store"):
        sweep.check_previous_run("music_generation", folder, other.config)
    with pytest.raises(RunError, match="memory_tasks"):
        sweep.check_previous_run("memory_tasks", folder, planned.config)


# --- whole sweeps ---


class Sweep(NamedTuple):
    out: Path
    crash: Path
    done: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def crashed(command: Command, tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """Three runs, of which one is killed and one is refused; the first finds the folder of one that never began."""
    out, crash = tmp_path_factory.mktemp("sweep"), tmp_path_factory.mktemp("own") / "crash.py"
    crash.write_text(CRASH)
    (out / "cell-elman_seed-5").mkdir()
    vary = ("--vary", "cell=gru,nocell,elman", "--seeds", "5")
    done = command("seqaudio", "sweep", "memory_tasks", *vary, "--out", out, f"--use={crash}", "--", *TINY)
    return Sweep(out, crash, done)


def test_a_crash_ends_one_run_and_not_the_sweep(crashed: Sweep) -> None:
    lines = crashed.done.stdout.splitlines()
    assert lines[0] == "1/3 cell-gru_seed-5: failed: killed by SIGKILL"
    assert lines[1].startswith("2/3 cell-nocell_seed-5: failed: no cell is called 'nocell'")
    assert lines[2].startswith("3/3 cell-elman_seed-5: mse ")
    assert (crashed.out / "cell-elman_seed-5" / "results.json").is_file()


def test_failed_runs_are_named_at_the_end_with_exit_status_1(crashed: Sweep) -> None:
    assert crashed.done.returncode == 1
    named = crashed.done.stderr.splitlines()[-2:]
    assert named[0] == "error: cell-gru_seed-5 failed: killed by SIGKILL"
    assert named[1].startswith("error: cell-nocell_seed-5 failed: no cell is called 'nocell'")


def test_the_test_split_stays_closed(crashed: Sweep) -> None:
    assert not list(crashed.out.glob("*/test_reads.tsv"))
    assert json.loads((crashed.out / "cell-elman_seed-5" / "results.json").read_text())["test"] is None


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> object:
    """Run `seqaudio ARGUMENTS` in this process; the exit status."""
    words = [str(argument) for argument in arguments]
    monkeypatch.setattr(sys, "argv", ["seqaudio", *words])
    monkeypatch.setattr(extensions, "_used", {})
    with pytest.raises(SystemExit) as stop:
        main(words)
    return stop.value.code


def test_finished_runs_are_left_alone_and_stand_in_the_table(
    crashed: Sweep, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = crashed.out / "cell-elman_seed-5" / "model.safetensors"
    before = weights.stat().st_mtime_ns
    grid = ("--vary", "cell=lstm,elman", "--seeds", "5", "--out", crashed.out, f"--use={crashed.crash}")
    assert call(monkeypatch, "sweep", "memory_tasks", *grid, "--", *TINY) == 0
    said = capsys.readouterr()
    assert "cell-elman_seed-5, finished before" in said.err
    assert weights.stat().st_mtime_ns == before
    *_, head, first, second, after = said.out.splitlines()
    assert head.split() == ["run", "mse", "parameters", "seconds"]
    assert {first.split()[0], second.split()[0]} == {"cell-lstm_seed-5", "cell-elman_seed-5"}
    assert float(first.split()[1]) <= float(second.split()[1]), "the lowest error first"
    assert after == f"next: seqaudio compare {crashed.out}"


def test_a_finished_run_of_other_options_is_not_passed_off_as_this_one(
    crashed: Sweep, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = ("--vary", "cell=elman", "--seeds", "5", "--out", crashed.out)
    other = [*TINY[:2], "--steps", "6", *TINY[4:]]
    assert call(monkeypatch, "sweep", "memory_tasks", *grid, f"--use={crashed.crash}", "--", *other) == 2
    assert "was made with steps = 4, now it is 6" in capsys.readouterr().err
    assert call(monkeypatch, "sweep", "memory_tasks", *grid, "--", *TINY) == 2
    assert "crash.py" in (refusal := capsys.readouterr().err)
    assert "now it is 'none'" in refusal


@pytest.mark.skipif(os.name == "nt", reason="a console of Windows sends Ctrl-C to all its processes at once")
@pytest.mark.usefixtures("control_c")
def test_an_interrupted_sweep_saves_its_run_and_the_same_command_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # long enough to be caught in the middle, short enough to end soon after it goes on
    options = ("--length", "60", "--steps", "200", "--check-every", "10", "--hidden-size", "8", "--device=cpu")
    arguments = ("sweep", "memory_tasks", "--seeds", "0", "--out", str(tmp_path), "--", *options)
    metrics = tmp_path / "seed-0" / "metrics.jsonl"
    process = subprocess.Popen(
        [sys.executable, "-m", "seqaudio.cli.main", *arguments], cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while not (metrics.is_file() and metrics.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 130, stderr
    assert stderr.splitlines()[-1] == "interrupted in seed-0; give the same command again to resume"
    assert not (tmp_path / "seed-0" / "results.json").exists(), "the run was caught in the middle"
    assert call(monkeypatch, *arguments) == 0
    assert "resuming in epoch" in capsys.readouterr().err
    epochs = [json.loads(line)["epoch"] for line in metrics.read_text().splitlines()]
    assert epochs == list(range(1, 21))
