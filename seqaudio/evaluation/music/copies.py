"""Find how much of each piece stands note for note, in any key, in other pieces: the longest run of quarters.

What a model copies is told beside what music shares anyway: held-out pieces with the training split, and one half of
the training split with the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from seqaudio.evaluation.copying import Copy, CopySearch
from seqaudio.notes.sequence import NoteSequence
from seqaudio.progress import progress


@dataclass(frozen=True)
class Piece:
    """A piece and its name."""

    name: str
    notes: NoteSequence


@dataclass(frozen=True)
class FoundCopy:
    """The longest run of one piece that stands in another."""

    piece: str
    original: str
    copy: Copy
    notes: int  # in the run
    quarters: float  # length of the whole piece

    @property
    def share(self) -> float:
        """The run's share of the piece."""
        return min(1.0, self.copy.beats / self.quarters) if self.quarters else 0.0


def find_copies(pieces: Sequence[Piece], originals: Sequence[Piece], what: str) -> list[FoundCopy]:
    """The longest copy in each piece of something in the originals; none without pieces or originals.

    `what`: for the line of progress.
    """
    if not pieces or not originals:
        return []
    search = CopySearch([piece.notes for piece in originals])
    found = []
    with progress(what, len(pieces), "pieces") as advance:
        for piece in pieces:
            copy = search.longest(piece.notes)
            beat = piece.notes.start_tick / piece.notes.ticks_per_quarter
            inside = (beat >= copy.start) & (beat < copy.start + copy.beats) & ~piece.notes.is_drum
            quarters = piece.notes.last_tick / piece.notes.ticks_per_quarter
            original = originals[copy.piece].name if copy.beats else ""
            found.append(FoundCopy(piece.name, original, copy, int(np.count_nonzero(inside)), quarters))
            advance()
    return found
