"""Train on a task that needs a long memory: the adding problem, or the copy problem.

    recipes/memory_tasks/train.py --run runs/adding --task adding --cell lstm --initialisation chrono=600
    recipes/memory_tasks/train.py --run runs/copy --task copy --cell layer_norm_lstm --initialisation chrono=200

Every batch has new random sequences, so there is no overfitting. The best weights are chosen on validation; only
`evaluate.py` reads the test split.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch

from seqaudio.batching import MEMORY_TASKS, CopyProblem, GeneratedBatches, MemoryTask, held_out
from seqaudio.bptt import TrainingOptions, train
from seqaudio.cli.options import run
from seqaudio.errors import OptionError
from seqaudio.evaluation.finishing import finish
from seqaudio.evaluation.metrics import evaluate
from seqaudio.evaluation.results import command_of
from seqaudio.models import Description, MemoryModelOptions, build_model

MODEL_OF_TASK: dict[str, tuple[str, dict[str, Any]]] = {
    "adding": ("series", {"input_size": 2}),
    "copy": ("recall", {"vocabulary_size": CopyProblem.vocabulary_size}),
}

PROBED_ROWS = 8  # validation sequences for --probe-every


@dataclass(frozen=True, kw_only=True)
class Config(MemoryModelOptions, TrainingOptions):
    """Options of the training."""

    FIRST: ClassVar = ("run", "task", "length", "cell", "steps", "batch_size", "learning_rate")
    GROUP: ClassVar = "data"

    task: Literal["adding", "copy"] = "adding"  # add two marked numbers, or repeat ten symbols after a silence
    length: int | None = None  # steps to remember over; by default 600 for adding, 200 for copy
    steps: int = 3_000  # updates
    check_every: int = 250  # updates from one validation to the next
    batch_size: int = 20  # sequences of a batch
    learning_rate: float = 1e-2  # of Adam, at the peak of the schedule
    epochs: int = field(init=False)  # number of validations, steps / check_every

    def __post_init__(self) -> None:
        if self.check_every < 1 or self.steps < 1 or self.steps % self.check_every:
            raise OptionError(
                f"--steps {self.steps} with --check-every {self.check_every}, expected a multiple of it; "
                f"change --steps or --check-every"
            )
        object.__setattr__(self, "epochs", self.steps // self.check_every)
        super().__post_init__()


def task_of(config: Config) -> MemoryTask:
    """The task that the options choose."""
    kind = MEMORY_TASKS[config.task]
    return kind() if config.length is None else kind(config.length)


def model_of(config: Config) -> Description:
    """Name and arguments of the model."""
    return config.description(*MODEL_OF_TASK[config.task])


def main(config: Config) -> None:
    """Train, choose on validation, write results.json."""
    task = task_of(config)

    torch.manual_seed(config.seed)
    description = model_of(config)
    model = build_model(**description)

    # sequences of equal length, new ones in each epoch; never cut, since the gradient has to pass through all steps
    batches = GeneratedBatches(task, "train", config.check_every, config.batch_size, seed=config.seed)
    valid_batches = held_out(task, "valid")

    trained = train(
        model,
        config.strategy(),
        batches,
        config,
        recipe="memory_tasks",
        description=description,
        data=task,
        validate=lambda device: evaluate(model, valid_batches, device),
        select=(task.metric, "min"),
        probe_on=next(GeneratedBatches(task, "valid", 1, PROBED_ROWS).epoch(0)),
    )
    if trained is None:  # the first process has the results
        return

    finish(
        trained,
        reached=f"{task.metric} {trained.best[task.metric]:.5f}",
        metric=task.metric,
        baselines={"constant guess": task.constant_guess(valid_batches)},
        command=command_of("memory_tasks", config),  # not that of this process, which may be a study
    )


if __name__ == "__main__":
    run(Config, main)
