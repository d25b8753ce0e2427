"""Train the packaged model `hey_computer`: a wake word of synthetic voices alone, as `seqaudio wake` makes it.

    recipes/trained_models/hey_computer.py --background BACKGROUND --rooms ROOMS --out runs/hey_computer
    recipes/trained_models/hey_computer.py ... --people wake_precise/hey-computer

A third of BACKGROUND (sound without the words) is trained on, a third chooses the threshold, a third judges. With
--people a second card, in OUT-people, counts clips of people who say the words. The same command goes on where an
interrupted one stopped.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from digits import FLITE

from seqaudio.cli import alarms, wake
from seqaudio.cli.options import run
from seqaudio.decoding.spotting import spotting_of
from seqaudio.run_folder import RunFolder
from seqaudio.vocabulary import UNKNOWN

WORD = "hey computer"


@dataclass(frozen=True)
class Config:
    """The sounds, and how long to train."""

    background: Path  # folder of sound without the words
    rooms: Path  # folder of impulse responses of rooms
    out: Path  # new run folder; its stores and card are beside it
    people: Path | None = None  # folder of clips of people who say the words
    minutes: float = 10.0  # of training
    seed: int = 1
    workers: int = 2  # processes that speak


def main(config: Config) -> None:
    """Speak, train, judge by synthetic voices and by people."""
    options = wake.Config(
        words=(WORD,), out=config.out, speak=FLITE, background=(config.background,), room_folder=config.rooms,
        minutes=config.minutes, seed=config.seed, workers=config.workers,
    )  # fmt: skip
    wake.main(options)
    if config.people is not None:
        card = {
            "positives": config.people, "background": wake.background(options)[1],
            "near_misses": config.out.with_name(f"{config.out.name}-card") / "words" / UNKNOWN,
            "threshold": spotting_of(RunFolder(config.out)).threshold_of(WORD),
        }  # fmt: skip
        out = config.out.with_name(f"{config.out.name}-people")
        alarms.main(alarms.Config(run=config.out, word=WORD, out=out, force=True, **card))


if __name__ == "__main__":
    run(Config, main)
