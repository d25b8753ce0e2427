"""The pieces of a store of music for the checks: notes decoded from tokens or frames, and the facts of their files."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from seqaudio.checking.contents import Contents
from seqaudio.notes.sequence import NoteSequence
from seqaudio.prepare.corpora.splits import hash_fraction
from seqaudio.prepare.music.near_duplicates import PieceIdentity
from seqaudio.prepare.music.piece_facts import PieceFacts
from seqaudio.prepare.music.stored_pieces import decoded, store_representation
from seqaudio.tokens.representation import Representation

MAX_STEPS = 2_000_000  # tokens or frames that are decoded; of a larger store, those of a sample of its pieces


@dataclass(frozen=True)
class Piece:
    """One row of the store."""

    split: str
    id: str
    seconds: float
    steps: int  # tokens or frames
    facts: PieceFacts | None  # None where the preparation stored none
    notes: NoteSequence | None  # None where the piece is not in the sample, or cannot be decoded
    identity: PieceIdentity | None  # None for the same reasons

    @property
    def name(self) -> str:
        """Its split and its id."""
        return self.id if self.id.startswith(f"{self.split}/") else f"{self.split}/{self.id}"


@dataclass(frozen=True)
class Music:
    """All pieces of a store."""

    representation: Representation
    pieces: Sequence[Piece]
    illegal: Sequence[str]  # ids of rows that cannot be decoded, with the reason

    @property
    def decoded(self) -> list[tuple[Piece, NoteSequence]]:
        """The pieces that were decoded, with their notes."""
        return [(piece, piece.notes) for piece in self.pieces if piece.notes is not None]

    @property
    def piece_facts(self) -> list[PieceFacts]:
        """The facts that the preparation stored, of all pieces that have them."""
        return [piece.facts for piece in self.pieces if piece.facts is not None]

    def part(self, split: str) -> list[Piece]:
        return [piece for piece in self.pieces if piece.split == split]

    @property
    def sampled(self) -> str:
        """A remark for numbers that come from a sample of the pieces; empty where all were decoded."""
        count = len(self.decoded)
        return "" if count + len(self.illegal) == len(self.pieces) else f" (in a sample of {count:,} pieces)"


@functools.lru_cache(maxsize=1)  # each check of one report asks for it
def music_of(contents: Contents) -> Music:
    """The pieces of a store of tokens or rolls.

    Raises:
        StoreError: the store does not name its representation, or was made by another version of it.
    """
    representation = store_representation(contents.store)
    sample = _sample(contents)
    pieces, illegal = [], []
    for split, number, rows in contents.rows():
        name = rows.ids[number]
        notes = identity = None
        if (split, number) in sample:
            sequence = contents.store[split].sequence(number)
            try:
                notes = decoded(representation, sequence)
            except ValueError as error:
                illegal.append(f"{name} ({error})")
            else:
                identity = PieceIdentity.of(notes)
        facts = PieceFacts.from_text(rows.texts[number])
        seconds, steps = float(rows.seconds[number]), int(rows.steps[number])
        pieces.append(Piece(split, name, seconds, steps, facts, notes, identity))
    return Music(representation, pieces, illegal)


def _sample(contents: Contents) -> set[tuple[str, int]]:
    """The rows to decode: all, or those whose ids have the smallest hashes, up to MAX_STEPS."""
    rows = [(split, number, rows.ids[number], int(rows.steps[number])) for split, number, rows in contents.rows()]
    rows.sort(key=lambda row: hash_fraction(row[2]))
    steps_before = np.cumsum([0, *(steps for *_, steps in rows)])[:-1]
    return {(split, number) for (split, number, *_), n in zip(rows, steps_before, strict=True) if n < MAX_STEPS}
