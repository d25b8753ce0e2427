"""The last step of every recipe: launch the processes, make the run folder, train."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from seqaudio.batching import Batch, Source
from seqaudio.bptt.options import TrainingOptions
from seqaudio.bptt.processes import launch
from seqaudio.bptt.start_from import begin_with
from seqaudio.bptt.strategies import Strategy
from seqaudio.bptt.trainer import Trainer
from seqaudio.models import Description, Model
from seqaudio.option_groups import flat_defaults
from seqaudio.run_folder import RunFolder, TrainedOn, run_settings


@dataclass(frozen=True)
class Trained:
    """The end of a training."""

    folder: RunFolder
    best: dict[str, float]  # validation metrics of the epoch whose weights the run holds
    parameters: int  # trainable numbers
    seconds: float


def train(
    model: Model,
    strategy: Strategy,
    source: Source,
    options: TrainingOptions,
    *,
    recipe: str,
    description: Description,
    data: TrainedOn,
    validate: Callable[[torch.device], dict[str, float]],
    select: tuple[str, str],
    probe_on: Batch,
) -> Trained | None:
    """Train a model into the run folder that the options name; None in a process beside the first.

    Args:
        description: of the model, as `build_model` took it.
        data: the store, or the task made by rule, that the batches come from.
        validate: metrics of the model on the validation split, on a device.
        select, probe_on: as `Trainer` takes them.
    Raises:
        OptionError: the model cannot be trained by the strategy.
        RunError: the folder exists, or does not go together with the options.
    """
    strategy.check(model)
    parent = begin_with(options.start_from, model, data, recipe)
    processes = launch(options.devices, options.device, options.threads)
    processes.on_first(
        lambda: RunFolder.create(
            options.run,
            recipe=recipe,
            settings=run_settings(options),
            model=description,
            store=data,
            resume=options.resume,
            parent=parent,
            defaults=flat_defaults(type(options)),
        )
    )
    folder = RunFolder(options.run)
    trainer = Trainer(
        model,
        strategy,
        source,
        validate=lambda: validate(processes.device),
        run=folder,
        settings=options,
        select=select,
        processes=processes,
        probe_on=probe_on,
    )
    best = trainer.fit()
    return Trained(folder, best, model.parameter_count(), trainer.at.seconds) if processes.first else None
