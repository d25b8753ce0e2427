"""Publish a run's results, and write docs/results.md from all that are published.

python docs/pages/results_page.py publish RUN NAME   copies RUN/results.json to docs/results/NAME.json
python docs/pages/results_page.py page               writes docs/results.md from docs/results/*.json
"""

from __future__ import annotations

import json
import re
import statistics
import sys
from pathlib import Path
from typing import Any

from seqaudio.cli.options import guarded
from seqaudio.errors import OptionError
from seqaudio.evaluation.results import main_metric, publish
from seqaudio.files import write_bytes

PAGE_HEAD = """# Results

Written by `make results` from the files in `docs/results/`, one a published run. Nothing here is typed by hand.
Validation chose the epoch; the test split was opened by `evaluate.py` alone, as often as the last column says.
"""


def page(folder: Path) -> str:
    """The text of `docs/results.md`: a table a recipe, a row a run."""
    published = {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.json"))}
    parts = [PAGE_HEAD]
    for recipe in sorted({data["recipe"] for data in published.values()}):
        runs = {name: data for name, data in published.items() if data["recipe"] == recipe}
        parts.append(_table(recipe, runs))
    return "\n".join(parts)


def _table(recipe: str, runs: dict[str, dict[str, Any]]) -> str:
    title = recipe.replace("_", " ").capitalize()
    head = ["run", "seed", "valid", "test", "n", "baselines on test", "parameters", "seconds", "test reads"]
    lines = [f"## {title}", "", _row(head), _row(["---"] * len(head))]
    for name, data in runs.items():
        metric = main_metric(data["test"])
        baselines = [
            f"{baseline} {_number(metric, values['test'][metric])}"
            for baseline, values in data["baselines"].items()
            if metric in values.get("test", {})
        ]
        lines.append(
            _row(
                [
                    name,
                    str(data["seed"]),
                    _number(metric, data["valid"][metric]),
                    f"**{_number(metric, data['test'][metric])}**",
                    f"{data['test']['count']:,}",
                    ", ".join(baselines),
                    f"{data['parameters']:,}",
                    f"{data['wall_seconds']:,.0f}",
                    str(data["test_reads"]),
                ]
            )
        )
    metrics = sorted({main_metric(data["test"]) for data in runs.values()})
    lines += ["", f"Valid and test are `{'`, `'.join(metrics)}`. The commands:", ""]
    for name, data in runs.items():
        lines.append(f"- {name}: `{data['command']}` ({data['machine']}, torch {data['versions']['torch']})")
    lines += _over_seeds(runs)
    return "\n".join([*lines, ""])


def _over_seeds(runs: dict[str, dict[str, Any]]) -> list[str]:
    """Mean and spread of runs that are named alike but for a number behind `_`: those of other seeds."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for name, data in runs.items():
        groups.setdefault(re.sub(r"_\d+$", "", name), []).append(data)
    lines = []
    for name, group in groups.items():
        if len(group) < 2:
            continue
        metric = main_metric(group[0]["test"])
        values = [data["test"][metric] for data in group]
        mean, spread = statistics.mean(values), statistics.stdev(values)
        lines.append(
            f"- {name}: {len(group)} seeds, mean {_number(metric, mean)}, "
            f"standard deviation {_number(metric, spread)}, "
            f"from {_number(metric, min(values))} to {_number(metric, max(values))}"
        )
    return ["", "Over seeds, on test:", "", *lines] if lines else []


def _number(metric: str, value: float) -> str:
    return f"{100 * value:.2f} %" if metric == "accuracy" else f"{value:.4f}"


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def main(arguments: list[str]) -> None:
    """Run one of the two commands of this module."""
    folder = Path("docs/results")
    if arguments[:1] == ["publish"] and len(arguments) == 3:
        print(publish(Path(arguments[1]), arguments[2], folder))
    elif arguments == ["page"]:
        write_bytes(Path("docs/results.md"), page(folder).encode("utf-8"))
        print("docs/results.md")
    else:
        raise OptionError(f"got {arguments}, expected `publish RUN NAME` or `page`")


if __name__ == "__main__":
    sys.exit(guarded(lambda: main(sys.argv[1:])))
