"""Turn a score in four parts into a row: read it, and encode it as tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from seqaudio.errors import InputFileError
from seqaudio.ledger import Reason
from seqaudio.midi.score import read_score
from seqaudio.prepare.engine import Item, Row
from seqaudio.prepare.music.piece_facts import PieceFacts
from seqaudio.prepare.music.piece_remarks import remarks_on
from seqaudio.tokens.four_voices import VOICES
from seqaudio.tokens.repertoire import Shape
from seqaudio.tokens.representation import Representation


@dataclass(frozen=True)
class ScorePreparation:
    """A `Process` of `build_store`: the token row of a score for four voices.

    Raises:
        InputFileError: when called, as `read_score`; DUPLICATE for a copy; OTHER_PARTS where the score has other than
            four parts; UNEXPECTED_NAME for an item without a split.
    """

    representation: Representation
    copies: Mapping[str, str] = field(default_factory=dict)  # key of an item -> key of the item with the same notes

    def __call__(self, item: Item) -> list[Row]:
        if item.key in self.copies:
            raise InputFileError(item.file, Reason.DUPLICATE, f"has the same notes as {self.copies[item.key]}")
        notes = read_score(item.file)
        parts = notes.track_names
        if len(parts) != len(VOICES):
            named = ", ".join(" ".join(part.split()) for part in parts)
            detail = f"{len(parts)} parts ({named}), expected {len(VOICES)}"
            raise InputFileError(item.file, Reason.OTHER_PARTS, detail)
        if not item.split:
            raise InputFileError(item.file, Reason.UNEXPECTED_NAME, "no split is known for this name")
        duration = self.representation.quantise(notes).duration
        sequence = self.representation.encode(notes)
        loss = self.representation.loss(notes, sequence)
        remark = "; ".join(remarks_on(notes, loss, self.representation))
        shape = Shape.of(notes, self.representation, played=False)
        return [Row(item.id, sequence, duration, text=PieceFacts.of(notes, loss, shape).to_text(), remark=remark)]
