"""Evaluate a trained keyword recogniser on a split, beside 5-nearest-neighbours on the same clips.

    recipes/keyword_recognition/evaluate.py --run runs/fsdd_gru --split test

Each use of the test split adds a line to the run's `test_reads.tsv`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from seqaudio.batching import labelled_clips
from seqaudio.cli.as_json import print_evaluation
from seqaudio.cli.options import run
from seqaudio.decoding.spotting import spotting_of
from seqaudio.evaluation.figures import draw_confusion
from seqaudio.evaluation.finishing import describe_baselines, lost_to, open_run, store_of_baselines
from seqaudio.evaluation.keywords import clip_metrics, guess_labels, neighbour_accuracy
from seqaudio.evaluation.results import record_test
from seqaudio.features.settings import FeatureSettings


@dataclass(frozen=True)
class Config:
    """Options of the evaluation."""

    run: Path  # run folder of a training
    store: Path | None = None  # store to evaluate on, with the same features; by default that of the training
    split: Literal["valid", "test"] = "valid"  # to evaluate on
    json: bool = False  # print one JSON object instead of text


def main(config: Config) -> None:
    """Print the metrics; on the test split, record them in results.json."""
    folder, store = open_run(config.run, "keyword_recognition", ("features", "audio"), config.store)
    split = store[config.split]
    # a label that the run does not know counts as `unknown` if the run has that class, else it is an error
    clips = labelled_clips(store, split, folder.vocabulary)

    model, settings = folder.model(), FeatureSettings.from_dict(store.setting("features", dict))
    added = spotting_of(folder).added
    metrics = clip_metrics(model, clips, folder.vocabulary, settings, added=added)
    guesses = guess_labels(model, clips, folder.vocabulary, settings, added=added)
    conditions = guesses.by_condition(split.column("condition"))
    metrics |= {f"accuracy_{name}": accuracy for name, (accuracy, _) in conditions.items()}

    baselines = {}
    if (known := store_of_baselines(folder, store)) is not None:
        neighbours = neighbour_accuracy(labelled_clips(known, known["train"], folder.vocabulary), clips)
        baselines["5-nearest-neighbours"] = {"accuracy": neighbours}
    title = f"{config.split}: {100 * metrics['accuracy']:.1f} % of {metrics['count']:,} clips"
    confusion = folder.figure("confusion")
    draw_confusion(guesses.truth, guesses.guess, folder.vocabulary.names, confusion, title)
    if config.split == "test":
        record_test(config.run, metrics, baselines, store.fingerprint)
    if config.json:
        print_evaluation(config.run, config.split, metrics, baselines)
        return
    print(
        f"{config.split} accuracy {100 * metrics['accuracy']:.2f} % of {metrics['count']:,} clips, "
        f"{metrics['nats_per_clip']:.4f} nats a clip; {describe_baselines(baselines, 'accuracy') or 'no baselines'}"
        f"{lost_to(metrics, baselines, 'accuracy')}"
    )
    for name, (accuracy, count) in conditions.items():
        print(f"  {name:<8} {100 * accuracy:.2f} % of {count:,} clips")
    print(f"confusion matrix: {confusion}")


if __name__ == "__main__":
    run(Config, main)
