"""Turn the pieces of a published set of piano rolls into rows, unchanged."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from seqaudio.errors import SourceError
from seqaudio.prepare.corpora.matlab import read_cells
from seqaudio.prepare.engine import Item, Row
from seqaudio.prepare.music.published_pieces import piece_of, read_json_pieces
from seqaudio.tokens.roll import Frames, RollRepresentation
from seqaudio.tokens.roll_grammar import KEYS, LOWEST

VARIABLES = {"train": "traindata", "valid": "validdata", "test": "testdata"}  # of the .mat files


Form = Literal["matrices", "pitches"]  # format of a file: .mat of the four sets, JSON of JSB Chorales


@dataclass(frozen=True)
class RollPieces:
    """A `Process` of `build_store`: the roll of the piece split/number, which is the item's id.

    Raises:
        InputFileError: when called, DUPLICATE for a piece in `left_out`.
    """

    form: Form
    representation: RollRepresentation
    left_out: Mapping[str, str] = field(default_factory=dict)  # piece -> the piece of which it is a version

    def __call__(self, item: Item) -> list[Row]:
        frames = piece_of(item, _rolls(self.form, item.file), self.left_out)
        step = self.representation.tempo / 1e6 / self.representation.steps_per_quarter
        return [Row(item.id, frames, len(frames) * step)]


def read_rolls(form: Form, file: Path) -> dict[str, list[Frames]]:
    """The rolls [T, 88] of a file by split."""
    return read_matrix_rolls(file) if form == "matrices" else read_pitch_rolls(file)


# cached, since each piece is an input of its own, but all are in one file
_rolls = functools.lru_cache(maxsize=2)(read_rolls)


def read_matrix_rolls(file: Path) -> dict[str, list[Frames]]:
    """The rolls of a .mat file of Boulanger-Lewandowski's sets by split: uint8 [T, 88], pitch 21 + column.

    Raises:
        SourceError: as `read_cells`; a split is missing, or holds anything but matrices of zeros and ones.
    """
    cells = read_cells(file, list(VARIABLES.values()))
    missing = [variable for variable in VARIABLES.values() if variable not in cells]
    if missing:
        raise SourceError(f"{file}: has no {', '.join(missing)}; it is not one of the four sets")
    return {
        split: [_checked(file, f"{split}/{number}", piece) for number, piece in enumerate(cells[variable])]
        for split, variable in VARIABLES.items()
    }


def read_pitch_rolls(file: Path) -> dict[str, list[Frames]]:
    """The rolls uint8 [T, 88], by split, of a JSON file {split: [piece]}; a piece has a list of pitches for each step.

    Raises:
        SourceError: no such file, not JSON, or anything but lists of pitches of a piano.
    """
    return {
        split: [_roll_of_pitches(file, f"{split}/{number}", piece) for number, piece in enumerate(pieces)]
        for split, pieces in read_json_pieces(file).items()
    }


def _roll_of_pitches(file: Path, piece: str, steps: Sequence[Sequence[float]]) -> Frames:
    """The roll [T, 88] of the pitches that sound at each step."""
    frames = np.zeros((len(steps), KEYS), dtype=np.uint8)
    for step, pitches in enumerate(steps):
        for pitch in pitches:
            if pitch not in range(LOWEST, LOWEST + KEYS):  # 60.0 is, 60.5 and NaN are not
                raise SourceError(f"{file}: {piece} has pitch {pitch}, expected {LOWEST}..{LOWEST + KEYS - 1}")
            frames[step, int(pitch) - LOWEST] = 1
    return frames


def _checked(file: Path, piece: str, frames: np.ndarray) -> Frames:
    if frames.ndim != 2 or frames.shape[1] != KEYS or (frames != frames.astype(np.bool_)).any():
        raise SourceError(f"{file}: {piece} is {list(frames.shape)}, expected [T, {KEYS}] zeros and ones")
    return frames.astype(np.uint8)
