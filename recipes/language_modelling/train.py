"""Train a language model: characters or words -> recurrent net -> the next one.

    data_prep/text_file.py --source book.txt --out stores/book
    recipes/language_modelling/train.py --store stores/book --run runs/book_lstm --cell lstm

    data_prep/text_file.py --source book.txt --out stores/book_words --units words
    recipes/language_modelling/train.py --store stores/book_words --run runs/book_words --tied --embedding-size 128

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
from seqaudio.evaluation.metrics import MAX_STEPS, evaluate
from seqaudio.evaluation.text import TextScores
from seqaudio.models import EventModelOptions, build_model
from seqaudio.probing import probe_rows
from seqaudio.store import Store


@dataclass(frozen=True, kw_only=True)
class Config(StoreOptions, EventModelOptions, TrainingOptions):
    """Options of the training."""

    store: Path  # text, as `seqaudio prepare text_file` makes it
    embedding_size: int = 32  # size of the embedding of a character or word
    batch_size: int = 32  # parallel lanes
    epochs: int = 6  # passes over the training split
    learning_rate: float = 4e-3  # of Adam, at the peak of the schedule
    bptt: StrategyName = "truncated"  # truncated: windows of lanes; full and checkpointed: all of a short text


def main(config: Config) -> None:
    """Train, choose on validation, write results.json."""
    store = Store(config.store)
    store.require("text", "language modelling")
    scores = TextScores(store)
    training, valid = store["train"].head(config.limit), store["valid"]

    strategy = config.strategy()
    batches: Source
    if isinstance(strategy, TruncatedBPTT):  # the text cut into lanes: the state is carried from window to window
        batches = Lanes(training, config.batch_size, strategy.batch_steps, seed=config.seed)
    else:  # the whole text at once
        batches = PaddedBatches(TokenSequences(training), config.batch_size, seed=config.seed, max_steps=MAX_STEPS)
    # validation on the whole text: the state is carried from the first unit to the last
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
        validate=lambda device: scores.of(evaluate(model, valid_batches, device)),
        select=(scores.metric, "min"),
        probe_on=probe_rows(store, store.names),
    )
    if trained is None:  # the first process has the results
        return

    finish(
        trained,
        reached=f"{scores.described(trained.best)} over {trained.best['count']:,}",
        metric=scores.metric,
        baselines=scores.baselines(training, valid, valid),
    )


if __name__ == "__main__":
    run(Config, main)
