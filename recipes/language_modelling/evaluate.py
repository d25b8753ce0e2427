"""Evaluate a trained language model on a split, beside a unigram and Kneser-Ney n-grams of the same units.

    recipes/language_modelling/evaluate.py --run runs/book_lstm --split test

Each use of the test split adds a line to the run's `test_reads.tsv`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from seqaudio.batching import PaddedBatches, TokenSequences
from seqaudio.cli.as_json import print_evaluation
from seqaudio.cli.options import run
from seqaudio.evaluation.finishing import describe_baselines, lost_to, open_run
from seqaudio.evaluation.metrics import MAX_STEPS, evaluate
from seqaudio.evaluation.results import record_test
from seqaudio.evaluation.text import TextScores


@dataclass(frozen=True)
class Config:
    """Options of the evaluation."""

    run: Path  # run folder of a training
    store: Path | None = None  # store to evaluate on, of the same units; by default that of the training
    split: Literal["valid", "test"] = "valid"  # to evaluate on
    json: bool = False  # print one JSON object instead of text


def main(config: Config) -> None:
    """Print the metrics; on the test split, record them in results.json."""
    folder, store = open_run(config.run, "language_modelling", "text", config.store)
    split, scores = store[config.split], TextScores(store)

    metrics = scores.of(evaluate(folder.model(), PaddedBatches(TokenSequences(split), 64, max_steps=MAX_STEPS)))
    baselines = scores.baselines(store["train"], store["valid"], split)
    if config.split == "test":
        record_test(config.run, metrics, baselines, store)
    if config.json:
        print_evaluation(config.run, config.split, metrics, baselines)
        return
    print(
        f"{config.split} {scores.described(metrics)} over {metrics['count']:,}; "
        f"{describe_baselines(baselines, scores.metric)}{lost_to(metrics, baselines, scores.metric)}"
    )


if __name__ == "__main__":
    run(Config, main)
