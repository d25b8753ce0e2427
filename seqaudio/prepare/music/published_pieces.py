"""Read sets of pieces that were published in one file with their splits; a piece is named split/number."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from seqaudio.errors import InputFileError, SourceError
from seqaudio.ledger import Reason
from seqaudio.prepare.engine import Item
from seqaudio.prepare.music.near_duplicates import STRICTEST, PieceIdentity, clusters

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
        found = json.loads(file.read_text(encoding="utf-8"))
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
