"""Evaluate a trained keyword recogniser on a split, beside 5-nearest-neighbours on the same clips.

    recipes/keyword_recognition/evaluate.py --run runs/fsdd_gru --split test --snr clean,20,10,5,0 --streamed

The store may be a test set of its own, without training rows: the statistics are those of the run. Each use of the test
split adds a line to the run's `test_reads.tsv`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from seqaudio.batching import labelled_clips
from seqaudio.cli.as_json import print_evaluation
from seqaudio.cli.options import run
from seqaudio.decoding.spotting import spotting_of
from seqaudio.errors import OptionError
from seqaudio.evaluation import noisy_clips, padded_clips, streamed
from seqaudio.evaluation.clip_scores import ClipScores, reliability_figure
from seqaudio.evaluation.figures import draw_confusion
from seqaudio.evaluation.finishing import describe_baselines, figure_of, lost_to, open_run, store_of_baselines
from seqaudio.evaluation.keywords import Guesses, label_probabilities, metrics_of, neighbour_baselines
from seqaudio.evaluation.ratios import parsed_ratios, ratio_name
from seqaudio.evaluation.results import record_test
from seqaudio.features.settings import FeatureSettings
from seqaudio.pictures import save_figure


@dataclass(frozen=True)
class Config:
    """Options of the evaluation."""

    run: Path  # run folder of a training
    store: Path | None = None  # store to evaluate on, with the same features; by default that of the training
    split: Literal["valid", "test"] = "valid"  # to evaluate on
    snr: str = ""  # clean,20,10,5,0: also with noise so many decibels below the words; needs samples or log-mel frames
    noise_folder: Path | None = None  # recordings of noise for --snr; noise is made up by default
    around: str = ""  # 0.5,2,10: also with so many seconds of quiet, and of noise, before and behind each clip
    streamed: bool = False  # also frame by frame, and for an hour without a reset
    json: bool = False  # print one JSON object instead of text

    def __post_init__(self) -> None:
        if self.noise_folder is not None and not self.snr:
            raise OptionError("--noise-folder has the noise of --snr; give --snr clean,20,10,5,0 too")


def main(config: Config) -> None:
    """Print the metrics; on the test split, record them in results.json."""
    ratios, times = parsed_ratios(config.snr), padded_clips.parsed_seconds(config.around)
    folder, store = open_run(config.run, "keyword_recognition", ("features", "audio"), config.store)
    split, labels = store[config.split], folder.vocabulary
    # a label that the run does not know counts as `unknown` if the run has that class, else it is an error
    clips = labelled_clips(store, split, labels)

    model, settings = folder.model(), FeatureSettings.from_dict(store.setting("features", dict))
    added = spotting_of(folder).added
    probabilities = label_probabilities(model, clips, labels, settings, added=added)
    guesses = Guesses(clips.labels, probabilities.argmax(axis=1))
    scores = ClipScores.of(clips.labels, probabilities, labels.names)
    conditions = guesses.by_condition(split.column("condition"))
    metrics = metrics_of(clips.labels, probabilities) | {"calibration_error": scores.calibration_error}
    metrics |= {f"accuracy_{name}": accuracy for name, (accuracy, _) in conditions.items()}

    details: dict[str, Any] = scores.as_json()
    by_snr: dict[str, dict[str, float]] = {}
    for snr in ratios:
        noisy = noisy_clips.noisy_clips(clips, settings, snr, config.noise_folder)
        heard = label_probabilities(model, noisy, labels, settings, added=added)
        by_snr[ratio_name(snr)] = metrics_of(clips.labels, heard)
    if by_snr:
        details["by_snr"] = by_snr
    if times:
        about = spotting_of(folder)
        details["around"] = padded_clips.accuracies_within(times, model, clips, labels, settings, about)
    if config.streamed:
        ways = streamed.heard_in_three_ways(model, clips, labels, settings, added)
        details["streamed"] = {name: way._asdict() for name, way in ways.items()}

    baselines = {}
    if (known := store_of_baselines(folder, store)) is not None:
        baselines = neighbour_baselines(labelled_clips(known, known["train"], labels), clips)
    title = f"{config.split}: {100 * metrics['accuracy']:.1f} % of {metrics['count']:,} clips"
    confusion, reliability = (figure_of(folder, store, config.split, name) for name in ("confusion", "reliability"))
    draw_confusion(guesses.truth, guesses.guess, labels.names, confusion, title)
    save_figure(reliability_figure(scores, title), reliability)
    if config.split == "test":
        record_test(config.run, metrics, baselines, store, details)
    if config.json:
        print_evaluation(config.run, config.split, metrics, baselines, details)
        return
    print(
        f"{config.split} accuracy {100 * metrics['accuracy']:.2f} % of {metrics['count']:,} clips, "
        f"{metrics['nats_per_clip']:.4f} nats a clip; {describe_baselines(baselines, 'accuracy') or 'no baselines'}"
        f"{lost_to(metrics, baselines, 'accuracy')}"
    )
    print("\n".join(scores.summary(metrics["balanced_accuracy"])))
    for name, (accuracy, count) in conditions.items():
        print(f"  {name:<8} {100 * accuracy:.2f} % of {count:,} clips")
    print("\n".join(scores.table()))
    for name, found in by_snr.items():
        print(f"  noise {name:<8} {100 * found['accuracy']:.2f} %, balanced {100 * found['balanced_accuracy']:.2f} %")
    if times:
        print("\n".join(padded_clips.table(metrics["accuracy"], details["around"], int(metrics["count"]))))
    if config.streamed:
        print("\n".join(streamed.table(ways)))
    print(f"confusion matrix: {confusion}, calibration: {reliability}")


if __name__ == "__main__":
    run(Config, main)
