"""Train a grid of runs, one after the other: each combination of the values, with each seed.

Example: seqaudio sweep keyword_recognition --vary cell=gru,lstm --out runs/cells -- --store stores/fsdd
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from seqaudio.cli.grid import PlannedRun, parse_seeds, plan
from seqaudio.cli.options import take_shared
from seqaudio.cli.outputs import written
from seqaudio.cli.scripts import load, recipes
from seqaudio.errors import OptionError, RunError
from seqaudio.interruption import CHILD, Interrupted, number_of
from seqaudio.locks import LOCK, is_held, locked
from seqaudio.progress import say
from seqaudio.registry import did_you_mean
from seqaudio.terminal import complain

if TYPE_CHECKING:
    from seqaudio.evaluation.run_groups import FinishedRun

SAVING_SECONDS = 30.0  # longest wait for the training of a killed sweep to save and end


@dataclass(frozen=True)
class Config:
    """Options of the sweep. To resume an interrupted sweep, give the same command again."""

    recipe: tyro.conf.Positional[str]  # `seqaudio train` lists the recipes
    vary: tyro.conf.UseAppendAction[tuple[str, ...]] = ()  # NAME=VALUE,VALUE; `;` if values have commas; repeatable
    out: Path = Path("runs/sweep")  # folder of the run folders
    seeds: str = "1,2,3"  # at least three, to compare the runs
    options: tyro.conf.Positional[tuple[str, ...]] = ()  # after --: options of the recipe for all runs


def main(config: Config) -> None:
    """Train the runs that are not finished; print a line for each, then a table, the best on validation first.

    The exit status is 1 if a run failed; the others are trained nevertheless.
    """
    scripts = recipes("train.py")
    if config.recipe not in scripts:
        raise OptionError(f"no recipe is called {config.recipe!r}; {did_you_mean(config.recipe, list(scripts))}")
    runs = plan(load(scripts[config.recipe]), config.out, config.vary, parse_seeds(config.seeds), config.options)
    for run in runs:
        check_previous_run(config.recipe, config.out / run.name, run.config)
    with written(config.out):
        config.out.mkdir(parents=True, exist_ok=True)

    with locked(config.out / LOCK, "sweep", config.out):
        failures = train_all(config.recipe, runs, config.out)
    for line in table([config.out / run.name for run in runs if run.name not in failures]):
        print(line)
    if failures:
        for name, reason in failures.items():
            complain(f"error: {name} failed: {reason}")
        sys.exit(1)
    print(f"next: seqaudio compare {config.out}")


def train_all(recipe: str, runs: Sequence[PlannedRun], out: Path) -> dict[str, str]:
    """Train each run that is not finished and print a line for each. Returns why runs failed, by name."""
    failures: dict[str, str] = {}
    for number, run in enumerate(runs, start=1):
        folder = out / run.name
        before = (folder / "results.json").is_file()
        say(f"run {number} of {len(runs)}: {run.name}" + (", finished before" if before else ""))
        reason = None if before else train(recipe, run, folder)
        if reason is not None:
            failures[run.name] = reason
        outcome = reached(folder) if reason is None else f"failed: {reason}"
        print(f"{number}/{len(runs)} {run.name}: {outcome}", flush=True)
    return failures


def check_previous_run(recipe: str, folder: Path, config: Any) -> None:
    """Raise RunError where the run folder of a previous sweep was made by another recipe, store or options."""
    from seqaudio import extensions
    from seqaudio.run_folder import RunFolder, is_not_begun, other_settings
    from seqaudio.store import Store

    if not folder.exists() or is_not_begun(folder):
        return

    run = RunFolder(folder)
    run.require(recipe, "this sweep")
    others = other_settings(run, config)
    if hasattr(config, "store"):
        others["store"] = run.config["store"], Store(config.store).fingerprint
    others["use"] = extensions.listed(run.extensions), extensions.listed(extensions.used())
    for name, (then, now) in others.items():
        if then != now:
            raise RunError(
                f"{folder} was made with {name} = {then!r}, now it is {now!r}; "
                f"give the same options, or choose another --out"
            )


def train(recipe: str, run: PlannedRun, folder: Path) -> str | None:
    """Train or resume one run in a process of its own, so that a crash ends this run only.

    Its progress goes to stderr. When this process ends, even by a kill, the training saves and ends too. Returns None,
    or in one line why it failed. Raises Interrupted on Ctrl-C or SIGTERM, after the run is saved.
    """
    shared = take_shared(sys.argv[1:])[0].words()
    _wait_for_killed(folder)
    words = [*run.words, *["--resume"] * (folder / "config.json").is_file(), *shared]
    last = ""
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "seqaudio.cli.main", "train", recipe, *words],  # -P: nothing of the current folder
        env=os.environ | {CHILD: "1"},
        stdin=subprocess.PIPE,  # never written to; the child ends when it closes, with this process
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,  # so that Ctrl-C reaches it once, from us: a second one would stop it before it saves
    ) as child:
        assert child.stderr is not None
        try:
            for line in child.stderr:
                say(line.rstrip())
                last = line.strip() or last
            code = child.wait()
        except KeyboardInterrupt as stop:
            _stop(child)
            raise Interrupted(f"in {run.name}; give the same command again to resume", number_of(stop)) from None
    if code == 0:
        return None
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return last.removeprefix("error: ") or f"exit status {code}"


def _wait_for_killed(folder: Path) -> None:
    """Wait until the training of a sweep that was killed has saved and ended."""
    deadline = time.monotonic() + SAVING_SECONDS
    while is_held(folder / LOCK) and time.monotonic() < deadline:
        time.sleep(0.1)


def _stop(child: subprocess.Popen[str]) -> None:
    """Let a training save and end; a second Ctrl-C kills it."""
    try:
        if os.name != "nt":  # on Windows Ctrl-C reaches every process of the console by itself
            child.send_signal(signal.SIGINT)
        assert child.stderr is not None
        child.stderr.read()
        child.wait()  # stdin stays open: its end would be a second signal
    except KeyboardInterrupt:
        child.kill()
        child.wait()


def reached(folder: Path) -> str:
    """The validation metric and the seconds of a finished run, in words."""
    from seqaudio.evaluation.comparison import format_value
    from seqaudio.evaluation.results import main_metric, read_results

    data = read_results(folder)
    metric = main_metric(data["valid"])
    return f"{metric} {format_value(metric, data['valid'][metric])}, {data['wall_seconds']:,.0f} s"


def table(folders: Sequence[Path]) -> Iterator[str]:
    """Lines of a table of finished runs, the best on validation first; one table for each store or task."""
    from seqaudio.evaluation.run_groups import read_run

    problems: dict[str, list[FinishedRun]] = {}
    for folder in folders:
        run = read_run(folder)
        problems.setdefault(run.store, []).append(run)
    for runs in problems.values():
        yield from _table_of(runs)


def _table_of(runs: Sequence[FinishedRun]) -> Iterator[str]:
    from seqaudio.evaluation.comparison import better_when, format_value
    from seqaudio.evaluation.results import main_metric

    metric = main_metric(dict(runs[0].valid))
    width = max(len("run"), *(len(run.path.name) for run in runs))
    yield f"  {'run':<{width}} {metric:>16} {'parameters':>11} {'seconds':>9}"
    for run in sorted(runs, key=lambda run: run.valid[metric], reverse=better_when(metric) == "higher"):
        value = format_value(metric, run.valid[metric])
        yield f"  {run.path.name:<{width}} {value:>16} {run.parameters:>11,} {run.seconds:>9,.0f}"
