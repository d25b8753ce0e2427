"""How well a trained model predicts the characters of a split, beside a unigram and a Kneser-Ney trigram.

    recipes/language_modelling/evaluate.py --run runs/book_lstm --split test

Each reading of the test split is a line in the run's `test_reads.tsv`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from seqaudio.batching import PaddedBatches, TokenSequences
from seqaudio.cli.options import run
from seqaudio.evaluation.finishing import beside, open_run
from seqaudio.evaluation.metrics import MAX_STEPS, evaluate, per_character
from seqaudio.evaluation.ngram import ngram_baselines
from seqaudio.evaluation.results import record_test


@dataclass(frozen=True)
class Config:
    """Options of the evaluation."""

    run: Path  # folder that train.py made
    store: Path | None = None  # another store than the one it was trained on, of the same characters
    split: Literal["valid", "test"] = "valid"


def main(config: Config) -> None:
    """Print the figures; on the test split, record them."""
    folder, store = open_run(config.run, "language_modelling", "text", config.store)
    split = store[config.split]

    metrics = per_character(evaluate(folder.model(), PaddedBatches(TokenSequences(split), 64, max_steps=MAX_STEPS)))
    scores = ngram_baselines(store, store["train"], store["valid"], split)
    baselines = {name: per_character(values) for name, values in scores.items()}
    if config.split == "test":
        record_test(config.run, metrics, baselines, store.fingerprint)
    nats = metrics["nats_per_character"]
    print(
        f"{config.split} {nats:.4f} nats a character ({nats / math.log(2):.3f} bits) over {metrics['count']:,}; "
        f"{beside(baselines, 'nats_per_character')}"
    )


if __name__ == "__main__":
    run(Config, main)
