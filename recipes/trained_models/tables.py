"""Write the tables of people's clips on which packaged models are measured, for `seqaudio prepare audio_folder`.

    recipes/trained_models/tables.py --data DATA --out tables

DATA has the corpora in speech/fsdd and speech/speech_commands, each with an index.tsv. The tables:

    digits_people.csv    digits of Speech Commands by the half of its speakers that is the test, and other words
    digits_known.csv     the official test of the Free Spoken Digit Dataset: voices that the model knows
    strings_people.csv   the digits of Speech Commands, each as a text
    commands_people.csv  the ten commands of Speech Commands, and other words of its test
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import commands
import digits

from seqaudio.cli.options import run


@dataclass(frozen=True)
class Config:
    """Where the corpora are."""

    data: Path  # folder of the corpora
    out: Path  # folder for the tables


def main(config: Config) -> None:
    """Write the tables."""
    fsdd, spoken = config.data / "speech" / "fsdd", config.data / "speech" / "speech_commands"
    config.out.mkdir(parents=True, exist_ok=True)
    people = [row for row in digits.commands_rows(spoken) if row[2] == "test"]
    digits.write_table(config.out / "digits_people.csv", people)
    figures = {word: str(figure) for figure, word in enumerate(digits.DIGITS)}
    said = [row for row in digits.index(spoken) if row["word"] in figures]
    texts = [(row["path"], figures[row["word"]], "test", row["speaker"]) for row in said]
    digits.write_table(config.out / "strings_people.csv", texts, "text")
    digits.write_table(config.out / "digits_known.csv", digits.fsdd_rows(fsdd, "test"))
    digits.write_table(config.out / "commands_people.csv", commands.people_rows(spoken))


if __name__ == "__main__":
    run(Config, main)
