"""Evaluate a trained speech recogniser on a split: word and character errors, a table of them, an alignment.

    recipes/speech_recognition/evaluate.py --run runs/an4 --split test

The store may be a test set of its own, without training rows. Each use of the test split adds a line to the run's
`test_reads.tsv`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from seqaudio.batching.transcribed import transcribed
from seqaudio.cli.as_json import print_evaluation
from seqaudio.cli.options import run
from seqaudio.decoding.transcription import recogniser_of, spelling_of
from seqaudio.evaluation.error_report import ErrorReport
from seqaudio.evaluation.finishing import describe_baselines, lost_to, open_run, store_of_baselines
from seqaudio.evaluation.recognition import hear, metrics_of, reached, text_baselines
from seqaudio.evaluation.recognition_figure import alignment_figure
from seqaudio.evaluation.results import record_test
from seqaudio.features.settings import FeatureSettings
from seqaudio.pictures import save_figure


@dataclass(frozen=True)
class Config:
    """Options of the evaluation."""

    run: Path  # run folder of a training
    store: Path | None = None  # store to evaluate on, with the same features; by default that of the training
    split: Literal["valid", "test"] = "valid"  # to evaluate on
    texts: Path | None = None  # also write a table of every recording: its id, its text, what was recognised
    json: bool = False  # print one JSON object instead of text


def main(config: Config) -> None:
    """Print the metrics; on the test split, record them in results.json."""
    folder, store = open_run(config.run, "speech_recognition", ("features", "audio"), config.store)
    spelling, model = spelling_of(folder, with_lexicon=True), recogniser_of(folder)
    recordings = transcribed(store, store[config.split], spelling)

    heard = hear(model, recordings)
    report = ErrorReport.of(recordings, heard.texts)
    metrics = metrics_of(recordings, heard, heard.texts)
    details = report.as_json()

    baselines = {}
    known = store_of_baselines(folder, store)
    if known is not None and "valid" in known.counts:  # which chooses the order of the n-grams
        training, valid = (transcribed(known, known[split], spelling) for split in ("train", "valid"))
        baselines = text_baselines(training, valid, recordings)
    settings = FeatureSettings.from_dict(store.setting("features", dict))
    picture = folder.figure("alignment")
    save_figure(alignment_figure(recordings, heard, settings, model.subsampling), picture)
    if config.texts is not None:
        report.write_texts(config.texts)
    if config.split == "test":
        record_test(config.run, metrics, baselines, store, details)
    if config.json:
        print_evaluation(config.run, config.split, metrics, baselines, details)
        return
    metric = f"nats_per_{spelling.noun}"
    print(
        f"{config.split} {reached(metrics, spelling)}; "
        f"{describe_baselines(baselines, metric) or 'no baselines'}{lost_to(metrics, baselines, metric)}"
    )
    print("\n".join(report.lines()))
    print(f"alignment: {picture}")


if __name__ == "__main__":
    run(Config, main)
