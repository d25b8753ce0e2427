"""Measure how far back gradients reach in a trained model, on sequences of a store.

Example: seqaudio probe runs/nottingham_lstm stores/nottingham --png reach.png
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from seqaudio.cli.outputs import PICTURES, check_output, written
from seqaudio.errors import OptionError
from seqaudio.files import json_text


@dataclass(frozen=True)
class Config:
    """The model and the data to probe, and how."""

    run: tyro.conf.Positional[Path]  # run folder, or the name of a model (seqaudio models)
    store: tyro.conf.Positional[Path]  # store of the kind that the run was trained on
    split: Literal["train", "valid"] = "valid"  # the test split is not read
    sequences: int = 8  # rows, spread evenly over the split
    steps: int = 256  # most steps of each row, from its start
    anchors: int = 16  # steps from whose losses gradients are followed back, spread evenly over each row
    lags: int | None = None  # most steps back; by default about half of the steps
    double: bool = False  # compute in float64, which resolves gradients below 1e-38
    png: Path | None = None  # picture to write
    json: bool = False  # print all curves and numbers as JSON instead of the table
    force: bool = False  # replace an existing picture


def main(config: Config) -> None:
    """Probe the model on rows of the store, print the table, draw the picture."""
    if config.png is not None:
        check_output("--png", config.png, PICTURES, config.force)
    if config.sequences < 1 or config.steps < 2:
        raise OptionError(
            f"got --sequences {config.sequences} and --steps {config.steps}, expected at least 1 sequence and 2 steps"
        )

    from seqaudio.probing import probe, probe_rows, spread_rows
    from seqaudio.run_folder import RunFolder
    from seqaudio.store import Store

    folder, store = RunFolder(config.run), Store(config.store)
    folder.check_store(store)
    if folder.recipe == "speech_recognition":  # a text belongs to the whole of its recording, which cannot be cut
        from seqaudio.batching.transcribed import transcribed
        from seqaudio.decoding.transcription import spelling_of

        recordings = transcribed(store, store[config.split], spelling_of(folder, with_lexicon=True))
        batch = spread_rows(recordings, config.sequences)
    else:
        batch = probe_rows(store, folder.vocabulary, config.split, config.sequences, config.steps)
    report = probe(folder.model(), batch, anchors=config.anchors, lags=config.lags, double=config.double)
    print(json_text(report.to_dict()) if config.json else report)
    if config.png is not None:
        with written(config.png):
            report.draw(config.png, title=config.run.name)
