"""Train the packaged model `folk`: reels, jigs, hornpipes and other tunes of Ryan's Mammoth Collection (1883).

    recipes/trained_models/folk.py --out runs/folk

The 1,059 tunes are those of the package music21 (extra `chorales`), in ABC; written as MIDI with their repeats,
and split so that versions of a tune stay together. The same command goes on where an interrupted one stopped.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from seqaudio.cli.options import run
from seqaudio.cli.scripts import load, preparations, recipes
from seqaudio.errors import SeqAudioError
from seqaudio.evaluation.results import read_results
from seqaudio.midi.score import music21_corpus, read_score
from seqaudio.midi.writing import write_midi
from seqaudio.notes import NoteSequence
from seqaudio.progress import progress, say

# quarters a minute at which dancers take them; the collection gives none
TEMPOS = {"2/4": 112, "2/2": 192, "4/4": 160, "3/4": 130, "6/8": 168, "9/8": 168, "12/8": 168}
OTHERWISE = 120
VIOLIN = 40  # of General MIDI, counted from 0
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
        tunes = written(config)
        prepare = load(preparations()["midi_folder"])
        options = {"name": "Ryan's Mammoth Collection", "licence": LICENCE}
        prepare.main(prepare.Config(source=tunes, out=store, **options))
    train, evaluate = (load(recipes(file)["music_generation"]) for file in ("train.py", "evaluate.py"))
    if not (config.out / "results.json").is_file():
        more = {"tied": True, "parameters": 400_000, "resume": (config.out / "config.json").is_file()}
        train.main(train.Config(store=store, run=config.out, epochs=config.epochs, seed=config.seed, **more))
    if read_results(config.out)["test"] is None:
        evaluate.main(evaluate.Config(run=config.out, split="test"))


def written(config: Config) -> Path:
    """The folder of the tunes as MIDI files; a tune that music21 cannot read is skipped, with a line."""
    folder = config.place("midi")
    folder.mkdir(exist_ok=True)
    files = sorted((music21_corpus() / "ryansMammoth").glob("*.abc"))
    with progress("reading", len(files), "tunes") as advance:
        for file in files:
            tune = folder / f"{file.stem}.mid"
            if not tune.is_file():
                try:
                    write_midi(played(read_score(file, repeats=True)), tune)
                except SeqAudioError as error:
                    say(f"skipped {error}")
            advance()
    return folder


def played(notes: NoteSequence) -> NoteSequence:
    """The notes at the tempo of their first metre, for a violin."""
    first = notes.time_signatures[0]
    quarters = TEMPOS.get(f"{first.numerator}/{first.denominator}", OTHERWISE)
    return replace(notes, tempo=np.array([60_000_000 // quarters]), program=np.full(len(notes), VIOLIN, np.int16))


if __name__ == "__main__":
    run(Config, main)
