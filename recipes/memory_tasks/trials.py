"""The trainings of a comparison of cells on generated tasks: equal parameters and steps, one trial a learning rate."""

from __future__ import annotations

from typing import Any

from seqaudio.cli.scripts import load, recipes
from seqaudio.evaluation import trials
from seqaudio.evaluation.trials import Trial

# their gates see the layer's inputs alone, so that the first layer cannot tell where it is in a sequence
TWO_LAYERS = ("min_gru", "min_lstm")

train, evaluate = (load(recipes(file)["memory_tasks"]) for file in ("train.py", "evaluate.py"))


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
    return f"{config.task}_{task_of(config).length}_{trials.file_words(cell)}_{config.seed}"


def check_budget(options: Any) -> None:
    """Raise OptionError where no width brings the model within 2 % of the number of parameters."""
    trials.check_budget(options.cell, train.model_of(options), options.parameters)


def run_trial(options: Any) -> Trial:
    """Train, or go on with it, or read what it reached. Raises RunError for a run that was made with other options."""
    return trials.run_trial(train.main, options)


def read_test(chosen: Trial, tried: list[Trial], metric: str) -> dict[str, Any]:
    """Results of the chosen run with its test split read once, and with the trials among which it was chosen."""

    def evaluated(folder: Any) -> None:
        evaluate.main(evaluate.Config(run=folder, split="test"))

    return trials.read_test(evaluated, chosen, tried, metric, {"steps": chosen.options.steps})
