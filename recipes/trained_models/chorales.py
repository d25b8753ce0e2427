"""Train the packaged model `chorales`: Bach's four-part chorales.

    recipes/trained_models/chorales.py --out runs/chorales

The scores are those of the package music21 (extra `chorales`), split as in data_prep/bach_chorales.py. The same command
goes on where an interrupted one stopped.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from seqaudio.cli.options import run
from seqaudio.cli.scripts import load, preparations, recipes
from seqaudio.evaluation.results import read_results


@dataclass(frozen=True)
class Config:
    """Where the model goes, and how long to train."""

    out: Path  # new run folder; its store is beside it
    epochs: int = 24
    seed: int = 1
    workers: int = 2  # processes that read the scores


def main(config: Config) -> None:
    """Prepare, train, evaluate."""
    store = config.out.with_name(f"{config.out.name}-store")
    config.out.parent.mkdir(parents=True, exist_ok=True)
    if not store.is_dir():
        prepare = load(preparations()["bach_chorales"])
        prepare.main(prepare.Config(out=store, workers=config.workers))
    train, evaluate = (load(recipes(file)["music_generation"]) for file in ("train.py", "evaluate.py"))
    if not (config.out / "results.json").is_file():
        more = {"tied": True, "resume": (config.out / "config.json").is_file()}
        train.main(train.Config(store=store, run=config.out, epochs=config.epochs, seed=config.seed, **more))
    if read_results(config.out)["test"] is None:
        evaluate.main(evaluate.Config(run=config.out, split="test"))


if __name__ == "__main__":
    run(Config, main)
