"""Leave out each speaker of the Free Spoken Digit Dataset: how well is a voice understood that nobody trained on?

    recipes/keyword_recognition/speakers.py --source FSDD --out runs/speakers
    recipes/keyword_recognition/speakers.py --source FSDD --out runs/speakers_spoken --more-stores stores/digits

Each run trains on four speakers, chooses its epoch on a fifth, and is read once on the sixth. Beside it stand 5 nearest
neighbours on the same four speakers, with each clip's mean and deviation taken out, which removes most of a voice.
Stop with Ctrl-C and go on with the same command: finished runs are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from seqaudio.augmentation.options import AugmentationOptions
from seqaudio.batching import labelled_clips
from seqaudio.cli.options import run
from seqaudio.cli.scripts import load, preparations, recipes
from seqaudio.evaluation.intervals import wilson
from seqaudio.evaluation.keywords import neighbour_accuracy
from seqaudio.evaluation.results import machine, read_results
from seqaudio.files import write_json
from seqaudio.store import Store

SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")

# chosen on the validation speakers
CHANGES = AugmentationOptions(gain=0.0, noise=0.0, tilt=12.0, time_masks=0, lowest_snr=5.0, highest_snr=40.0)


@dataclass(frozen=True)
class Config:
    """Options of the study."""

    source: Path  # folder of the corpus
    out: Path  # folder of the stores and runs; the same one goes on with a study
    seeds: tuple[int, ...] = (1, 2, 3)
    speakers: tuple[str, ...] = SPEAKERS  # to leave out
    preset: Literal["tiny", "small", "base"] = "small"
    epochs: int = 36
    more_stores: tuple[Path, ...] = ()  # further training clips, such as those of synthetic voices
    publish: Path | None = None  # file for a copy of the table: docs/results/studies/fsdd_speakers.json


def main(config: Config) -> None:
    """Run what is missing, print the table, write speakers.json."""
    rows = {speaker: row_of(config, speaker) for speaker in config.speakers}
    means = [row["mean"] for row in rows.values()]
    table = {
        "preset": config.preset,
        "seeds": list(config.seeds),
        "epochs": config.epochs,
        "synthetic": bool(config.more_stores),
        "machine": machine(),
        "speakers": rows,
        "mean": float(np.mean(means)),
        "worst": float(np.min(means)),
    }
    write_json(config.out / "speakers.json", table)
    if config.publish is not None:
        config.publish.parent.mkdir(parents=True, exist_ok=True)
        write_json(config.publish, table)
    print("\n".join(lines(table)))


def row_of(config: Config, speaker: str) -> dict[str, Any]:
    """The accuracies for one speaker: of each seed, their mean, and of the neighbours."""
    store = prepared(config, speaker)
    found = [tested(config, store, speaker, seed) for seed in config.seeds]
    accuracies = [results["test"]["accuracy"] for results in found]
    labels = store.names
    neighbours = neighbour_accuracy(
        labelled_clips(store, store["train"], labels), labelled_clips(store, store["test"], labels), centred=True
    )
    count = int(found[0]["test"]["count"])
    return {
        "accuracy": accuracies,
        "mean": float(np.mean(accuracies)),
        "count": count,
        "errors": [round((1 - accuracy) * count) for accuracy in accuracies],
        "interval": wilson(float(np.mean(accuracies)), count),  # of one reading with the mean of these errors
        "test_reads": [results["test_reads"] for results in found],
        "neighbours": neighbours,
        "seconds": [results["wall_seconds"] for results in found],
        "parameters": found[0]["parameters"],
    }


def prepared(config: Config, speaker: str) -> Store:
    """The store that has the speaker as its test and another one as its validation."""
    out = config.out / f"store_{speaker}"
    if not out.is_dir():
        module = load(preparations()["fsdd"])
        module.main(module.Config(source=config.source, out=out, leave_out=speaker, features="spotting"))
    return Store(out)


def tested(config: Config, store: Store, speaker: str, seed: int) -> dict[str, Any]:
    """The results of one training, which are read from its run where it exists."""
    folder = config.out / f"{speaker}_{config.preset}_{seed}"
    train, evaluate = (load(recipes(file)["keyword_recognition"]) for file in ("train.py", "evaluate.py"))
    if not (folder / "results.json").is_file():
        options = {
            "preset": config.preset, "epochs": config.epochs, "seed": seed, "more_stores": config.more_stores,
            "augmentation": CHANGES, "cut_off": 0.0, "without_noise": 0.05, "inside_weight": 0.1, "more_share": 0.67,
            "resume": (folder / "config.json").is_file(),
        }  # fmt: skip
        train.main(train.Config(store=store.path, run=folder, **options))
    if read_results(folder)["test"] is None:
        evaluate.main(evaluate.Config(run=folder, split="test"))
    return read_results(folder)


def lines(table: dict[str, Any]) -> list[str]:
    """The table as text."""
    rows = [f"{'left out':<10} {'mean':>6} {'range':>14} {'errors':>20} {'95 %':>14} {'5-NN':>6}"]
    for name, row in table["speakers"].items():
        errors = f"{', '.join(map(str, row['errors']))} of {row['count']}"
        range_of, interval = (
            f"{100 * low:.1f} .. {100 * high:.1f}"
            for low, high in ((min(row["accuracy"]), max(row["accuracy"])), row["interval"])
        )
        figures = f"{range_of:>14} {errors:>20} {interval:>14} {100 * row['neighbours']:6.1f}"
        rows.append(f"{name:<10} {100 * row['mean']:6.1f} {figures}")
    return [*rows, f"mean {100 * table['mean']:.1f} %, worst {100 * table['worst']:.1f} %"]


if __name__ == "__main__":
    run(Config, main)
