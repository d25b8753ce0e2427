"""Read sets of pieces that were published in one file with their splits; a piece is named split/number."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

from seqaudio.errors import InputFileError, SourceError
from seqaudio.files import read_plain_text
from seqaudio.ledger import Reason
from seqaudio.notes.operations.transpose import transpose
from seqaudio.notes.sequence import MAX_VALUE, NoteSequence
from seqaudio.prepare.corpora.matlab import read_cells
from seqaudio.prepare.engine import Item, Row
from seqaudio.prepare.music.near_duplicates import STRICTEST, PieceIdentity, clusters
from seqaudio.prepare.music.variants import SILENT
from seqaudio.tokens.four_voices import ANDANTE, VOICES
from seqaudio.tokens.representation import Representation
from seqaudio.tokens.roll import KEYS, LOWEST, Frames, RollRepresentation

Piece = TypeVar("Piece")
Pieces = Mapping[str, Sequence[Piece]]  # by split


def piece_items(file: Path, pieces: Pieces[Piece]) -> list[Item]:
    """An item for every piece with its published split, train before valid before test."""
    return [
        Item(f"{file.name}#{split}/{number}", file, f"{split}/{number}", split)
        for split in reversed(STRICTEST)
        for number in range(len(pieces[split]))
    ]


def piece_of(item: Item, pieces: Pieces[Piece], left_out: Mapping[str, str]) -> Piece:
    """The piece of an item. Raises InputFileError, DUPLICATE, for one in `left_out`."""
    if item.id in left_out:
        raise InputFileError(item.file, Reason.DUPLICATE, f"a version of {left_out[item.id]}")
    split, number = item.id.split("/")
    return pieces[split][int(number)]


def versions_of_held_out(pieces: Pieces[Piece], identify: Callable[[Piece], PieceIdentity]) -> dict[str, str]:
    """{piece: the piece of a stricter split that it is a version of}; test is stricter than valid, valid than train."""
    identities = {
        f"{split}/{number}": identify(piece) for split in STRICTEST for number, piece in enumerate(pieces[split])
    }
    found = {}
    for strictest, *others in clusters(identities):  # in the order of the splits
        held_out = strictest.split("/")[0]
        found.update({piece: strictest for piece in others if piece.split("/")[0] != held_out})
    return found


def read_json_pieces(file: Path) -> dict[str, list[list[list[float]]]]:
    """The pieces of a JSON file {split: [piece]} by split; a piece is a list of lists of numbers.

    Raises:
        SourceError: no such file, not JSON, or of another structure.
    """
    try:
        found = json.loads(read_plain_text(file))
    except OSError as error:
        raise SourceError(f"{file}: cannot be read ({error.strerror}); give the folder of the set") from None
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{file}: not valid JSON ({error}); download it again") from None
    if not isinstance(found, dict) or set(found) != set(STRICTEST):
        raise SourceError(f"{file}: expected keys train, valid and test; it is another set")
    for split, pieces in found.items():
        _check_lists(file, split, pieces)
    return found


def _check_lists(file: Path, split: str, pieces: Any) -> None:
    for number, piece in enumerate(pieces if isinstance(pieces, list) else [None]):
        steps = piece if isinstance(piece, list) else [None]
        if not all(isinstance(step, list) and all(type(value) in (int, float) for value in step) for step in steps):
            raise SourceError(f"{file}: {split}/{number} is not a list of steps with pitches; it is another set")


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


STEPS_PER_QUARTER = 4


@dataclass(frozen=True)
class VoicePieces:
    """A `Process` of `build_store`: the row of the chorale split/number, which is the item's id.

    Raises:
        InputFileError: when called, DUPLICATE for a piece in `left_out`.
    """

    representation: Representation
    left_out: Mapping[str, str] = field(default_factory=dict)  # piece -> the piece of which it is a version

    def __call__(self, item: Item) -> list[Row]:
        notes = piece_of(item, _voices(item.file), self.left_out)
        return [Row(item.id, self.representation.encode(notes), notes.duration)]


# lowest and highest pitch of soprano, alto, tenor and bass within which a chorale is transposed: Peracha (2019)
VOICE_RANGES = ((60, 81), (53, 77), (45, 72), (36, 64))


@dataclass(frozen=True)
class TransposedVoicePieces(VoicePieces):
    """As VoicePieces; a chorale of the training split is a row for each key in which voices stay within their ranges.

    The id of such a row ends with the semitones, as in `train/0+2`.
    """

    def __call__(self, item: Item) -> list[Row]:
        if item.split != "train":
            return super().__call__(item)
        notes = piece_of(item, _voices(item.file), self.left_out)
        encode = self.representation.encode
        return [
            Row(f"{item.id}{semitones:+d}", encode(transpose(notes, semitones)), notes.duration)
            for semitones in singable(notes)
        ]


def singable(notes: NoteSequence) -> range:
    """The transpositions, in semitones, that leave no voice's range further than the piece itself does; 0 is one."""
    lowest, highest = -MAX_VALUE, MAX_VALUE
    for track, (least, most) in enumerate(VOICE_RANGES):
        pitch = notes.pitch[notes.track == track].astype(np.int64)
        if len(pitch):
            lowest = max(lowest, min(0, least - int(pitch.min())))
            highest = min(highest, max(0, most - int(pitch.max())))
    return range(lowest, highest + 1) if len(notes) else range(1)


def read_voices(file: Path) -> dict[str, list[NoteSequence]]:
    """The chorales of a JSON file {split: [piece]} by split; a piece is [T, 4], pitches or -1, the soprano first.

    Successive steps with one pitch in a voice become one note, since the file does not tell where notes begin.

    Raises:
        SourceError: no such file, not JSON, or other than four pitches in a step.
    """
    return {
        split: [_chorale(file, f"{split}/{number}", piece) for number, piece in enumerate(pieces)]
        for split, pieces in read_json_pieces(file).items()
    }


# cached, since each piece is an input of its own, but all are in one file
_voices = functools.lru_cache(maxsize=1)(read_voices)


def _chorale(file: Path, piece: str, steps: Sequence[Sequence[float]]) -> NoteSequence:
    if any(len(step) != len(VOICES) for step in steps):
        raise SourceError(f"{file}: {piece} has steps with other than {len(VOICES)} pitches")
    grid = np.array(steps, dtype=np.float64).reshape(-1, len(VOICES))
    if not np.isin(grid, range(SILENT, MAX_VALUE + 1)).all():
        raise SourceError(f"{file}: {piece} has an invalid pitch, expected {SILENT}..{MAX_VALUE}")
    padded = np.full((len(grid) + 2, len(VOICES)), SILENT, dtype=np.int64)
    padded[1:-1] = grid
    changed = (padded[1:] != padded[:-1]).T  # [4, T + 1] by voice
    voice, start = np.nonzero(changed & (padded[1:].T != SILENT))
    end = np.nonzero(changed & (padded[:-1].T != SILENT))[1]
    return NoteSequence.from_columns(
        start,
        end,
        padded[1:].T[voice, start],
        track=voice,
        ticks_per_quarter=STEPS_PER_QUARTER,
        tempos=[(0, ANDANTE)],
        track_names=VOICES,
    )
