"""Prepare the JSB Chorales: 382 chorales as JSON grids; no licence stated; download by hand.

    data_prep/jsb_chorales.py --source FOLDER --out stores/jsb16
    data_prep/jsb_chorales.py --source FOLDER --out stores/jsb16 --representation chorale
    data_prep/jsb_chorales.py --source FOLDER --out stores/jsb4 --representation roll --grid quarter
    data_prep/jsb_chorales.py --source FOLDER --out stores/jsb_clean --clean
    data_prep/jsb_chorales.py --source FOLDER --out stores/tonicnet --representation tonicnet --transpose

    Content    382 chorales by J. S. Bach, sampled at every quarter, eighth or sixteenth note; at sixteenths also as
               four separate voices
    Source     N. Boulanger-Lewandowski, Y. Bengio, P. Vincent, "Modeling temporal dependencies in high-dimensional
               sequences" (2012); the files from https://github.com/czhuang/JSB-Chorales-dataset
    Licence    none is stated there, so download them yourself; the music is in the public domain
    Names      jsb-chorales-quarter.json, jsb-chorales-8th.json, jsb-chorales-16th.json, Jsb16thSeparated.json

Splits as published, in chorales of train / valid / test: 229 / 76 / 77. With --clean, which polyphonic.py explains,
126 / 53 / 77 at quarters, 136 / 55 / 77 at eighths, 138 / 55 / 77 at sixteenths and for the voices.

With --transpose a training chorale is written in each key in which no voice leaves its range: 1,923 rows of the 229, as
Peracha (2019) does for TonicNet; the 138 of --clean give 1,186.

The quarters equal JSB_Chorales.mat frame for frame. They are transposed to one key, and in another order than the finer
grids. Every chorale is in the same split in all four files; in bach_chorales.py it is in the same or a stricter one.

The grids do not contain the beginnings of notes: the same pitch in successive steps of a voice is one note.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from seqaudio.cli.options import run
from seqaudio.errors import OptionError
from seqaudio.prepare.corpora.expected import expect_counts
from seqaudio.prepare.music.near_duplicates import PieceIdentity
from seqaudio.prepare.music.options import NoteOptions, build_note_store, chosen_representation
from seqaudio.prepare.music.published_pieces import (
    RollPieces,
    TransposedVoicePieces,
    VoicePieces,
    piece_items,
    read_pitch_rolls,
    read_voices,
    versions_of_held_out,
)
from seqaudio.store import Store, describe_store
from seqaudio.tokens.four_voices import ANDANTE
from seqaudio.tokens.roll import RollRepresentation

Grid = Literal["quarter", "8th", "16th"]

STEPS: dict[Grid, int] = {"quarter": 1, "8th": 2, "16th": 4}  # of a quarter
VOICES_FILE = "Jsb16thSeparated.json"
TITLE = "JSB Chorales"
LICENCE = "music in the public domain; none is stated for the files"
SETTINGS = {name: {"tempo": ANDANTE} for name in ("chorale", "chorale_grid", "performance", "miditok")}
EXPECTED = {"train": 229, "valid": 76, "test": 77}
TRANSPOSED, TRANSPOSED_CLEAN = 1923, 1186  # training chorales in all singable keys
EXPECTED_CLEAN = {  # by file
    "jsb-chorales-quarter.json": {"train": 126, "valid": 53, "test": 77},
    "jsb-chorales-8th.json": {"train": 136, "valid": 55, "test": 77},
    "jsb-chorales-16th.json": {"train": 138, "valid": 55, "test": 77},
    VOICES_FILE: {"train": 138, "valid": 55, "test": 77},
}


@dataclass(frozen=True, kw_only=True)
class Config(NoteOptions):
    """Options of the preparation."""

    representation: str = "chorale_grid"  # of the four voices at sixteenths; or roll, which has no voices
    grid: Grid = "16th"  # of the roll
    transpose: bool = False  # training chorales of four voices in every key that is singable, as TonicNet's
    clean: bool = False  # leave out versions of chorales of validation and test


def main(config: Config) -> None:
    """Prepare the store and print what it holds."""
    if config.representation == "roll":
        if config.transpose:
            raise OptionError("--transpose is for the four voices, which a roll does not have; leave it out")
        file = config.source / f"jsb-chorales-{config.grid}.json"
        store = roll_store(config, file)
    else:
        file = config.source / VOICES_FILE
        store = voice_store(config, file)
    print("\n".join(describe_store(store)))
    expected = EXPECTED_CLEAN[file.name] if config.clean else EXPECTED
    if config.transpose:
        expected = expected | {"train": TRANSPOSED_CLEAN if config.clean else TRANSPOSED}
    expect_counts(store, expected, config.limit)


def roll_store(config: Config, file: Path) -> Store:
    """The store of the rolls at a grid."""
    if config.steps_per_quarter is not None:
        raise OptionError(f"--steps-per-quarter {config.steps_per_quarter}: rolls use --grid instead; leave it out")
    rolls = read_pitch_rolls(file)
    left_out = versions_of_held_out(rolls, PieceIdentity.of_roll) if config.clean else {}
    representation = RollRepresentation(STEPS[config.grid], repeats="joined", tempo=ANDANTE)
    process = RollPieces("pitches", representation, left_out)
    return build_note_store(
        config, piece_items(file, rolls), source=TITLE, licence=LICENCE, representation=representation, process=process
    )


def voice_store(config: Config, file: Path) -> Store:
    """The store of the four voices, in any representation."""
    if config.grid != "16th":
        raise OptionError(f"--grid {config.grid} is for --representation roll, since voices are at sixteenths; add it")
    chorales = read_voices(file)
    left_out = versions_of_held_out(chorales, PieceIdentity.of) if config.clean else {}
    representation = chosen_representation(config, SETTINGS)
    process = (TransposedVoicePieces if config.transpose else VoicePieces)(representation, left_out)
    return build_note_store(
        config,
        piece_items(file, chorales),
        source=TITLE,
        licence=LICENCE,
        representation=representation,
        process=process,
    )


if __name__ == "__main__":
    run(Config, main)
