"""Train on a problem that only a long memory solves: the adding problem, or the copy problem.

    recipes/memory_tasks/train.py --run runs/adding --task adding --cell lstm --initialisation chrono=600
    recipes/memory_tasks/train.py --run runs/copy --task copy --cell layer_norm_lstm --initialisation chrono=200

Sequences are drawn anew for every step, so nothing can be learnt by heart. The best check on validation is kept. The
test split stays closed; `evaluate.py` opens it.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import torch

from seqaudio.batching import MEMORY_TASKS, CopyProblem, GeneratedBatches, MemoryTask, held_out
from seqaudio.bptt import FullBPTT, Trainer, TrainerSettings
from seqaudio.bptt.processes import resolve_device
from seqaudio.cli.options import run
from seqaudio.errors import OptionError
from seqaudio.evaluation.figures import draw_curves, read_metrics
from seqaudio.evaluation.metrics import evaluate
from seqaudio.evaluation.results import results
from seqaudio.extensions import used
from seqaudio.files import write_json
from seqaudio.models import build_model, choose_width
from seqaudio.run_folder import RunFolder, run_settings

MODEL_OF_TASK: dict[str, tuple[str, dict[str, Any]]] = {
    "adding": ("series", {"input_size": 2}),
    "copy": ("recall", {"vocabulary_size": CopyProblem.vocabulary_size}),
}

PROBED_ROWS = 8  # sequences of validation that --probe-every looks at


@dataclass(frozen=True)
class Config:
    """Options of the training."""

    run: Path  # new folder for config.json, metrics.jsonl, model.safetensors, results.json
    task: Literal["adding", "copy"] = "adding"
    length: int | None = None  # steps to remember over; 600 for adding, 200 for copy where none is given
    cell: str = "lstm"  # recurrent cell, wrappers too, as in lstm+zoneout=0.1; `seqaudio info --cells` lists the names
    hidden_size: int | None = None  # units a layer; 32 where neither this nor --parameters is given
    parameters: int | None = None  # of the whole model, instead: picks the width that comes nearest
    layers: int = 1
    initialisation: str = ""  # such as chrono=600 or forget_bias=2; empty is the cell's own
    learned_state: bool = False  # the state before the first step is learned; zero otherwise
    steps: int = 3_000  # updates
    check_every: int = 250  # updates between two looks at validation
    batch_size: int = 20  # sequences
    learning_rate: float = 1e-2  # Adam; half a cosine down to zero
    clip_norm: float = 1.0  # largest norm of the gradient
    probe_every: int = 0  # checks between two looks at how far gradients reach; 0 = off
    seed: int = 1
    device: str = "auto"
    resume: bool = False  # go on with an interrupted run


def task_of(config: Config) -> MemoryTask:
    """The problem that the options name."""
    kind = MEMORY_TASKS[config.task]
    return kind() if config.length is None else kind(config.length)


def model_of(config: Config) -> dict[str, Any]:
    """Name and arguments of the model."""
    name, sizes = MODEL_OF_TASK[config.task]
    arguments: dict[str, Any] = sizes | {
        "cell": config.cell,
        "layers": config.layers,
        "initialisation": config.initialisation,
        "learned_state": config.learned_state,
    }
    arguments["hidden_size"] = choose_width(
        name, arguments, hidden_size=config.hidden_size, parameters=config.parameters, default=32
    )
    return {"name": name, "arguments": arguments}


def command(config: Config) -> str:
    """The command that repeats the run: every option that differs from its default, and the user's own files."""
    words = ["python", "recipes/memory_tasks/train.py"]
    for field in fields(config):
        value = getattr(config, field.name)
        if field.name != "resume" and value != field.default:
            words += [f"--{field.name.replace('_', '-')}", *([] if value is True else [str(value)])]
    return shlex.join([*words, *(f"--use={extension.file}" for extension in used())])


def main(config: Config) -> None:
    """Train, choose on validation, write results.json."""
    task = task_of(config)
    device = resolve_device(config.device)
    if config.check_every < 1 or config.steps % config.check_every:
        raise OptionError(
            f"--steps {config.steps} with a check every {config.check_every}, expected a multiple of it; "
            f"change --steps or --check-every"
        )

    torch.manual_seed(config.seed)
    description = model_of(config)
    model = build_model(**description)
    train_batches = GeneratedBatches(task, "train", config.check_every, config.batch_size, seed=config.seed)
    valid_batches = held_out(task, "valid")
    training = TrainerSettings(
        epochs=config.steps // config.check_every,
        learning_rate=config.learning_rate,
        clip_norm=config.clip_norm,
        probe_every=config.probe_every,
    )

    folder = RunFolder.create(
        config.run,
        recipe="memory_tasks",
        settings=run_settings(config),
        model=description,
        store=task,
        resume=config.resume,
    )
    trainer = Trainer(
        model,
        FullBPTT(),
        train_batches,
        validate=lambda: evaluate(model, valid_batches, device),
        run=folder,
        settings=training,
        select=(task.metric, "min"),
        device=device,
        probe_on=next(GeneratedBatches(task, "valid", 1, PROBED_ROWS).epoch(0)),
    )
    best = trainer.fit()

    guess = task.constant_guess(valid_batches)
    outcome = results(
        recipe="memory_tasks",
        seed=config.seed,
        valid=best,
        baselines={"constant guess": {"valid": guess}},
        parameters=model.parameter_count(),
        wall_seconds=trainer.at.seconds,
        command=command(config),
    )
    write_json(config.run / "results.json", outcome)
    draw_curves(read_metrics(folder.metrics_file), folder.figure("curves"))
    print(
        f"validation {task.metric} {best[task.metric]:.5f} (constant guess {guess[task.metric]:.4f}), "
        f"{model.parameter_count():,} parameters, {trainer.at.seconds:.0f} s; "
        f"next: recipes/memory_tasks/evaluate.py --run {config.run} --split test"
    )


if __name__ == "__main__":
    run(Config, main)
