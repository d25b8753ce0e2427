"""Write the tunes of Ryan's Mammoth Collection (1883) as MIDI files, from the ABC in music21 (extra `chorales`).

    recipes/trained_models/tunes.py --out tunes

Repeats are played; each tune has a tempo by its metre, since the collection gives none.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from seqaudio.cli.options import run
from seqaudio.errors import SeqAudioError
from seqaudio.midi.score import music21_corpus, read_score
from seqaudio.midi.writing import write_midi
from seqaudio.notes import NoteSequence
from seqaudio.progress import progress, say

# quarters a minute at which dancers take them
TEMPOS = {"2/4": 112, "2/2": 192, "4/4": 160, "3/4": 130, "6/8": 168, "9/8": 168, "12/8": 168}
OTHERWISE = 120
VIOLIN = 40  # of General MIDI, counted from 0


@dataclass(frozen=True)
class Config:
    """Where the files go."""

    out: Path  # folder for the MIDI files; the same one goes on where an interrupted call stopped


def main(config: Config) -> None:
    """Write the files; a tune that music21 cannot read is skipped, with a line."""
    config.out.mkdir(parents=True, exist_ok=True)
    files = sorted((music21_corpus() / "ryansMammoth").glob("*.abc"))
    with progress("reading", len(files), "tunes") as advance:
        for file in files:
            tune = config.out / f"{file.stem}.mid"
            if not tune.is_file():
                try:
                    write_midi(played(read_score(file, repeats=True)), tune)
                except SeqAudioError as error:
                    say(f"skipped {error}")
            advance()


def played(notes: NoteSequence) -> NoteSequence:
    """The notes at the tempo of their first metre, for a violin."""
    first = notes.time_signatures[0]
    quarters = TEMPOS.get(f"{first.numerator}/{first.denominator}", OTHERWISE)
    return replace(notes, tempo=np.array([60_000_000 // quarters]), program=np.full(len(notes), VIOLIN, np.int16))


if __name__ == "__main__":
    run(Config, main)
