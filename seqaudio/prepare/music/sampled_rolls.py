"""Find the piece from which a coarse piano roll was sampled, for any grid, phase and transposition.

A roll that was sampled from a piece contains only pitches that sound together in it at some time. So nearly every
sonority of the roll, two or more pitches at once, occurs in the piece, all transposed by the same number of semitones.
Neither notes between two samples nor the duration of a sonority matter.

Of the 124 rolls of Piano_midi.mat, 99 were sampled from one of 243 MIDI files of piano-midi.de: the origin has at least
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

MIN_SHARE = 0.7  # of the roll's sonorities, which its origin has
MIN_LEAD = 0.2  # of this share over that of the second best piece

_STEPS = 24  # in a quarter, fine enough for notes shorter than a sample

Sonority = tuple[int, bytes]  # its lowest pitch, and the intervals above it


class Origin(NamedTuple):
    """The piece that has the largest share of a roll's sonorities."""

    name: str
    share: float  # of the roll's sonorities, 0..1
    second: float  # share of the second best piece


def sonorities_of_roll(frames: npt.NDArray[np.uint8]) -> set[Sonority]:
    """The distinct sonorities of a roll [T, K], of two or more pitches; pitches are numbers of columns."""
    found = set()
    packed = np.ascontiguousarray(np.packbits(frames.astype(np.bool_), axis=1))
    first = np.unique(packed.view(f"V{packed.shape[1]}"), return_index=True)[1]  # one of each group of equal frames
    for frame in frames[first]:
        pitches = np.flatnonzero(frame)
        if len(pitches) > 1:
            found.add((int(pitches[0]), (pitches - pitches[0]).astype(np.uint8).tobytes()))
    return found


def sonorities_of_notes(notes: NoteSequence) -> set[Sonority]:
    """The distinct sonorities of a piece without percussion, of two or more pitches."""
    notes = notes.select(~notes.is_drum)
    start, end = grid_steps(notes, _STEPS)
    borders = np.unique(np.concatenate([start, end]))  # between two of these nothing changes
    frames = np.zeros((len(borders), 128), dtype=np.uint8)
    columns = (np.searchsorted(borders, start), np.searchsorted(borders, end), notes.pitch)
    for begin, until, pitch in zip(*(column.tolist() for column in columns), strict=True):
        frames[begin:until, pitch] = 1
    return sonorities_of_roll(frames)


class OriginSearch:
    """An index of pieces, for the comparison with many rolls."""

    def __init__(self, pieces: Mapping[str, NoteSequence]) -> None:
        self._owners = defaultdict[bytes, list[tuple[str, int]]](list)
        for name, notes in pieces.items():
            for lowest, intervals in sorted(sonorities_of_notes(notes)):
                self._owners[intervals].append((name, lowest))

    def best(self, frames: npt.NDArray[np.uint8]) -> Origin:
        """The piece with the largest share of a roll's sonorities, among equals the first by name; share 0 for none."""
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
        """The name of the piece that a roll was sampled from; None where it is none of these."""
        best = self.best(frames)
        return best.name if best.share >= MIN_SHARE and best.share - best.second >= MIN_LEAD else None
