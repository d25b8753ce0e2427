"""Write, read and publish `results.json`, the results of a run in its folder."""

from __future__ import annotations

import math
import os
import platform
import shlex
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from seqaudio.errors import RunError
from seqaudio.extensions import used
from seqaudio.files import json_text, write_json
from seqaudio.json_files import Count, Metrics, checked, read_json
from seqaudio.option_groups import flat_defaults, flat_values, groups_of
from seqaudio.run_folder import RunFolder, TrainedOn
from seqaudio.store import Store

FORMAT = 1
LIBRARIES = ("seqaudio", "torch", "numpy")


@dataclass(frozen=True)
class Results:
    """The fields of `results.json` that are read back; a recipe may add others."""

    seed: int
    valid: Metrics
    parameters: Count
    wall_seconds: float
    machine: str
    format: int = FORMAT
    recipe: str = ""
    test: Metrics | None = None
    test_reads: Count = 0
    tests: dict[str, dict[str, Any]] = field(default_factory=dict)
    baselines: dict[str, dict[str, Metrics]] = field(default_factory=dict)
    command: str = ""
    mse_by_step: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not any(math.isfinite(value) for value in self.valid.values()):
            raise ValueError("valid has no metric with a finite value")


WITH_DEFAULT = ("test", "test_reads", "tests", "baselines")  # fields that others may leave out


def results(
    *,
    recipe: str,
    seed: int,
    valid: dict[str, float],
    baselines: dict[str, dict[str, dict[str, float]]],
    parameters: int,
    wall_seconds: float,
    command: str,
) -> dict[str, Any]:
    """The content of `results.json` after training; `seqaudio evaluate` adds `test` later.

    baselines: {name: {"valid": {metric: value}, "test": {...}}}, on the same sequences as the model; n-grams have
        their order beside the metrics.
    """
    return {
        "format": FORMAT,
        "recipe": recipe,
        "seed": seed,
        "valid": valid,
        "test": None,
        "test_reads": 0,
        "tests": {},
        "baselines": baselines,
        "parameters": parameters,
        "wall_seconds": round(wall_seconds, 1),
        "command": command,
        "versions": {name: version(name) for name in LIBRARIES} | {"python": platform.python_version()},
        "machine": machine(),
    }


def command_line() -> str:
    """The running command, as one would type it."""
    program = Path(sys.argv[0])
    if program.stem == "seqaudio" or program.parts[-2:] == ("cli", "main.py"):
        return " ".join(["seqaudio", *sys.argv[1:]])
    return " ".join(["python", program.as_posix(), *sys.argv[1:]])


def command_of(recipe: str, config: Any) -> str:
    """The command that repeats a training: each option that differs from its default, and the user's own files."""
    words = ["python", f"recipes/{recipe}/train.py"]
    values, defaults = flat_values(config), flat_defaults(type(config))
    in_order = [name for group in groups_of(type(config)) for name in group.options]
    for name in dict.fromkeys([*in_order, *values]):
        value, option = values[name], name.replace("_", "-")
        if name == "resume" or (name in defaults and value == defaults[name]):
            continue
        given = value if isinstance(value, list) else [] if isinstance(value, bool) else [value]
        words += [f"--no-{option}"] if value is False else [f"--{option}", *map(str, given)]
    return shlex.join([*words, *(f"--use={extension.file}" for extension in used())])


def machine() -> str:
    """Cores, system and processor, without the name of the machine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cores} cores, {platform.system()} {platform.machine()}"


def read_results(run: Path) -> dict[str, Any]:
    """A run's results. Raises RunError before its training is finished, and for a damaged file."""
    file = run / "results.json"
    if not file.is_file():
        raise RunError(f"{run}: has no results.json; finish its training with seqaudio train NAME --run {run} --resume")
    try:
        data: dict[str, Any] = read_json(file)
        found = checked(Results, data)
    except ValueError as error:
        raise RunError(f"{file}: damaged ({error}); train the run again") from None
    if found.format != FORMAT:
        raise RunError(f"{file}: format {found.format}, this version reads {FORMAT}; train the run again")
    return {name: getattr(found, name) for name in WITH_DEFAULT} | data


def record_test(
    run: Path,
    metrics: dict[str, float],
    baselines: dict[str, dict[str, float]],
    data: TrainedOn,
    details: dict[str, Any] | None = None,
) -> None:
    """Add a reading of a test split to `test_reads.tsv`, and put its metrics into `results.json`.

    `tests` has the latest reading of each test set, by the fingerprint of its store; `items` there is equal wherever
    the test items are the same ones, see `Store.items`. `test`, `test_details` and `test_reads` are those of the store
    that the run was trained on, or of the latest as long as its own was never read.

    details: further values of this reading.
    """
    kept = read_results(run)
    reads = count_test_read(run, data, metrics)
    read_before = [line.split("\t")[1] for line in reads.read_text(encoding="utf-8").splitlines()[1:]]
    own = RunFolder(run).config["store"]
    about = {"test": metrics, "test_details": details, "test_reads": read_before.count(data.fingerprint)}
    about = {name: value for name, value in about.items() if value is not None}
    where = {"store": data.path.name, "items": data.items("test")} if isinstance(data, Store) else {"store": ""}
    kept["tests"][data.fingerprint] = where | about
    if data.fingerprint == own or own not in read_before:
        kept.pop("test_details", None)
        kept |= about
        for name, values in baselines.items():
            kept["baselines"].setdefault(name, {})["test"] = values
    write_json(run / "results.json", kept)


def count_test_read(run: Path, data: TrainedOn, metrics: dict[str, float] | None = None) -> Path:
    """Add a line to a run's `test_reads.tsv`, which is returned; without metrics where other things were looked at."""
    reads = run / "test_reads.tsv"
    if not reads.exists():
        reads.write_text("time\tstore\tmetrics\n", encoding="utf-8")
    with reads.open("a", encoding="utf-8") as file:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        file.write(f"{now}\t{data.fingerprint}\t{json_text(metrics or {})}\n")
    return reads


def publish(run: Path, name: str, folder: Path) -> Path:
    """Copy a run's results to `folder/NAME.json`. Raises RunError where its test split was not read."""
    data = read_results(run)
    if data["test"] is None:
        raise RunError(f"{run}: its test split was not read; run seqaudio evaluate {run} --split test first")
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / f"{name}.json", data)
    return folder / f"{name}.json"


def with_order(name: str, scores: Mapping[str, Any]) -> str:
    """The name of a baseline for readers: that of n-grams says of which order they are."""
    return f"{name} of order {scores['order']:g}" if "order" in scores else name


def main_metric(metrics: dict[str, float]) -> str:
    """The metric that a table shows."""
    first = ("accuracy", "nats_per_frame", "nats_per_note", "nats_per_event")
    return next(name for name in (*first, *metrics) if metrics.get(name) is not None)
