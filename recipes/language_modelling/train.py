"""Train a language model: characters -> recurrent net -> the next character.

    data_prep/text_file.py --source book.txt --out stores/book
    recipes/language_modelling/train.py --store stores/book --run runs/book_lstm --cell lstm

Truncated BPTT over lanes, which are parts of the one long text. `--no-carry` resets the state at every window, for
comparison. The best epoch is chosen on validation; only `evaluate.py` reads the test split.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from seqaudio.batching import Lanes, PaddedBatches, Source, TokenSequences
from seqaudio.bptt import StoreOptions, StrategyName, TrainingOptions, TruncatedBPTT, train
from seqaudio.cli.options import run
from seqaudio.evaluation.finishing import finish
from seqaudio.evaluation.metrics import MAX_STEPS, evaluate, per_character
from seqaudio.evaluation.ngram import ngram_baselines
from seqaudio.models import EventModelOptions, build_model
from seqaudio.probing import probe_rows
from seqaudio.store import Store


@dataclass(frozen=True, kw_only=True)
class Config(StoreOptions, EventModelOptions, TrainingOptions):
    """Options of the training."""

    store: Path  # text, as `seqaudio prepare text_file` makes it
    embedding_size: int = 32  # size of a character's embedding
    batch_size: int = 32  # parallel lanes
    epochs: int = 6  # passes over the training split
    learning_rate: float = 4e-3  # of Adam, at the peak of the schedule
    bptt: StrategyName = "truncated"  # truncated: windows of lanes; full and checkpointed: all of a short text


def main(config: Config) -> None:
    """Train, choose on validation, write results.json."""
    store = Store(config.store)
    store.require("text", "language modelling")
    training, valid = store["train"].head(config.limit), store["valid"]

    strategy = config.strategy()
    batches: Source
    if isinstance(strategy, TruncatedBPTT):  # the text cut into lanes: the state is carried from window to window
        batches = Lanes(training, config.batch_size, strategy.batch_steps, seed=config.seed)
    else:  # the whole text at once
        batches = PaddedBatches(TokenSequences(training), config.batch_size, seed=config.seed, max_steps=MAX_STEPS)
    # validation on the whole text: the state is carried from the first character to the last
    valid_batches = PaddedBatches(TokenSequences(valid), 64, max_steps=MAX_STEPS)

    torch.manual_seed(config.seed)
    description = config.description(len(store.names))
    model = build_model(**description)

    trained = train(
        model,
        strategy,
        batches,
        config,
        recipe="language_modelling",
        description=description,
        data=store,
        validate=lambda device: per_character(evaluate(model, valid_batches, device)),
        select=("nats_per_character", "min"),
        probe_on=probe_rows(store, store.names),
    )
    if trained is None:  # the first process has the results
        return

    scores = ngram_baselines(store, training, valid, valid)
    finish(
        trained,
        reached=f"{trained.best['nats_per_character']:.4f} nats a character over {trained.best['count']:,}",
        metric="nats_per_character",
        baselines={name: per_character(values) for name, values in scores.items()},
    )


if __name__ == "__main__":
    run(Config, main)
