"""What all recipes do alike once model and data are there: launch, make the run folder, train."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from seqaudio.batching import Batch, Lanes, PaddedBatches, Source, TokenSequences
from seqaudio.bptt.options import TrainingOptions
from seqaudio.bptt.processes import launch
from seqaudio.bptt.start_from import begin_with
from seqaudio.bptt.strategies import Strategy, TruncatedBPTT
from seqaudio.bptt.trainer import Trainer
from seqaudio.models import Model
from seqaudio.run_folder import RunFolder, run_settings
from seqaudio.store import Split, Store


@dataclass(frozen=True)
class Trained:
    """The end of a training."""

    folder: RunFolder
    best: dict[str, float]  # validation metrics of the epoch whose weights the run holds
    seconds: float


def train(
    model: Model,
    arguments: dict[str, Any],
    source: Source,
    options: TrainingOptions,
    *,
    recipe: str,
    name: str,
    store: Store,
    validate: Callable[[torch.device], dict[str, float]],
    select: tuple[str, str],
    probe_on: Batch,
) -> Trained | None:
    """Train a model into the run folder that the options name; None in a process beside the first.

    Args:
        arguments, name: of the model, as `build_model` took them.
        validate: metrics of the model on the validation split, on a device.
        select, probe_on: as `Trainer` takes them.
    Raises:
        OptionError: the model cannot be trained by the strategy that the options name.
        RunError: the folder exists, or does not go together with the options.
    """
    strategy = options.strategy()
    strategy.check(model)
    parent = begin_with(options.start_from, model, store, recipe)
    processes = launch(options.devices, options.device, options.threads)
    processes.on_first(
        lambda: RunFolder.create(
            options.run,
            recipe=recipe,
            settings=run_settings(options),
            model={"name": name, "arguments": arguments},
            store=store,
            resume=options.resume,
            parent=parent,
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
    return Trained(folder, best, trainer.at.seconds) if processes.first else None


def token_source(strategy: Strategy, split: Split, rows: int, seed: int, max_steps: int) -> Source:
    """Lanes of a split where the state goes on from window to window, batches of whole sequences otherwise."""
    if isinstance(strategy, TruncatedBPTT):
        return Lanes(split, rows, strategy.batch_steps, seed=seed)
    return PaddedBatches(TokenSequences(split), rows, seed=seed, max_steps=max_steps)
