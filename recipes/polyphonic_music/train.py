"""Train a model of piano rolls: frames of notes -> recurrent net -> the distribution of the next frame.

    data_prep/polyphonic.py --set jsb --source FOLDER --out stores/jsb
    recipes/polyphonic_music/train.py --store stores/jsb --run runs/jsb_nade --head nade --cell lstm

Pieces of similar length, padded, in windows of truncated BPTT: the state and the dropout masks are carried from the
first frame of a piece to its last. The best epoch is chosen on validation; only `evaluate.py` reads the test split.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch

from seqaudio.batching import PaddedBatches, RollSequences, Transposition
from seqaudio.bptt import StoreOptions, StrategyName, TrainingOptions, train
from seqaudio.cli.options import run
from seqaudio.evaluation.finishing import finish
from seqaudio.evaluation.metrics import MAX_STEPS, evaluate
from seqaudio.evaluation.results import command_of
from seqaudio.evaluation.roll_baselines import note_rates, roll_baselines
from seqaudio.models import RollModel, RollModelOptions, build_model
from seqaudio.probing import probe_rows
from seqaudio.store import Store
from seqaudio.vocabulary import Vocabulary


@dataclass(frozen=True, kw_only=True)
class Config(StoreOptions, RollModelOptions, TrainingOptions):
    """Options of the training."""

    store: Path  # piano rolls, as `seqaudio prepare polyphonic` makes them
    transpose: int = 0  # move each piece in each epoch by up to this many semitones, as far as its notes stay in range
    batch_size: int = 16  # pieces of a batch
    epochs: int = 100  # passes over the training split
    learning_rate: float = 1e-2  # of Adam, at the peak of the schedule
    bptt: StrategyName = "truncated"  # truncated: windows of pieces; full and checkpointed: whole pieces


def main(config: Config) -> None:
    """Train, choose on validation, write results.json."""
    store = Store(config.store)
    store.require("roll", "polyphonic music")
    training, valid = store["train"].head(config.limit), store["valid"]

    transposition = Transposition(config.transpose, config.seed) if config.transpose else None
    sequences = RollSequences(training, transposition)
    batches = PaddedBatches(sequences, config.batch_size, seed=config.seed, max_steps=MAX_STEPS)
    valid_batches = PaddedBatches(RollSequences(valid), 64, max_steps=MAX_STEPS)  # whole pieces

    torch.manual_seed(config.seed)
    description = config.description(training.width or 0)
    model = cast(RollModel, build_model(**description))
    # the first epochs need not learn how often each note sounds
    model.head.set_rates(torch.from_numpy(note_rates(training)))
    labels = Vocabulary(())  # rolls have no names

    trained = train(
        model,
        config.strategy(),
        batches,
        config,
        recipe="polyphonic_music",
        description=description,
        data=store,
        labels=labels,
        validate=lambda device: evaluate(model, valid_batches, device),
        select=("nats_per_frame", "min"),
        probe_on=probe_rows(store, labels),
    )
    if trained is None:  # the first process has the results
        return

    best = trained.best
    finish(
        trained,
        reached=f"{best['nats_per_frame']:.4f} nats a frame over {best['count']:,} frames, "
        f"{best['nats_per_later_frame']:.4f} without first frames",
        metric="nats_per_frame",
        baselines=roll_baselines(training, valid, valid),
        command=command_of("polyphonic_music", config),  # not that of this process, which may be a study
    )


if __name__ == "__main__":
    run(Config, main)
