"""Train the packaged model `folk`: reels, jigs, hornpipes and other tunes of Ryan's Mammoth Collection (1883).

    recipes/trained_models/folk.py --out runs/folk

The 1,059 tunes are those of the package music21 (extra `chorales`), in ABC; `tunes.py` writes them as MIDI, and
they are split so that versions of a tune stay together. The same command goes on where an interrupted one stopped.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tunes

from seqaudio.cli.options import run
from seqaudio.cli.scripts import load, preparations, recipes
from seqaudio.evaluation.results import read_results

LICENCE = "tunes in the public domain (1883); ABC by John Chambers and others, as distributed in music21"


@dataclass(frozen=True)
class Config:
    """Where the model goes, and how long to train."""

    out: Path  # new run folder; its store and MIDI files are beside it
    epochs: int = 16
    seed: int = 1

    def place(self, end: str) -> Path:
        """A folder beside the run."""
        return self.out.with_name(f"{self.out.name}-{end}")


def main(config: Config) -> None:
    """Write the tunes as MIDI, prepare, train, evaluate."""
    store = config.place("store")
    config.out.parent.mkdir(parents=True, exist_ok=True)
    if not store.is_dir():
        tunes.main(tunes.Config(out=config.place("midi")))
        prepare = load(preparations()["midi_folder"])
        options = {"name": "Ryan's Mammoth Collection", "licence": LICENCE}
        prepare.main(prepare.Config(source=config.place("midi"), out=store, **options))
    train, evaluate = (load(recipes(file)["music_generation"]) for file in ("train.py", "evaluate.py"))
    if not (config.out / "results.json").is_file():
        more = {"tied": True, "parameters": 400_000, "resume": (config.out / "config.json").is_file()}
        train.main(train.Config(store=store, run=config.out, epochs=config.epochs, seed=config.seed, **more))
    if read_results(config.out)["test"] is None:
        evaluate.main(evaluate.Config(run=config.out, split="test"))


if __name__ == "__main__":
    run(Config, main)
