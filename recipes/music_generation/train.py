"""Train a music model: note events -> recurrent net -> the next event.

    data_prep/midi_folder.py --source FOLDER --out stores/nottingham
    recipes/music_generation/train.py --store stores/nottingham --run runs/nottingham_lstm --cell lstm

Truncated BPTT over lanes: the state is carried through each piece, the gradient reaches back one window. The best
epoch is chosen on validation; only `evaluate.py` reads the test split.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from seqaudio.batching import FilledBatches, FilledRows, Lanes, PaddedBatches, Source, TokenRows, TokenSequences
from seqaudio.bptt import StoreOptions, StrategyName, TrainingOptions, TruncatedBPTT, train
from seqaudio.cli.options import run
from seqaudio.decoding.filling import marks_for
from seqaudio.evaluation.finishing import finish
from seqaudio.evaluation.metrics import MAX_STEPS, evaluate
from seqaudio.evaluation.music.conditioned import TrainingConditions, conditioned_nats
from seqaudio.evaluation.music.filled import filled_nats
from seqaudio.evaluation.ngram import ngram_baselines
from seqaudio.models import MusicModelOptions, build_model
from seqaudio.probing import probe_rows
from seqaudio.store import Store
from seqaudio.tokens import TokenRepresentation, representation_of
from seqaudio.tokens.forms import Forms
from seqaudio.tokens.tonicnet import steps_of
from seqaudio.vocabulary import FILL_MARKS, Vocabulary


@dataclass(frozen=True, kw_only=True)
class Config(StoreOptions, MusicModelOptions, TrainingOptions):
    """Options of the training."""

    store: Path  # tokens, as `seqaudio prepare midi_folder` makes them
    batch_size: int = 32  # parallel lanes; with full and checkpointed BPTT, pieces of a batch
    epochs: int = 8  # passes over the training split
    learning_rate: float = 4e-3  # of Adam, at the peak of the schedule
    bptt: StrategyName = "truncated"  # truncated: windows of lanes; full and checkpointed: whole pieces


def main(config: Config) -> None:
    """Train, choose on validation, write results.json."""
    store = Store(config.store)
    store.require("tokens", "music generation")
    training, valid = store["train"].head(config.limit), store["valid"]

    strategy = config.strategy()

    told = TrainingConditions.of(store, training, config.conditions, config.seed)  # None without

    def batched(rows: TokenRows) -> Source:
        values = told and told.training
        if isinstance(strategy, TruncatedBPTT):  # pieces end to end: the state is carried from window to window
            return Lanes(rows, config.batch_size, strategy.batch_steps, seed=config.seed, conditions=values)
        # whole pieces, padded
        return PaddedBatches(TokenSequences(rows, values), config.batch_size, seed=config.seed, max_steps=MAX_STEPS)

    representation = representation_of(store.settings)
    marks = marks_for(representation, config.fill)  # of missing bars, behind the names of the store; None without
    batches = batched(training)
    if marks is not None:
        batches = FilledBatches(FilledRows(training, marks, config.fill, config.seed), batched)
    # validation on whole pieces, whose conditions are unknown: the state is carried from the first event to the last
    valid_batches = PaddedBatches(TokenSequences(valid), 64, max_steps=MAX_STEPS)

    torch.manual_seed(config.seed)
    written = representation if isinstance(representation, TokenRepresentation) else None
    steps = steps_of(store.settings)  # of `tonicnet`: a net over whole steps, nats a note as published
    unit = "event" if steps is None else "note"
    names = store.names if marks is None else Vocabulary((*store.names, *FILL_MARKS))
    sizes = told.conditions.sizes if told else ()
    description = config.music_description(
        len(names), written and written.bar_places, written.look_back if written else (), steps, sizes
    )
    model = build_model(**description)
    # which bars return in the training pieces, and what the model is told of pieces
    about = {"forms": written and Forms.of(written, training), "conditions": told and told.conditions}

    def validate(device: torch.device) -> dict[str, float]:
        metrics = evaluate(model, valid_batches, device) | filled_nats(model, valid, marks, device)
        return metrics | conditioned_nats(model, valid, told and told.valid, device)

    trained = train(
        model,
        strategy,
        batches,
        config,
        recipe="music_generation",
        description=description,
        data=store,
        validate=validate,
        select=(f"nats_per_{unit}", "min"),
        probe_on=probe_rows(store, store.names),
        labels=names,
        about_input={name: facts.to_json() for name, facts in about.items() if facts},
    )
    if trained is None:  # the first process has the results
        return

    finish(
        trained,
        reached=f"{trained.best[f'nats_per_{unit}']:.4f} nats a{'n' * (unit == 'event')} {unit} "
        f"over {trained.best['count']:,} events",
        metric=f"nats_per_{unit}",
        baselines=ngram_baselines(store, training, valid, valid, steps),
    )


if __name__ == "__main__":
    run(Config, main)
