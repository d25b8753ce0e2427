"""From which piece a coarse piano roll was sampled, whatever grid, phase and key were chosen.

A roll that was sampled from a piece holds only what sounds in it at some time. So nearly every sonority of the roll,
two pitches or more at once, is one of the piece, and all of them are moved by the same number of semitones. Which notes
come between two samples, and how long a sonority lasts, makes no difference.

Of the 124 rolls of Piano_midi.mat 99 were sampled from one of 243 MIDI files of piano-midi.de: the origin has at least
0.76 of the roll's sonorities, and 0.24 more than any other file. For the others the best file has at most 0.68, and
0.17 more than the second.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from seqaudio.notes.quantise import grid_steps
from seqaudio.notes.sequence import NoteSequence

MIN_SHARE = 0.7  # of the roll's sonorities that its origin has
MIN_LEAD = 0.2  # over the second best

_STEPS = 24  # of a quarter, fine enough for what is shorter than a sample

Sonority = tuple[int, bytes]  # its lowest pitch, and the intervals above


class Origin(NamedTuple):
    """The piece that has most of a roll."""

    name: str
    share: float  # of the roll's sonorities, 0..1
    second: float  # share of the second best piece


def sonorities_of_roll(frames: npt.NDArray[np.uint8]) -> set[Sonority]:
    """Every different sonority of a roll [T, K], of two pitches or more; pitches count from the first column."""
    found = set()
    packed = np.ascontiguousarray(np.packbits(frames.astype(np.bool_), axis=1))
    first = np.unique(packed.view(f"V{packed.shape[1]}"), return_index=True)[1]  # of equal frames
    for frame in frames[first]:
        pitches = np.flatnonzero(frame)
        if len(pitches) > 1:
            found.add((int(pitches[0]), (pitches - pitches[0]).astype(np.uint8).tobytes()))
    return found


def sonorities_of_notes(notes: NoteSequence) -> set[Sonority]:
    """Every different sonority of a piece without its percussion, of two pitches or more."""
    notes = notes.select(~notes.is_drum)
    start, end = grid_steps(notes, _STEPS)
    borders = np.unique(np.concatenate([start, end]))  # nothing changes between two of these
    frames = np.zeros((len(borders), 128), dtype=np.uint8)
    columns = (np.searchsorted(borders, start), np.searchsorted(borders, end), notes.pitch)
    for begin, until, pitch in zip(*(column.tolist() for column in columns), strict=True):
        frames[begin:until, pitch] = 1
    return sonorities_of_roll(frames)


class OriginSearch:
    """Pieces, made ready to be compared with many rolls."""

    def __init__(self, pieces: Mapping[str, NoteSequence]) -> None:
        self._owners = defaultdict[bytes, list[tuple[str, int]]](list)
        for name, notes in pieces.items():
            for lowest, intervals in sorted(sonorities_of_notes(notes)):
                self._owners[intervals].append((name, lowest))

    def best(self, frames: npt.NDArray[np.uint8]) -> Origin:
        """The piece that has the largest share of a roll; of equals the first by name. Share 0 where none has any."""
        sonorities = sonorities_of_roll(frames)
        found = Counter(
            (name, lowest - low) for low, intervals in sonorities for name, lowest in self._owners.get(intervals, ())
        )
        most: dict[str, int] = defaultdict(int)
        for (name, _), count in found.items():
            most[name] = max(most[name], count)
        ranked = [*sorted(most.items(), key=lambda pair: (-pair[1], pair[0])), ("", 0), ("", 0)]
        (name, first), (_, second) = ranked[:2]
        return Origin(name, first / max(1, len(sonorities)), second / max(1, len(sonorities)))

    def origin(self, frames: npt.NDArray[np.uint8]) -> str | None:
        """The piece that a roll was sampled from; None where it is none of them."""
        best = self.best(frames)
        return best.name if best.share >= MIN_SHARE and best.share - best.second >= MIN_LEAD else None
