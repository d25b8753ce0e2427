"""The parts of a piece: what one channel plays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from seqaudio.notes.sequence import NoteSequence


class Part(NamedTuple):
    """The notes of a track that one program or one drum kit plays."""

    track: int
    program: int
    is_drum: bool

    def of(self, notes: NoteSequence) -> npt.NDArray[np.bool_]:
        """[N] which notes are its."""
        drum: npt.NDArray[np.bool_] = notes.is_drum == self.is_drum
        mine: npt.NDArray[np.bool_] = drum & (notes.track == self.track) & (notes.program == self.program)
        return mine


def parts_of(notes: NoteSequence) -> list[Part]:
    """The parts that have notes, in the order of tracks, programs, and drums last."""
    rows = set(zip(notes.track.tolist(), notes.program.tolist(), notes.is_drum.tolist(), strict=True))
    return [Part(*row) for row in sorted(rows)]
