"""Compare cells on a memory problem: equal parameters, equal steps, the same learning rates tried for each.

    recipes/memory_tasks/study.py --out runs/memory --task adding
    recipes/memory_tasks/study.py --out runs/memory --task copy --cells lstm lstm@chrono=200

Every cell is trained once with each learning rate; validation chooses, and the test split is read for the chosen run
alone. Stop with Ctrl-C and go on with the same command: finished runs are kept.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from seqaudio.cli.options import run
from seqaudio.cli.scripts import load, recipes
from seqaudio.errors import OptionError, RunError
from seqaudio.evaluation.results import publish, read_results
from seqaudio.files import write_json
from seqaudio.models import build_model
from seqaudio.run_folder import RunFolder, run_settings

CELLS = (
    "elman",
    "elman_relu@identity",
    "lstm",
    "lstm@chrono={length}",
    "gru",
    "gru@chrono={length}",
    "peephole_lstm@chrono={length}",
    "layer_norm_lstm@chrono={length}",
    "min_gru@chrono={length}",
    "min_lstm@chrono={length}",
)
# their gates see the layer's inputs alone, so that the first layer cannot tell where it is in a sequence
TWO_LAYERS = ("min_gru", "min_lstm")
TOLERANCE = 0.02  # of the number of parameters

train, evaluate = (load(recipes(file)["memory_tasks"]) for file in ("train.py", "evaluate.py"))


@dataclass(frozen=True)
class Config:
    """Options of the study."""

    out: Path  # folder of the runs, one a trial; the same one goes on with a study
    task: Literal["adding", "copy"] = "adding"
    length: int | None = None  # steps to remember over; 600 for adding, 200 for copy where none is given
    cells: tuple[str, ...] = ()  # CELL or CELL@INITIALISATION; the ten of the study where none is named
    learning_rates: tuple[float, ...] = (1e-2, 2e-2)  # the trials of each cell
    parameters: int = 5_000  # trainable numbers of every model, within 2 %
    steps: int = 1_500  # updates of every trial
    check_every: int = 250  # updates between two looks at validation
    batch_size: int = 20  # sequences
    clip_norm: float = 1.0  # largest norm of the gradient
    seed: int = 1
    device: str = "auto"
    publish: Path | None = None  # folder that takes a copy of the results of each chosen run: docs/results


@dataclass(frozen=True)
class Trial:
    """One training of one cell."""

    options: Any  # of train.py
    metrics: dict[str, float] | None  # on validation; None where the training broke off
    seconds: float


def options_of(config: Config, cell: str, learning_rate: float) -> Any:
    """The options of train.py for one trial."""
    name, _, initialisation = cell.partition("@")
    return train.Config(
        run=config.out / row_name(config, cell) / f"rate_{learning_rate:g}",
        task=config.task,
        length=config.length,
        cell=name,
        initialisation=initialisation,
        parameters=config.parameters,
        layers=2 if name.partition("+")[0] in TWO_LAYERS else 1,
        steps=config.steps,
        check_every=config.check_every,
        batch_size=config.batch_size,
        learning_rate=learning_rate,
        clip_norm=config.clip_norm,
        seed=config.seed,
        device=config.device,
    )


def row_name(config: Config, cell: str) -> str:
    """A name for files: `adding_600_lstm_chrono600_1`, the seed last."""
    length = train.task_of(train.Config(run=config.out, task=config.task, length=config.length)).length
    words = cell.replace("@", "_").replace("+", "_").replace(",", "-").replace("=", "")
    return f"{config.task}_{length}_{words}_{config.seed}"


def check_budget(options: Any) -> None:
    """Raise OptionError where no width brings the model within 2 % of the number of parameters."""
    description = train.model_of(options)
    count = build_model(**description).parameter_count()
    if abs(count - options.parameters) > TOLERANCE * options.parameters:
        raise OptionError(
            f"{options.cell} has {count:,} parameters at its nearest width {description['arguments']['hidden_size']}, "
            f"expected {options.parameters:,} within {TOLERANCE:.0%}; choose another --parameters"
        )


def run_trial(options: Any) -> Trial:
    """Train, or go on with it, or read what it reached."""
    if options.run.exists():
        made_with = RunFolder(options.run).settings
        if made_with != run_settings(options):
            differing = [name for name, value in run_settings(options).items() if made_with.get(name) != value]
            raise RunError(f"{options.run} was made with another {', '.join(differing)}; choose another --out")
    if not (options.run / "results.json").is_file():
        try:
            train.main(train.Config(**{**vars(options), "resume": options.run.exists()}))
        except RunError as error:  # gradients that are not finite: an outcome of the trial, not of the study
            print(f"{options.run}: {error}")
            return Trial(options, None, seconds_until_last_check(options.run))
    data = read_results(options.run)
    return Trial(options, data["valid"], data["wall_seconds"])


def seconds_until_last_check(folder: Path) -> float:
    """Training time of a run that has broken off."""
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return float(json.loads(lines[-1])["seconds"]) if lines else 0.0


def choose(trials: list[Trial], metric: str) -> Trial | None:
    """The trial that is best on validation; None where all broke off."""
    finished = [trial for trial in trials if trial.metrics is not None]
    return min(finished, key=lambda trial: trial.metrics[metric], default=None)


def read_test(chosen: Trial, trials: list[Trial], metric: str) -> dict[str, Any]:
    """Results of the chosen run with its test split read once, and with the trials among which it was chosen."""
    folder = chosen.options.run
    if read_results(folder)["test"] is None:
        evaluate.main(evaluate.Config(run=folder, split="test"))
    data = read_results(folder)
    data["tuning"] = {
        "learning_rates": {
            f"{trial.options.learning_rate:g}": None if trial.metrics is None else trial.metrics[metric]
            for trial in trials
        },
        "steps": chosen.options.steps,
        "wall_seconds": round(sum(trial.seconds for trial in trials), 1),
    }
    write_json(folder / "results.json", data)
    return data


def table(rows: dict[str, dict[str, Any] | None], metric: str) -> str:
    """What each cell reached, as lines of equal columns."""
    lines = [f"{'':<44}{'parameters':>11}{'valid':>10}{'test':>10}{'seconds':>9}  {metric} by learning rate"]
    for name, data in rows.items():
        if data is None:
            lines.append(f"{name:<44}  no trial has ended with finite gradients")
            continue
        trials = data["tuning"]["learning_rates"].items()
        tried = ", ".join(f"{rate}: {'broke off' if value is None else f'{value:.5f}'}" for rate, value in trials)
        lines.append(
            f"{name:<44}{data['parameters']:>11,}{data['valid'][metric]:>10.5f}{data['test'][metric]:>10.5f}"
            f"{data['tuning']['wall_seconds']:>9,.0f}  {tried}"
        )
    return "\n".join(lines)


def main(config: Config) -> None:
    """Run all trials that are missing, read the test split of the chosen ones, print the table."""
    task = train.task_of(train.Config(run=config.out, task=config.task, length=config.length))
    cells = [cell.format(length=task.length) for cell in config.cells or CELLS]
    plans = {cell: [options_of(config, cell, rate) for rate in config.learning_rates] for cell in cells}
    for options in plans.values():
        check_budget(options[0])
    rows: dict[str, dict[str, Any] | None] = {}
    for cell, plan in plans.items():
        trials = [run_trial(options) for options in plan]
        chosen = choose(trials, task.metric)
        name = row_name(config, cell)
        rows[name] = None if chosen is None else read_test(chosen, trials, task.metric)
        if chosen is not None and config.publish is not None:
            publish(chosen.options.run, name, config.publish)
    print(table(rows, task.metric))


if __name__ == "__main__":
    run(Config, main)
