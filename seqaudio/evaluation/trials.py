"""Compare cells: one training a learning rate, validation chooses, the test split is read for the chosen one alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from seqaudio.errors import DivergedError, OptionError
from seqaudio.evaluation.finishing import begun_run
from seqaudio.evaluation.results import read_results
from seqaudio.files import write_json
from seqaudio.json_files import read_json_lines
from seqaudio.models import build_model
from seqaudio.models.options import Description

TOLERANCE = 0.02  # of the number of parameters


@dataclass(frozen=True)
class Trial:
    """One training of one cell."""

    options: Any  # of train.py
    metrics: dict[str, float] | None  # on validation; None where the training broke off
    seconds: float


def file_words(cell: str) -> str:
    """A cell's text, such as `lstm@chrono=200`, as a part of a file name."""
    return cell.replace("@", "_").replace("+", "_").replace(",", "-").replace("=", "")


def check_budget(cell: str, description: Description, parameters: int) -> None:
    """Raise OptionError where no width brings the model within 2 % of the number of parameters."""
    count = build_model(**description).parameter_count()
    if abs(count - parameters) > TOLERANCE * parameters:
        raise OptionError(
            f"{cell} has {count:,} parameters at its nearest width {description['arguments']['hidden_size']}, "
            f"expected {parameters:,} within {TOLERANCE:.0%}; choose another --parameters"
        )


def run_trial(train: Callable[[Any], None], options: Any) -> Trial:
    """Train, or go on with it, or read what it reached. Raises RunError for a run that was made with other options.

    train: the `main` of a recipe's train.py.
    """
    begun = begun_run(options.run, options)
    if not (options.run / "results.json").is_file():
        try:
            train(replace(options, resume=begun))
        except DivergedError as error:  # an outcome of the trial, not the end of the study
            print(f"{options.run}: {error}")
            return Trial(options, None, _seconds_until_last_check(options.run))
    data = read_results(options.run)
    return Trial(options, data["valid"], data["wall_seconds"])


def _seconds_until_last_check(folder: Path) -> float:
    """Training time of a run that has broken off."""
    lines = read_json_lines(folder / "metrics.jsonl")
    return float(lines[-1]["seconds"]) if lines else 0.0


def choose(trials: list[Trial], metric: str) -> Trial | None:
    """The trial whose metric is least on validation; None where all broke off."""
    finished = [(trial.metrics[metric], number) for number, trial in enumerate(trials) if trial.metrics is not None]
    return trials[min(finished)[1]] if finished else None


def read_test(
    evaluate: Callable[[Path], None], chosen: Trial, trials: list[Trial], metric: str, about: dict[str, Any]
) -> dict[str, Any]:
    """Results of the chosen run with its test split read once, and with the trials among which it was chosen.

    Args:
        evaluate: reads the test split of a run.
        about: kept beside the trials under `tuning`.
    """
    folder = chosen.options.run
    if read_results(folder)["test"] is None:
        evaluate(folder)
    data = read_results(folder)
    rates = {f"{trial.options.learning_rate:g}": trial.metrics and trial.metrics[metric] for trial in trials}
    seconds = round(sum(trial.seconds for trial in trials), 1)
    data["tuning"] = {"learning_rates": rates, **about, "wall_seconds": seconds}
    write_json(folder / "results.json", data)
    return data


def table(rows: dict[str, dict[str, Any] | None], metric: str) -> str:
    """The results of each cell as lines of equal columns; None for a cell whose trials all broke off."""
    lines = [f"{'':<44}{'parameters':>11}{'valid':>10}{'test':>10}{'seconds':>9}  {metric} by learning rate"]
    for name, data in rows.items():
        if data is None:
            lines.append(f"{name:<44}  no trial has ended with finite gradients")
            continue
        rates = data["tuning"]["learning_rates"].items()
        tried = ", ".join(f"{rate}: {'broke off' if value is None else f'{value:.5f}'}" for rate, value in rates)
        lines.append(
            f"{name:<44}{data['parameters']:>11,}{data['valid'][metric]:>10.5f}{data['test'][metric]:>10.5f}"
            f"{data['tuning']['wall_seconds']:>9,.0f}  {tried}"
        )
    return "\n".join(lines)
