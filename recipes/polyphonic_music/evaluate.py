"""Evaluate a trained model of piano rolls on a split, beside the rates of notes and a Markov chain for each note.

    recipes/polyphonic_music/evaluate.py --run runs/jsb_nade --split test

Each use of the test split adds a line to the run's `test_reads.tsv`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from seqaudio.batching import PaddedBatches, RollSequences
from seqaudio.cli.as_json import print_evaluation
from seqaudio.cli.options import run
from seqaudio.evaluation.finishing import describe_baselines, lost_to, open_run, store_of_baselines
from seqaudio.evaluation.metrics import MAX_STEPS, evaluate
from seqaudio.evaluation.results import record_test
from seqaudio.evaluation.roll_baselines import roll_baselines


@dataclass(frozen=True)
class Config:
    """Options of the evaluation."""

    run: Path  # run folder of a training
    store: Path | None = None  # store to evaluate on, of rolls with the same settings; by default that of the training
    split: Literal["valid", "test"] = "valid"  # to evaluate on
    json: bool = False  # print one JSON object instead of text


def main(config: Config) -> None:
    """Print the metrics; on the test split, record them in results.json."""
    folder, store = open_run(config.run, "polyphonic_music", "roll", config.store)
    split = store[config.split]

    metrics = evaluate(folder.model(), PaddedBatches(RollSequences(split), 64, max_steps=MAX_STEPS))
    known = store_of_baselines(folder, store)
    baselines = {} if known is None else roll_baselines(known["train"], known["valid"], split)
    if config.split == "test":
        record_test(config.run, metrics, baselines, store)
    if config.json:
        print_evaluation(config.run, config.split, metrics, baselines)
        return
    print(
        f"{config.split} {metrics['nats_per_frame']:.4f} nats a frame over {metrics['count']:,} frames; "
        f"{describe_baselines(baselines, 'nats_per_frame') or 'no baselines'}"
        f"{lost_to(metrics, baselines, 'nats_per_frame')}"
    )
    print(
        f"without first frames {metrics['nats_per_later_frame']:.4f} nats a frame; "
        f"{describe_baselines(baselines, 'nats_per_later_frame') or 'no baselines'}"
    )
    print(f"{metrics['nats_per_note']:.4f} nats a note")


if __name__ == "__main__":
    run(Config, main)
