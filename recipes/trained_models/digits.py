"""Train the packaged model `digits`: the ten digits in English, by people and by synthetic voices, at 8 kHz.

    recipes/trained_models/digits.py --fsdd FSDD --speech-commands SPEECH_COMMANDS --out runs/digits

Training: takes 5 to 49 of all six speakers of the Free Spoken Digit Dataset, other words of Speech Commands as
`unknown`, and more than 400 synthetic voices of espeak-ng and Flite. Validation and test are people whom training has
not heard: the digits of Speech Commands, half of its speakers each, with other words of its own splits; takes 0 to 4 of
the Free Spoken Digit Dataset are a second test. Both folders have an index.tsv of their files. The same command goes
on where an interrupted one stopped.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from seqaudio.augmentation.options import AugmentationOptions
from seqaudio.cli.options import run
from seqaudio.cli.scripts import load, preparations, recipes
from seqaudio.errors import SourceError
from seqaudio.evaluation.results import read_results
from seqaudio.prepare.corpora.splits import hash_fraction
from seqaudio.vocabulary import UNKNOWN

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
PARTS = {"train": "train", "validation": "valid", "test": "test"}  # of Speech Commands
OPTION = "--setf duration_stretch={0.8..1.4} -t {text} -o {wav}"
FLITE = tuple(f"flite -voice {voice} {OPTION}" for voice in ("slt", "rms", "awb", "kal16"))
# those of recipes/keyword_recognition/speakers.py, which validation speakers chose
CHANGES = AugmentationOptions(gain=0.0, noise=0.0, tilt=12.0, time_masks=0, lowest_snr=5.0, highest_snr=40.0)
OPTIONS = {"cut_off": 0.0, "inside_weight": 0.1, "more_share": 0.5, "augmentation": CHANGES}


@dataclass(frozen=True)
class Config:
    """The corpora, and what is made of them."""

    fsdd: Path  # folder of the Free Spoken Digit Dataset
    speech_commands: Path  # folder of Speech Commands, or a part of it
    out: Path  # new run folder; its stores are beside it
    epochs: int = 36
    seed: int = 1
    workers: int = 2  # processes that speak

    def place(self, end: str) -> Path:
        """A folder or file beside the run."""
        return self.out.with_name(f"{self.out.name}-{end}")


def main(config: Config) -> None:
    """Prepare, train, evaluate on both tests."""
    people, known, voices = (stores(config)[name] for name in ("people", "known", "voices"))
    train, evaluate = (load(recipes(file)["keyword_recognition"]) for file in ("train.py", "evaluate.py"))
    if not (config.out / "results.json").is_file():
        more = {"resume": (config.out / "config.json").is_file(), "more_stores": (voices,), **OPTIONS}
        train.main(train.Config(store=people, run=config.out, epochs=config.epochs, seed=config.seed, **more))
    if read_results(config.out)["test"] is None:
        evaluate.main(evaluate.Config(run=config.out, split="test", around="0.5,2"))
        evaluate.main(evaluate.Config(run=config.out, split="test", store=known))


def stores(config: Config) -> dict[str, Path]:
    """The stores of people, of the test by known voices, and of synthetic voices, made where they are missing."""
    found = {name: config.place(f"{name}-store") for name in ("people", "known", "voices")}
    config.out.parent.mkdir(parents=True, exist_ok=True)
    folder, speak = load(preparations()["audio_folder"]), load(preparations()["synthetic_keywords"])
    rows = {"people": fsdd_rows(config.fsdd, "train") + commands_rows(config.speech_commands)}
    rows["known"] = fsdd_rows(config.fsdd, "test")
    for name, table in rows.items():
        if not found[name].is_dir():
            write_table(config.place(f"{name}.csv"), table)
            options = {"split_column": "split", "sample_rate": 8000, "features": "spotting", "workers": config.workers}
            folder.main(folder.Config(source=config.place(f"{name}.csv"), out=found[name], **options))
    if not found["voices"].is_dir():
        options = {"random_voices": 400, "takes": 3, "accents": ("all",), "speak": FLITE, "unknown": 1, "silence": 0}
        options |= {"noisy_training": 0.0, "sample_rate": 8000, "features": "spotting", "workers": config.workers}
        speak.main(speak.Config(words=DIGITS, out=found["voices"], **options))
    return found


def index(folder: Path) -> list[dict[str, str]]:
    """The rows of the index of a corpus, with absolute paths."""
    file = folder / "index.tsv"
    if not file.is_file():
        raise SourceError(f"{file}: no such file; expected a table of the recordings with the columns file and split")
    with file.open(encoding="utf-8", newline="") as lines:
        rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [row | {"path": str((folder / row["file"]).resolve())} for row in rows]


def fsdd_rows(folder: Path, split: str) -> list[tuple[str, ...]]:
    """Path, label, split and speaker of one of the official splits of the Free Spoken Digit Dataset."""
    found = [row for row in index(folder) if row["split"] == split]
    return [(row["path"], DIGITS[int(row["digit"])], split, row["speaker"]) for row in found]


def commands_rows(folder: Path) -> list[tuple[str, ...]]:
    """The same of Speech Commands: digits for validation and test, by speaker, and other words by its own splits."""
    rows = []
    for row in index(folder):
        if row["word"] in DIGITS:
            split = "valid" if hash_fraction(row["speaker"]) < 0.5 else "test"
            rows.append((row["path"], row["word"], split, row["speaker"]))
        elif row["split"] in PARTS and not row["word"].startswith("_"):
            share = 0.25 if row["split"] == "train" else 0.15  # no more than there are of a digit in each
            if hash_fraction(row["file"]) < share:
                rows.append((row["path"], UNKNOWN, PARTS[row["split"]], row["speaker"]))
    return rows


def write_table(file: Path, rows: list[tuple[str, ...]], said: str = "label") -> None:
    """Write the table that audio_folder reads; `said` is the name of its second column."""
    with file.open("w", encoding="utf-8", newline="") as out:
        csv.writer(out).writerows([("path", said, "split", "speaker"), *rows])


if __name__ == "__main__":
    run(Config, main)
