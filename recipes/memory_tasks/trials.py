"""The trainings of a comparison of cells: equal parameters and steps, one trial a learning rate, validation chooses."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from seqaudio.cli.scripts import load, recipes
from seqaudio.errors import DivergedError, OptionError
from seqaudio.evaluation.finishing import begun_run
from seqaudio.evaluation.results import read_results
from seqaudio.files import write_json
from seqaudio.json_files import read_json_lines
from seqaudio.models import build_model

# their gates see the layer's inputs alone, so that the first layer cannot tell where it is in a sequence
TWO_LAYERS = ("min_gru", "min_lstm")
TOLERANCE = 0.02  # of the number of parameters

train, evaluate = (load(recipes(file)["memory_tasks"]) for file in ("train.py", "evaluate.py"))


@dataclass(frozen=True)
class Trial:
    """One training of one cell."""

    options: Any  # of train.py
    metrics: dict[str, float] | None  # on validation; None where the training broke off
    seconds: float


def options_of(config: Any, cell: str, learning_rate: float) -> Any:
    """The options of train.py for one trial of a cell, or CELL@INITIALISATION.

    config: with out, task, length, parameters, steps, check_every, batch_size, clip_norm, seed, device.
    """
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


def task_of(config: Any) -> Any:
    """The problem that a study is about."""
    return train.task_of(train.Config(run=config.out, task=config.task, length=config.length))


def row_name(config: Any, cell: str) -> str:
    """A name for files: `adding_600_lstm_chrono600_1`, the seed last."""
    words = cell.replace("@", "_").replace("+", "_").replace(",", "-").replace("=", "")
    return f"{config.task}_{task_of(config).length}_{words}_{config.seed}"


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
    """Train, or go on with it, or read what it reached. Raises RunError for a run that was made with other options."""
    begun = begun_run(options.run, options)
    if not (options.run / "results.json").is_file():
        try:
            train.main(replace(options, resume=begun))
        except DivergedError as error:  # an outcome of the trial, not the end of the study
            print(f"{options.run}: {error}")
            return Trial(options, None, seconds_until_last_check(options.run))
    data = read_results(options.run)
    return Trial(options, data["valid"], data["wall_seconds"])


def seconds_until_last_check(folder: Path) -> float:
    """Training time of a run that has broken off."""
    lines = read_json_lines(folder / "metrics.jsonl")
    return float(lines[-1]["seconds"]) if lines else 0.0


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
    rates = {f"{trial.options.learning_rate:g}": trial.metrics and trial.metrics[metric] for trial in trials}
    seconds = round(sum(trial.seconds for trial in trials), 1)
    data["tuning"] = {"learning_rates": rates, "steps": chosen.options.steps, "wall_seconds": seconds}
    write_json(folder / "results.json", data)
    return data
