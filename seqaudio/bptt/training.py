"""Training of every recipe: launch the processes, create the run folder, call the Trainer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch

from seqaudio.batching import Batch, Source
from seqaudio.bptt.options import TrainingOptions
from seqaudio.bptt.position import Selection
from seqaudio.bptt.processes import launch
from seqaudio.bptt.start_from import initialise_from
from seqaudio.bptt.strategies import Strategy
from seqaudio.bptt.trainer import Trainer
from seqaudio.models import Description, Model
from seqaudio.option_groups import flat_defaults
from seqaudio.run_folder import RunFolder, TrainedOn, claim_run, run_settings
from seqaudio.store import Store
from seqaudio.vocabulary import Vocabulary


@dataclass(frozen=True)
class Trained:
    """The result of a training."""

    folder: RunFolder
    best: dict[str, float]  # validation metrics of the best epoch, whose weights the run holds
    parameters: int  # number of trainable parameters
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
    select: Selection,
    probe_on: Batch,
    labels: Vocabulary | None = None,
    about_input: Mapping[str, Any] | None = None,
) -> Trained | None:
    """Train a model into the run folder `options.run`. Returns None in all processes but the first.

    Args:
        description: name and arguments of the model, as given to `build_model`.
        data: the store of the batches, or the task that generates them.
        validate: metrics of the model on the validation split, computed on the given device.
        labels: of the model, where they are not those of the store.
        select, probe_on: as for `Trainer`. about_input: as for `RunFolder.create`.
    Raises:
        OptionError: the model cannot be trained with the strategy.
        StoreError: rows with values that are not finite, or ids and labels that are not in the vocabulary.
        RunError: the run folder exists already, or was made with other options.
        InUseError: another training writes to it.
    """
    strategy.check(model)
    if isinstance(data, Store):
        data.check_rows("train", "valid")
    parent = initialise_from(options.start_from, model, data, recipe, labels)
    processes = launch(options.devices, options.device, options.threads)
    with ExitStack() as stack:
        # the first process alone holds the lock, for all
        processes.on_first(lambda: stack.enter_context(claim_run(options.run, options.resume)))
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
                labels=labels,
                about_input=about_input,
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
