"""Turn chorales that were published as the pitches of four voices at each step into rows."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from seqaudio.errors import SourceError
from seqaudio.notes.sequence import MAX_VALUE, NoteSequence
from seqaudio.prepare.engine import Item, Row
from seqaudio.prepare.music.published_pieces import piece_of, read_json_pieces
from seqaudio.prepare.music.variants import SILENT
from seqaudio.tokens.four_voices import ANDANTE, VOICES
from seqaudio.tokens.representation import Representation

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
