"""Evaluate a net that was trained on a memory task on a split, beside the best constant guess.

    recipes/memory_tasks/evaluate.py --run runs/adding --split test

Each use of the test split adds a line to the run's `test_reads.tsv`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from seqaudio.batching import MEMORY_TASKS, held_out
from seqaudio.cli.as_json import print_evaluation
from seqaudio.cli.options import run
from seqaudio.evaluation.finishing import finished_run, lost_to
from seqaudio.evaluation.metrics import evaluate
from seqaudio.evaluation.results import record_test
from seqaudio.json_files import Size


@dataclass(frozen=True)
class Config:
    """Options of the evaluation."""

    run: Path  # run folder of a training
    split: Literal["valid", "test"] = "valid"  # to evaluate on
    json: bool = False  # print one JSON object instead of text


def main(config: Config) -> None:
    """Print the metrics; on the test split, record them in results.json."""
    folder = finished_run(config.run, "memory_tasks")
    task = MEMORY_TASKS[folder.input_setting("name", str)](folder.input_setting("length", Size))

    sequences = held_out(task, config.split)
    metrics = evaluate(folder.model(), sequences)
    guess = task.constant_guess(sequences)
    if config.split == "test":
        record_test(config.run, metrics, {"constant guess": guess}, task)
    if config.json:
        print_evaluation(config.run, config.split, metrics, {"constant guess": guess})
        return
    figures = ", ".join(f"{name} {metrics[name]:.5f} (constant guess {guess[name]:.4f})" for name in guess)
    if "accuracy" in guess:
        figures += f", {round((1 - metrics['accuracy']) * metrics['count']):,} errors of {metrics['count']:,} symbols"
    what = f"{task.name} over {task.length:,} steps, {sequences.sequences:,} sequences"
    print(f"{config.split} {figures}; {what}{lost_to(metrics, {'the constant guess': guess}, task.metric)}")


if __name__ == "__main__":
    run(Config, main)
