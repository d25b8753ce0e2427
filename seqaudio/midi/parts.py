"""The parts of a piece: the notes that share a track, a program and a channel."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from seqaudio.notes.sequence import NoteSequence


class Part(NamedTuple):
    """The notes of one track that are played by one program or one drum kit."""

    track: int
    program: int
    is_drum: bool

    def of(self, notes: NoteSequence) -> npt.NDArray[np.bool_]:
        """[N] which notes belong to it."""
        drum: npt.NDArray[np.bool_] = notes.is_drum == self.is_drum
        which: npt.NDArray[np.bool_] = drum & (notes.track == self.track) & (notes.program == self.program)
        return which


def parts_of(notes: NoteSequence) -> list[Part]:
    """The parts that have notes, sorted by track, program, and melodic before drums."""
    rows = set(zip(notes.track.tolist(), notes.program.tolist(), notes.is_drum.tolist(), strict=True))
    return [Part(*row) for row in sorted(rows)]
