"""Read finished runs and group those that differ only in their seed."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from seqaudio.errors import OptionError, RunError
from seqaudio.evaluation.comparison import has_independent_items, smallest_step
from seqaudio.evaluation.intervals import wilson
from seqaudio.evaluation.results import read_results
from seqaudio.extensions import listed
from seqaudio.json_files import Metrics, fitted, parse_json, read_text
from seqaudio.run_folder import RunFolder

# settings that are paths; the hash of what lies there is compared instead
PLACES = ("store", "start_from", "config")
SPLITS = ("valid", "test")


@dataclass(frozen=True)
class FinishedRun:
    """Settings and results of a run."""

    path: Path
    recipe: str
    store: str  # fingerprint
    seed: int
    settings: Mapping[str, Any]  # all that determine its result, besides store and seed
    valid: Mapping[str, float]
    test: Mapping[str, float] | None  # the last reading of the test split of the store that it was trained on
    test_reads: int  # readings of any test split, of this or another store
    parameters: int
    seconds: float  # of the training
    machine: str


class Errors(NamedTuple):
    """The items that the runs of a group missed. A deviation over seeds says nothing where it is less than one item."""

    items: int
    by_seed: dict[int, int]
    interval: tuple[float, float] | None  # of the share, 95 % (Wilson), of one reading; None for dependent items


@dataclass(frozen=True)
class RunGroup:
    """Runs that differ only in their seed."""

    name: str  # the settings that distinguish it from the other groups
    runs: tuple[FinishedRun, ...]  # by ascending seed

    def values(self, metric: str, split: str) -> dict[int, float] | None:
        """A metric of each run by its seed; None where a run has none for that split. split: valid or test."""
        figures = {run.seed: run.valid if split == "valid" else run.test for run in self.runs}
        found = {seed: held[metric] for seed, held in figures.items() if held is not None and metric in held}
        return found if len(found) == len(self.runs) else None

    def summary(self, metric: str, split: str) -> dict[str, Any] | None:
        """Mean and standard deviation over the runs, with the values by seed; no deviation of a single run."""
        values = self.values(metric, split)
        if values is None:
            return None
        spread = statistics.stdev(values.values()) if len(values) > 1 else None
        return {"mean": statistics.mean(values.values()), "sd": spread, "by_seed": values}

    def errors(self, metric: str, split: str) -> Errors | None:
        """The items that each run missed; None for a metric that is no share of items, or was not measured there."""
        values, first = self.values(metric, split), self.runs[0]
        figures = first.valid if split == "valid" else first.test
        if values is None or figures is None or not smallest_step(metric, int(figures.get("count", 0))):
            return None
        count = int(figures["count"])
        by_seed = {seed: round((1 - value) * count) for seed, value in values.items()}
        independent = metric == "accuracy" and has_independent_items(figures)
        interval = wilson(statistics.mean(values.values()), count) if independent else None
        return Errors(count, by_seed, interval)


def run_folders(paths: Iterable[Path]) -> list[Path]:
    """The folders as given; one that contains runs, such as that of a sweep, is replaced by them."""
    found: list[Path] = []
    for path in paths:
        inside = () if (path / "config.json").is_file() else sorted(path.glob("*/config.json"))
        found += [file.parent for file in inside] or [path]
    return found


def read_run(path: Path) -> FinishedRun:
    """Read a run. Raises RunError for a folder that is no run, is not finished or is damaged."""
    folder = RunFolder(path)
    data = read_results(folder.path)
    config = folder.config
    # the model's arguments hold what a setting left open, such as the width for --parameters
    settings = folder.settings | config["model"]["arguments"] | {"use": listed(folder.extensions)}
    if config["parent"] is not None:
        settings["parent"] = json.dumps(config["parent"], sort_keys=True)
    seed = folder.setting("seed", int)
    try:
        test, reads = _test_readings(folder.path / "test_reads.tsv", config["store"])
        return FinishedRun(
            path=folder.path,
            recipe=folder.recipe,
            store=config["store"],
            seed=seed,
            settings={name: value for name, value in settings.items() if name not in ("seed", *PLACES)},
            valid=_finite(data["valid"], "valid"),
            test=test,
            test_reads=reads,
            parameters=data["parameters"],
            seconds=data["wall_seconds"],
            machine=data["machine"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path}: damaged ({type(error).__name__}: {error}); train it again") from None


def _test_readings(file: Path, store: str) -> tuple[dict[str, float] | None, int]:
    """The metrics of the last evaluation on the test split of `store`, and the number of readings of any store."""
    if not file.is_file():
        return None, 0
    lines = [line.split("\t", 2) for line in read_text(file).splitlines()[1:]]
    of_store = [metrics for _, read, metrics in lines if read == store and metrics != "{}"]
    return (_finite(parse_json(of_store[-1]), "test") if of_store else None), len(lines)


def _finite(metrics: Any, where: str) -> dict[str, float]:
    """Metrics without those that are not finite, which cannot be compared. Raises ValueError for anything else."""
    found: dict[str, float] = fitted(Metrics, metrics, where)
    return {name: value for name, value in found.items() if math.isfinite(value)}


def group_runs(runs: Sequence[FinishedRun]) -> list[RunGroup]:
    """Group runs of equal settings, in order of first appearance.

    Raises OptionError for runs of different recipes or stores, and for two of equal settings and seed.
    """
    if not runs:
        raise OptionError("no run was given; name at least one run folder")
    first = runs[0]
    for run in runs[1:]:
        for what, expected, got in (("recipe", first.recipe, run.recipe), ("store", first.store[:16], run.store[:16])):
            if got != expected:
                raise OptionError(
                    f"{first.path} is of {what} {expected}, {run.path} of {got}: their figures cannot be "
                    f"compared; give runs of one {what}"
                )
    groups: dict[str, list[FinishedRun]] = {}
    for run in runs:
        groups.setdefault(json.dumps(run.settings, sort_keys=True), []).append(run)
    for members in groups.values():
        members.sort(key=lambda run: run.seed)
        for before, run in pairwise(members):
            if run.seed == before.seed:
                raise OptionError(
                    f"{before.path} and {run.path} have equal settings and seed {run.seed}: one result would count "
                    f"twice; leave one of them out"
                )
    names = _names([members[0].settings for members in groups.values()])
    return [RunGroup(name, tuple(members)) for name, members in zip(names, groups.values(), strict=True)]


def _names(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """For each group, the settings that differ between groups."""
    if len(settings) == 1:
        return ["all runs"]
    known = list(dict.fromkeys(name for held in settings for name in held))
    telling = [name for name in known if len({json.dumps(held.get(name)) for held in settings}) > 1]
    return [", ".join(f"{name}={_shown(held.get(name))}" for name in telling) for held in settings]


def _shown(value: Any) -> str:
    if value is None or value == "":
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)
