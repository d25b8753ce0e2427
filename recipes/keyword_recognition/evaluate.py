"""How well a trained keyword recogniser does on a split, beside 5-nearest-neighbours on the same clips.

    recipes/keyword_recognition/evaluate.py --run runs/fsdd_gru --split test

Each reading of the test split is a line in the run's `test_reads.tsv`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from seqaudio.batching import PaddedBatches, labelled_clips
from seqaudio.cli.options import run
from seqaudio.evaluation.figures import draw_confusion
from seqaudio.evaluation.finishing import beside, open_run
from seqaudio.evaluation.keywords import guess_labels, neighbour_accuracy
from seqaudio.evaluation.metrics import MAX_STEPS, evaluate
from seqaudio.evaluation.results import record_test
from seqaudio.models import KeywordModel


@dataclass(frozen=True)
class Config:
    """Options of the evaluation."""

    run: Path  # folder that train.py made
    store: Path | None = None  # another store than the one it was trained on; labels map by name
    split: Literal["valid", "test"] = "valid"


def main(config: Config) -> None:
    """Print the figures; on the test split, record them."""
    folder, store = open_run(config.run, "keyword_recognition", ("features", "audio"), config.store)
    split = store[config.split]
    # a clip that is of none of the run's labels counts as `unknown`, or stops the command
    clips = labelled_clips(store, split, folder.vocabulary)

    model = folder.model()
    assert isinstance(model, KeywordModel)
    metrics = evaluate(model, PaddedBatches(clips, 256, max_steps=MAX_STEPS))
    guesses = guess_labels(model, clips)
    conditions = guesses.by_condition(split.column("condition"))
    metrics |= {f"accuracy_{name}": accuracy for name, (accuracy, _) in conditions.items()}

    neighbours = neighbour_accuracy(labelled_clips(store, store["train"], folder.vocabulary), clips)
    baselines = {"5-nearest-neighbours": {"accuracy": neighbours}}
    title = f"{config.split}: {100 * metrics['accuracy']:.1f} % of {metrics['count']:,} clips"
    draw_confusion(guesses.truth, guesses.guess, folder.vocabulary.names, folder.figure("confusion"), title)
    if config.split == "test":
        record_test(config.run, metrics, baselines, store.fingerprint)
    print(
        f"{config.split} accuracy {100 * metrics['accuracy']:.2f} % of {metrics['count']:,} clips, "
        f"{metrics['nats_per_clip']:.4f} nats a clip; {beside(baselines, 'accuracy')}"
    )
    for name, (accuracy, count) in conditions.items():
        print(f"  {name:<8} {100 * accuracy:.2f} % of {count:,} clips")


if __name__ == "__main__":
    run(Config, main)
