"""How well a trained model predicts the events of a split, beside a unigram and a Kneser-Ney trigram.

    recipes/music_generation/evaluate.py --run runs/nottingham_lstm --split test

Each reading of the test split is a line in the run's `test_reads.tsv`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from seqaudio.batching import PaddedBatches, TokenSequences
from seqaudio.cli.options import run
from seqaudio.evaluation.finishing import beside, open_run
from seqaudio.evaluation.metrics import MAX_STEPS, evaluate
from seqaudio.evaluation.ngram import ngram_baselines
from seqaudio.evaluation.results import record_test


@dataclass(frozen=True)
class Config:
    """Options of the evaluation."""

    run: Path  # folder that train.py made
    store: Path | None = None  # another store than the one it was trained on, of the same representation
    split: Literal["valid", "test"] = "valid"


def main(config: Config) -> None:
    """Print the figures; on the test split, record them."""
    folder, store = open_run(config.run, "music_generation", "tokens", config.store)
    split = store[config.split]

    metrics = evaluate(folder.model(), PaddedBatches(TokenSequences(split), 64, max_steps=MAX_STEPS))
    baselines = ngram_baselines(store, store["train"], store["valid"], split)
    if config.split == "test":
        record_test(config.run, metrics, baselines, store.fingerprint)
    print(
        f"{config.split} {metrics['nats_per_event']:.4f} nats an event over {metrics['count']:,} events; "
        f"{beside(baselines, 'nats_per_event')}"
    )


if __name__ == "__main__":
    run(Config, main)
