"""Groups of published runs that differ by their seed alone, and what their figures come to."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from seqaudio.errors import RunError
from seqaudio.evaluation.results import main_metric, with_order

PLACES = ("run", "out")  # options that say where results go
TUNED = "learning-rate"  # option that a study chooses on validation, so that it is an outcome and no setting


@dataclass(frozen=True)
class PublishedRun:
    """One file of `docs/results/`."""

    name: str
    data: Mapping[str, Any]

    @property
    def seed(self) -> int:
        """The seed that the file states."""
        seed: int = self.data["seed"]
        return seed

    @property
    def stem(self) -> str:
        """Its name without the seed: `fsdd_gru` for `fsdd_gru_2` of seed 2."""
        return self.name.removesuffix(f"_{self.seed}")

    @property
    def settings(self) -> dict[str, str]:
        """All that decides what it computes besides the seed: the options of its command, and what a study tried."""
        left_out = {"seed", *PLACES}
        tried = {}
        if tuning := self.data.get("tuning"):
            left_out.add(TUNED)
            tried = {"tried": " ".join(sorted(tuning["learning_rates"], key=float))}
            lengths = {"updates": "steps", "epochs": "epochs"}
            tried |= {name: str(tuning[kept]) for name, kept in lengths.items() if kept in tuning}
        given = options(self.data["command"])
        return {"recipe": self.data["recipe"]} | {k: v for k, v in given.items() if k not in left_out} | tried


@dataclass(frozen=True)
class Group:
    """Runs that differ by their seed alone."""

    name: str
    runs: tuple[PublishedRun, ...]  # by ascending seed

    @property
    def metric(self) -> str:
        """The metric that its table shows."""
        return main_metric(self.runs[0].data["test"])

    @property
    def count(self) -> int:
        """Items that one reading of the test split scored."""
        return int(self.runs[0].data["test"]["count"])

    def values(self, metric: str) -> list[float]:
        """A metric of each run on test."""
        return [run.data["test"][metric] for run in self.runs]

    def baselines(self, metric: str) -> dict[str, float]:
        """A metric of each baseline on test, the mean over the runs; the names of n-grams say their order."""
        means = {}
        for name in self.runs[0].data["baselines"]:
            scored = [run.data["baselines"][name].get("test", {}) for run in self.runs]
            if all(metric in scores for scores in scored):
                spelt = {with_order(name, scores) for scores in scored}
                means[spelt.pop() if len(spelt) == 1 else name] = statistics.mean(scores[metric] for scores in scored)
        return means

    def mean_errors(self) -> float:
        """Items that were missed, the mean over the runs; for an accuracy."""
        return statistics.mean(round((1 - value) * self.count) for value in self.values("accuracy"))

    @property
    def command(self) -> str:
        """The command of its runs with SEED in place of the seed, and RATE where a study chose several rates."""
        words = self.runs[0].data["command"].split()
        changes = {"seed": "SEED"}
        if "run" in options(self.runs[0].data["command"]):
            changes["run"] = f"runs/{self.name}_SEED"
        if len({options(run.data["command"]).get(TUNED) for run in self.runs}) > 1:
            changes[TUNED] = "RATE"
        for option, value in changes.items():
            words = _with_option(words, option, value)
        return " ".join(words)


@dataclass(frozen=True)
class Summary:
    """A figure over seeds."""

    mean: float
    deviation: float | None  # standard deviation of a sample; None for a single seed
    low: float
    high: float


def options(command: str) -> dict[str, str]:
    """The options of a command by name, without dashes; a flag has an empty value. `--a b` and `--a=b` are one."""
    found: dict[str, str] = {}
    name = None
    for word in command.split():
        if word.startswith("--"):
            name, _, value = word[2:].partition("=")
            found[name] = value
        elif name is not None:
            found[name] = f"{found[name]} {word}".strip()
    return found


def _with_option(words: Sequence[str], option: str, value: str) -> list[str]:
    """The words of a command with the value of an option replaced, or with the option added at the end."""
    changed = list(words)
    for place, word in enumerate(words):
        if word == f"--{option}":
            changed[place + 1] = value
            return changed
        if word.startswith(f"--{option}="):
            changed[place] = f"--{option}={value}"
            return changed
    return [*changed, f"--{option}", value]


def summary(values: Sequence[float]) -> Summary:
    """Mean, standard deviation and range. Raises statistics.StatisticsError for no values."""
    deviation = statistics.stdev(values) if len(values) > 1 else None
    return Summary(statistics.mean(values), deviation, min(values), max(values))


def group_runs(published: Mapping[str, Mapping[str, Any]]) -> list[Group]:
    """Runs of equal settings together, by name. published: the content of each file by its name.

    Raises RunError where names and commands disagree, where a seed comes twice, or where the runs of a group have
    different metrics, counts, baselines or parameters.
    """
    found: dict[tuple[tuple[str, str], ...], list[PublishedRun]] = {}
    for name in sorted(published):
        run = PublishedRun(name, published[name])
        stated = options(run.data["command"]).get("seed", str(run.seed))
        if stated != str(run.seed):
            raise RunError(f"{name}: its seed is {run.seed} and its command has --seed {stated}; publish the run again")
        found.setdefault(tuple(sorted(run.settings.items())), []).append(run)
    groups = [_group(sorted(runs, key=lambda run: run.seed)) for runs in found.values()]
    groups.sort(key=lambda group: group.name)
    for before, group in pairwise(groups):
        if before.name == group.name:
            a, b = before.runs[0], group.runs[0]
            raise RunError(
                f"{a.name} and {b.name} are named as seeds of one setting, but differ in {_differing(a, b)}; "
                f"rename one of them"
            )
    return groups


def _group(runs: Sequence[PublishedRun]) -> Group:
    """Runs of equal settings as a group, once they are found to be of one name, one test set and one model."""
    first = runs[0]
    for before, run in pairwise(runs):
        if run.seed == before.seed:
            raise RunError(
                f"{before.name} and {run.name} have equal settings and seed {run.seed}: one result counted twice; "
                f"remove one of them"
            )
        if run.stem != first.stem:
            raise RunError(
                f"{first.name} and {run.name} differ by their seed alone and are named as different settings; "
                f"name both NAME_SEED with one NAME"
            )
        for what, expected, got in (
            ("metrics", _names(first.data["test"]), _names(run.data["test"])),
            ("a test count", first.data["test"]["count"], run.data["test"]["count"]),
            ("baselines", _names(first.data["baselines"]), _names(run.data["baselines"])),
            ("parameters", first.data["parameters"], run.data["parameters"]),
        ):
            if got != expected:
                raise RunError(
                    f"{first.name} has {what} of {expected}, {run.name} of {got}: runs of one group have equal ones; "
                    f"train and evaluate both on one store, by one version"
                )
    return Group(first.stem, tuple(runs))


def _names(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _differing(a: PublishedRun, b: PublishedRun) -> str:
    """The settings in which two runs differ, with both values."""
    names = sorted({name for name, _ in a.settings.items() ^ b.settings.items()})
    return ", ".join(f"{name} ({a.settings.get(name, 'none')}, {b.settings.get(name, 'none')})" for name in names)
