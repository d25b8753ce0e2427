"""Train the packaged model `commands`: ten words in English, spoken by synthetic voices alone.

    recipes/trained_models/commands.py --out runs/commands
    recipes/trained_models/commands.py --out runs/commands --people SPEECH_COMMANDS

The words are yes, no, up, down, left, right, on, off, stop, go; training, validation and test have other voices of
espeak-ng, training has four of Flite too. With --people the model is read once more, on clips of people: all of these
words in a folder of Speech Commands, and other words of its test split as `unknown`. The same command goes on where an
interrupted one stopped.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from digits import FLITE, index, write_table

from seqaudio.augmentation.options import AugmentationOptions
from seqaudio.cli.demo import SHARES, WORDS
from seqaudio.cli.options import run
from seqaudio.cli.scripts import load, preparations, recipes
from seqaudio.evaluation.results import read_results
from seqaudio.prepare.corpora.splits import hash_fraction
from seqaudio.vocabulary import UNKNOWN

OTHERS = 0.1  # share of the clips of other words that people's test has
# as in the demo, with the tilts and noises of the wake words, since people's microphones differ more than voices do
CHANGES = AugmentationOptions(gain=12.0, noise=0.4, tilt=15.0, time_masks=0)


@dataclass(frozen=True)
class Config:
    """Where the model goes, and how long to train."""

    out: Path  # new run folder; its stores are beside it
    people: Path | None = None  # folder of Speech Commands, or a part of it: a second test
    epochs: int = 20
    seed: int = 1
    workers: int = 2  # processes that speak

    def place(self, end: str) -> Path:
        """A folder or file beside the run."""
        return self.out.with_name(f"{self.out.name}-{end}")


def main(config: Config) -> None:
    """Speak, train, evaluate on other voices and on people."""
    config.out.parent.mkdir(parents=True, exist_ok=True)
    store = config.place("store")
    if not store.is_dir():
        speak = load(preparations()["synthetic_keywords"])
        options = {"accents": ("all",), "test_draw": 3, "speak": FLITE, "speech": 1, "noisy_training": 0.0}
        options |= {"features": "spotting", "workers": config.workers}
        speak.main(speak.Config(words=WORDS, out=store, **options))
    train, evaluate = (load(recipes(file)["keyword_recognition"]) for file in ("train.py", "evaluate.py"))
    if not (config.out / "results.json").is_file():
        more = {"resume": (config.out / "config.json").is_file(), "augmentation": CHANGES, **SHARES}
        train.main(train.Config(store=store, run=config.out, epochs=config.epochs, seed=config.seed, **more))
    if read_results(config.out)["test"] is None:
        evaluate.main(evaluate.Config(run=config.out, split="test"))
        if config.people is not None:
            evaluate.main(evaluate.Config(run=config.out, split="test", store=people(config.people, config)))


def people(folder: Path, config: Config) -> Path:
    """The store of people's clips, of which all are a test."""
    store, table = config.place("people-store"), config.place("people.csv")
    if not store.is_dir():
        write_table(table, people_rows(folder))
        prepare = load(preparations()["audio_folder"])
        prepare.main(prepare.Config(source=table, out=store, split_column="split", features="spotting"))
    return store


def people_rows(folder: Path) -> list[tuple[str, ...]]:
    """Path, label, split and speaker of the words in a folder of Speech Commands, and of other words of its test."""
    rows = index(folder)
    heard = [(row["path"], row["word"], "test", row["speaker"]) for row in rows if row["word"] in WORDS]
    others = (row for row in rows if row["split"] == "test" and row["word"] not in WORDS)
    return heard + [
        (row["path"], UNKNOWN, "test", row["speaker"]) for row in others if hash_fraction(row["file"]) < OTHERS
    ]


if __name__ == "__main__":
    run(Config, main)
