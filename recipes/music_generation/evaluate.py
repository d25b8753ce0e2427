"""Evaluate a trained music model on a split, beside a unigram and Kneser-Ney n-grams of the same events.

    recipes/music_generation/evaluate.py --run runs/nottingham_lstm --split test

Each use of the test split adds a line to the run's `test_reads.tsv`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from seqaudio.batching import PaddedBatches, TokenSequences
from seqaudio.cli.as_json import print_evaluation
from seqaudio.cli.options import run
from seqaudio.decoding.filling import marks_of
from seqaudio.evaluation.finishing import describe_baselines, lost_to, open_run
from seqaudio.evaluation.metrics import MAX_STEPS, evaluate
from seqaudio.evaluation.music.conditioned import conditioned_nats, conditions_of, told
from seqaudio.evaluation.music.filled import filled_nats
from seqaudio.evaluation.music.per_note import notes_of, with_notes
from seqaudio.evaluation.ngram import ngram_baselines
from seqaudio.evaluation.results import record_test
from seqaudio.tokens.tonicnet import steps_of


@dataclass(frozen=True)
class Config:
    """Options of the evaluation."""

    run: Path  # run folder of a training
    store: Path | None = None  # store to evaluate on, of the same representation; by default that of the training
    split: Literal["valid", "test"] = "valid"  # to evaluate on
    json: bool = False  # print one JSON object instead of text


def main(config: Config) -> None:
    """Print the metrics; on the test split, record them in results.json."""
    folder, store = open_run(config.run, "music_generation", "tokens", config.store)
    split = store[config.split]

    model, marks = folder.model(), marks_of(folder)
    metrics = evaluate(model, PaddedBatches(TokenSequences(split), 64, max_steps=MAX_STEPS))
    metrics |= filled_nats(model, split, marks)
    metrics |= conditioned_nats(model, split, told(conditions_of(folder), store, config.split))
    steps = steps_of(store.settings)
    metric = "nats_per_event" if steps is None else "nats_per_note"
    baselines = ngram_baselines(store, store["train"], store["valid"], split, steps)
    notes = notes_of(store, split)
    metrics = with_notes(metrics, notes)
    baselines = {name: with_notes(scores, notes) for name, scores in baselines.items()}
    if config.split == "test":
        record_test(config.run, metrics, baselines, store)
    if config.json:
        print_evaluation(config.run, config.split, metrics, baselines)
        return
    print(
        f"{config.split} {metrics[metric]:.4f} {metric.replace('_', ' ')} over {metrics['count']:,} events; "
        f"{describe_baselines(baselines, metric)}{lost_to(metrics, baselines, metric)}"
    )
    if steps is None and notes:
        per_note = "nats_per_decoded_note"
        print(f"{metrics[per_note]:.4f} nats a note; {describe_baselines(baselines, per_note)}")


if __name__ == "__main__":
    run(Config, main)
