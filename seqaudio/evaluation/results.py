"""What a run reached: `results.json` in its folder, and `docs/results.md` from the results that are published.

python -m seqaudio.evaluation.results publish RUN NAME   copies RUN/results.json to docs/results/NAME.json
python -m seqaudio.evaluation.results page               writes docs/results.md from docs/results/*.json
"""

from __future__ import annotations

import json
import os
import platform
import re
import statistics
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from seqaudio.errors import OptionError, RunError
from seqaudio.files import write_bytes, write_json

FORMAT = 1
LIBRARIES = ("seqaudio", "torch", "numpy")
PAGE_HEAD = """# Results

Written by `make results` from the files in `docs/results/`, one a published run. Nothing here is typed by hand.
Validation chose the epoch; the test split was opened by `evaluate.py` alone, as often as the last column says.
"""


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
    """The content of `results.json` after training; `evaluate.py` fills in `test` later.

    baselines: {name: {"valid": {metric: value}, "test": {...}}}, on the same sequences as the model.
    """
    return {
        "format": FORMAT,
        "recipe": recipe,
        "seed": seed,
        "valid": valid,
        "test": None,
        "test_reads": 0,
        "baselines": baselines,
        "parameters": parameters,
        "wall_seconds": round(wall_seconds, 1),
        "command": command,
        "versions": {name: version(name) for name in LIBRARIES} | {"python": platform.python_version()},
        "machine": machine(),
    }


def command_line() -> str:
    """The command that is running, as one would type it again."""
    program = Path(sys.argv[0])
    if program.stem == "seqaudio" or program.parts[-2:] == ("cli", "main.py"):
        return " ".join(["seqaudio", *sys.argv[1:]])
    return " ".join(["python", program.as_posix(), *sys.argv[1:]])


def machine() -> str:
    """Cores, system and processor, without a name of the machine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cores} cores, {platform.system()} {platform.machine()}"


def read_results(run: Path) -> dict[str, Any]:
    """A run's results. Raises RunError before its training is finished."""
    file = run / "results.json"
    if not file.is_file():
        raise RunError(f"{run}: has no results.json; finish its training with train.py --resume")
    data: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return data


def record_test(
    run: Path, metrics: dict[str, float], baselines: dict[str, dict[str, float]], store_fingerprint: str
) -> None:
    """Add a reading of the test split to `test_reads.tsv` and put its metrics into `results.json`."""
    data = read_results(run)
    reads = run / "test_reads.tsv"
    if not reads.exists():
        reads.write_text("time\tstore\tmetrics\n", encoding="utf-8")
    with reads.open("a", encoding="utf-8") as file:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        file.write(f"{now}\t{store_fingerprint}\t{json.dumps(metrics)}\n")
    data["test"] = metrics
    data["test_reads"] = len(reads.read_text(encoding="utf-8").splitlines()) - 1
    for name, values in baselines.items():
        data["baselines"].setdefault(name, {})["test"] = values
    write_json(run / "results.json", data)


# --- published results ---


def publish(run: Path, name: str, folder: Path) -> Path:
    """Copy a run's results into the folder of published ones. Raises RunError where test was not read."""
    data = read_results(run)
    if data["test"] is None:
        raise RunError(f"{run}: its test split was not read; run evaluate.py --run {run} --split test first")
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / f"{name}.json", data)
    return folder / f"{name}.json"


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


def main_metric(metrics: dict[str, float]) -> str:
    """The metric that a table shows."""
    return next(name for name in ("accuracy", "nats_per_event", *metrics) if name in metrics)


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
    from seqaudio.cli.options import guarded

    sys.exit(guarded(lambda: main(sys.argv[1:])))
