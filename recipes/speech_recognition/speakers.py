"""Leave out each speaker of the Free Spoken Digit Dataset: how well are digits understood of a voice never heard?

    recipes/speech_recognition/speakers.py --source FSDD --out runs/strings

Each run trains on new strings of the digits of four speakers, chooses its epoch on strings of a fifth, and is read once
on those of the sixth, whole and block by block. Stop with Ctrl-C and go on with the same command: finished stores and
runs are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from seqaudio.augmentation.options import AugmentationOptions
from seqaudio.cli.options import run
from seqaudio.cli.scripts import load, preparations, recipes
from seqaudio.evaluation.results import machine, read_results
from seqaudio.files import write_json

Speaker = Literal["george", "jackson", "lucas", "nicolas", "theo", "yweweler"]
SPEAKERS: tuple[Speaker, ...] = get_args(Speaker)
DETAILS = ("all_right", "streamed_otherwise")  # strings without an error, and with another text block by block
KINDS = ("substitutions", "deletions", "insertions")
STRINGS = 100  # of each training speaker; they say which words there are, and training makes up its own

# chosen on validation speakers; strings without noise teach a voice faster, and others less
CHANGES = AugmentationOptions(gain=0.0, noise=0.0, tilt=12.0, time_masks=0, lowest_snr=5.0, highest_snr=40.0)
OPTIONS = {
    "units": "words", "bidirectional": False, "cell": "gru", "hidden_size": 96, "layers": 2, "filters": 0,
    "subsampling": 3, "dropout": 0.2, "centring": "loudness", "memory": 3.0, "mean_prior": 10.0, "batch_size": 16,
    "learning_rate": 8e-3,
}  # fmt: skip


@dataclass(frozen=True)
class Config:
    """Options of the study."""

    source: Path  # folder of the corpus
    out: Path  # folder of the stores and runs; the same one goes on with a study
    speakers: tuple[Speaker, ...] = SPEAKERS  # to leave out
    epochs: int = 60
    seed: int = 1
    more_stores: tuple[Path, ...] = ()  # further words for training, such as those of synthetic voices


def main(config: Config) -> None:
    """Run what is missing, print the table, write speakers.json."""
    rows = {speaker: row_of(config, speaker) for speaker in config.speakers}
    rates = [row["rate"] for row in rows.values()]
    about = {"seed": config.seed, "epochs": config.epochs, "machine": machine()}
    table = about | {"speakers": rows, "mean": float(np.mean(rates)), "worst": max(rates)}
    write_json(config.out / "speakers.json", table)
    print("\n".join(lines(table)))


def row_of(config: Config, speaker: Speaker) -> dict[str, Any]:
    """The errors of the run without one speaker."""
    results = tested(config, speaker)
    details, errors = results["test_details"], results["test_details"]["errors"]["word"]
    row = {"validation": results["valid"]["wer"], "rate": results["test"]["wer"], "seconds": results["wall_seconds"]}
    row |= {kind: errors[kind] for kind in ("interval", "units", *KINDS)}
    return row | {"strings": int(results["test"]["count"])} | {name: details[name] for name in DETAILS}


def prepared(config: Config, speaker: Speaker, strings: int) -> Path:
    """The store of strings, or of single digits, with the speaker as its test and another one as its validation."""
    out = config.out / f"{'strings' if strings else 'digits'}_{speaker}"
    if not out.is_dir():
        module = load(preparations()["fsdd"])
        options = {"leave_out": speaker, "features": "spotting", "strings": strings}
        module.main(module.Config(source=config.source, out=out, **options))
    return out


def trained(config: Config, speaker: Speaker) -> Path:
    """The run of one training, which goes on where it was interrupted."""
    folder = config.out / f"{speaker}_{config.seed}"
    if not (folder / "results.json").is_file():
        train = load(recipes("train.py")["speech_recognition"])
        options = OPTIONS | {
            "words": prepared(config, speaker, 0), "more_stores": config.more_stores, "epochs": config.epochs,
            "seed": config.seed, "augmentation": train.SentenceAugmentation(**vars(CHANGES)),
            "resume": (folder / "config.json").is_file(),
        }  # fmt: skip
        train.main(train.Config(store=prepared(config, speaker, STRINGS), run=folder, **options))
    return folder


def tested(config: Config, speaker: Speaker) -> dict[str, Any]:
    """The results of one run, whose test is read once."""
    folder = trained(config, speaker)
    if read_results(folder)["test"] is None:
        evaluate = load(recipes("evaluate.py")["speech_recognition"])
        evaluate.main(evaluate.Config(run=folder, split="test", streamed=True))
    return read_results(folder)


def lines(table: dict[str, Any]) -> list[str]:
    """The table as text."""
    names = ("errors", "interval", "replaced", "missed", "added", "strings wrong")
    rows = [f"{'left out':<10}" + "".join(f"{name:>15}" for name in names)]
    for name, row in table["speakers"].items():
        wrong, interval = 1 - row["all_right"] / row["strings"], row["interval"]
        between = f"{100 * interval[0]:.1f} .. {100 * interval[1]:.1f}" if interval else ""
        values = f"{100 * row['rate']:.1f} %", between, *(row[kind] for kind in KINDS), f"{100 * wrong:.1f} %"
        rows.append(f"{name:<10}" + "".join(f"{value:>15}" for value in values))
    otherwise = sum(row["streamed_otherwise"] for row in table["speakers"].values())
    means = f"mean {100 * table['mean']:.1f} %, worst {100 * table['worst']:.1f} %"
    return [*rows, f"{means}; streamed, {otherwise} strings have another text"]


if __name__ == "__main__":
    run(Config, main)
