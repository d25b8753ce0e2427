"""Compare runs: do they differ by more than their seeds? Groups, means, spreads, a verdict for each pair, curves.

Example: seqaudio compare runs/sweep --png curves.png
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from seqaudio.cli.outputs import PICTURES, check_output, written
from seqaudio.errors import OptionError
from seqaudio.files import json_text
from seqaudio.registry import did_you_mean

if TYPE_CHECKING:
    from seqaudio.evaluation.comparison import Difference
    from seqaudio.evaluation.run_groups import FinishedRun, RunGroup


@dataclass(frozen=True)
class Config:
    """The runs to compare, and the metric."""

    runs: tyro.conf.Positional[tuple[Path, ...]]  # run folders, or folders of them, of one recipe and one store
    metric: str | None = None  # such as nats_per_clip; by default the one in docs/results.md
    png: Path | None = None  # picture of all curves to write
    json: bool = False  # print all numbers as JSON instead of the table
    force: bool = False  # replace an existing picture


@dataclass(frozen=True)
class Comparison:
    """Two groups of runs compared on one split."""

    a: str
    b: str
    split: str
    difference: Difference
    verdict: str


def main(config: Config) -> None:
    """Group the runs, print a table and a verdict for each pair, draw the curves."""
    if config.png is not None:
        check_output("--png", config.png, PICTURES, config.force)

    from seqaudio.evaluation.run_groups import group_runs, read_run, run_folders

    runs = [read_run(path) for path in run_folders(config.runs)]
    groups = group_runs(runs)
    metric = chosen_metric(config.metric, runs)
    groups = ranked(groups, metric)
    found = comparisons(groups, metric)
    print(json_text(as_json(groups, metric, found)) if config.json else "\n".join(described(groups, metric, found)))
    if config.png is not None:
        draw(groups, config.png)


def chosen_metric(name: str | None, runs: Sequence[FinishedRun]) -> str:
    """The metric to compare. Raises OptionError if a run has none of that name on validation."""
    from seqaudio.evaluation.results import main_metric

    metric = main_metric(dict(runs[0].valid)) if name is None else name
    for run in runs:
        known = [key for key in run.valid if key != "count"]
        if metric not in known:
            raise OptionError(f"{run.path} has no metric {metric!r} on validation; {did_you_mean(metric, known)}")
    return metric


def ranked(groups: Sequence[RunGroup], metric: str) -> list[RunGroup]:
    """The groups, that with the best mean on validation first."""
    from seqaudio.evaluation.comparison import better_when

    means = {group.name: statistics.mean(run.valid[metric] for run in group.runs) for group in groups}
    return sorted(groups, key=lambda group: means[group.name], reverse=better_when(metric) == "higher")


def comparisons(groups: Sequence[RunGroup], metric: str) -> list[Comparison]:
    """Each pair of groups on validation, then on test where all runs of both groups were evaluated on test."""
    from seqaudio.evaluation.comparison import difference, smallest_step, verdict
    from seqaudio.evaluation.run_groups import SPLITS

    found = []
    for split in SPLITS:
        for a, b in combinations(groups, 2):
            of_a, of_b = a.values(metric, split), b.values(metric, split)
            if of_a is None or of_b is None:
                continue
            metrics = a.runs[0].valid if split == "valid" else a.runs[0].test
            count = int(metrics["count"]) if metrics is not None else 0
            outcome = difference(of_a, of_b, smallest_step(metric, count))
            found.append(Comparison(a.name, b.name, split, outcome, verdict(outcome, metric, a.name, b.name)))
    return found


def described(groups: Sequence[RunGroup], metric: str, found: Sequence[Comparison]) -> Iterator[str]:
    """The lines that the command prints."""
    from seqaudio.evaluation.comparison import CONFIDENCE, better_when

    first = groups[0].runs[0]
    yield f"{first.recipe} on store {first.store[:16]}, {metric} ({better_when(metric)} is better)"
    width = max(len("group"), *(len(group.name) for group in groups))
    columns = ("valid", "sd", "test", "sd", "test reads", "parameters", "seconds")
    yield f"  {'group':<{width}} {'n':>3}" + "".join(f" {column:>11}" for column in columns)
    for group in groups:
        cells = [*_cells(group, metric, "valid"), *_cells(group, metric, "test"), *_costs(group)]
        yield f"  {group.name:<{width}} {len(group.runs):>3}" + "".join(f" {cell:>11}" for cell in cells)
    for split, what in (("valid", "validation"), ("test", "test")):
        yield from _errors(groups, metric, split, what, width)
    for split, what in (("valid", "validation"), ("test", "test")):
        here = [comparison for comparison in found if comparison.split == split]
        if not here:
            continue
        yield f"on {what}:"
        for comparison in here:
            how = "paired by seed" if comparison.difference.paired else "not paired, seeds differ"
            yield f"  {comparison.verdict}" + (f" [{how}]" if comparison.difference.interval else "")
        if sum(comparison.difference.interval is not None for comparison in here) > 1:
            chance = f"{100 * (1 - CONFIDENCE):.0f} %"
            yield f"  each pair is tested by itself: equal groups appear different with a probability of {chance}"
    if len({run.machine for group in groups for run in group.runs}) > 1:
        yield "seconds were measured on different machines"


def _cells(group: RunGroup, metric: str, split: str) -> tuple[str, str]:
    from seqaudio.evaluation.comparison import format_value

    summary = group.summary(metric, split)
    if summary is None:
        return "not read", "-"
    spread = summary["sd"]
    return format_value(metric, summary["mean"]), "-" if spread is None else format_value(metric, spread)


def _errors(groups: Sequence[RunGroup], metric: str, split: str, what: str, width: int) -> Iterator[str]:
    """Lines with the items that each run missed, where the metric is a share of items."""
    from seqaudio.evaluation.comparison import format_gap, format_value

    found = {group.name: errors for group in groups if (errors := group.errors(metric, split)) is not None}
    if not found:
        return
    intervals = ", 95 % interval of one reading" if any(errors.interval for errors in found.values()) else ""
    yield f"errors on {what} by seed{intervals}:"
    for name, errors in found.items():
        missed = ", ".join(f"{count:,}" for count in errors.by_seed.values())
        line = f"  {name:<{width}} {missed} of {errors.items:,}"
        if errors.interval is not None:
            low, high = errors.interval
            line += f", {format_gap(metric, low)} .. {format_value(metric, high)}"
        yield line


def _costs(group: RunGroup) -> tuple[str, str, str]:
    sizes = sorted({run.parameters for run in group.runs})
    seconds = statistics.mean(run.seconds for run in group.runs)
    reads = sum(run.test_reads for run in group.runs)
    return f"{reads:,}", "..".join(f"{size:,}" for size in sizes), f"{seconds:,.0f}"


def as_json(groups: Sequence[RunGroup], metric: str, found: Sequence[Comparison]) -> dict[str, Any]:
    """All numbers of the table, and the value of each run."""
    from seqaudio.evaluation.comparison import better_when

    first = groups[0].runs[0]
    return {
        "recipe": first.recipe,
        "store": first.store,
        "metric": metric,
        "better_when": better_when(metric),
        "groups": [
            {
                "name": group.name,
                "n": len(group.runs),
                "runs": [str(run.path) for run in group.runs],
                "valid": group.summary(metric, "valid"),
                "test": group.summary(metric, "test"),
                "errors": {split: _errors_as_json(group, metric, split) for split in ("valid", "test")},
                "test_reads": [run.test_reads for run in group.runs],
                "parameters": [run.parameters for run in group.runs],
                "seconds": [run.seconds for run in group.runs],
            }
            for group in groups
        ],
        "comparisons": [
            {
                "a": comparison.a,
                "b": comparison.b,
                "split": comparison.split,
                "gap": comparison.difference.gap,
                "interval": comparison.difference.interval,
                "paired": comparison.difference.paired,
                "found": comparison.difference.found,
                "verdict": comparison.verdict,
            }
            for comparison in found
        ],
    }


def _errors_as_json(group: RunGroup, metric: str, split: str) -> dict[str, Any] | None:
    errors = group.errors(metric, split)
    return None if errors is None else errors._asdict()


def draw(groups: Sequence[RunGroup], path: Path) -> None:
    """Draw the curves of all runs."""
    from seqaudio.evaluation.comparison_figure import draw_comparison
    from seqaudio.evaluation.figures import read_metrics

    curves = {group.name: [read_metrics(run.path / "metrics.jsonl") for run in group.runs] for group in groups}
    with written(path):
        draw_comparison(curves, path, title=groups[0].runs[0].recipe.replace("_", " "))
