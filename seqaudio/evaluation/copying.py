"""Find the longest passage that a generated piece copies from the training set, note for note, in any key.

A beat is a quarter, described by the notes that begin in it: their onset in the beat, their length, their interval
above the lowest of them. Two runs of beats are copies where all beats are equal and all differ by one transposition.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seqaudio.notes import NoteSequence
from seqaudio.notes.quantise import grid_steps

STEPS = 12  # of a quarter: sixteenths and triplets
_BORDER = -1  # content behind each piece that no beat has, so that no run crosses into the next piece
_EMPTY = 0  # content of a beat without an onset
# random odd 64-bit factors, one for each property of a note, and the rounds of SplitMix64, which mix their sum
_KEYS = np.array([0x9E3779B97F4A7C15, 0xD1B54A32D192ED03, 0xABC98388FB8FAC03], dtype=np.uint64)
_MIX = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1))


Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Copy:
    """The longest copy. `beats` is 0 where there is none; the other fields have no meaning then."""

    beats: int  # its length in quarters
    piece: int  # place of the original among the training pieces
    transposition: int  # semitones from the original up to the copy
    start: int  # the beat of the generated piece with which it begins, counted from 0
    original_start: float  # the quarter of the original with which it begins, counted from 0


class CopySearch:
    """An index of training pieces for repeated searches.

    Args:
        training: the pieces. Percussion is left out; parts, velocities and tempos make no difference. The original of
            a copy may begin at any step of a beat.
    """

    def __init__(self, training: Iterable[NoteSequence]) -> None:
        beats = [_beats(notes, early) for notes in training for early in range(STEPS)]
        if not beats:
            raise ValueError("got no training pieces, expected at least one")
        self._content, self._lowest = (np.concatenate(columns) for columns in zip(*beats, strict=True))
        lengths = np.array([len(content) for content, _ in beats])
        self._begin = np.cumsum(lengths) - lengths  # where each piece begins, once for each step of a beat
        self._order = np.argsort(self._content, kind="stable")  # beats by content, those of equal content in order
        self._sorted = self._content[self._order]

    def longest(self, notes: NoteSequence) -> Copy:
        """The longest run of whole beats of `notes` that also occurs in a training piece, in any key.

        The first of equally long runs. A run begins with a beat that has an onset.

        For beat i of the piece and beat j of the training set, L is the length of the run that ends there, and K its
        transposition:

            L(i, j) = 0                  contents differ
                      L(i-1, j-1) + 1    no onset, or the same K as in K(i-1, j-1)
                      1                  another K: a run begins

        Only the j with L(i, j) > 0 are kept: few beats of the training set are equal to a beat of the piece.
        """
        content, lowest = _beats(notes, 0)
        place = run = shift = np.zeros(0, dtype=np.int64)  # j rising, L(i, j), K(i, j)
        best = Copy(0, 0, 0, 0, 0.0)
        for beat, (wanted, low) in enumerate(zip(content[:-1].tolist(), lowest[:-1].tolist(), strict=True)):
            if wanted == _EMPTY:
                goes_on = self._content[place + 1] == _EMPTY  # a border stands behind every piece
                place, run, shift = place[goes_on] + 1, run[goes_on] + 1, shift[goes_on]
            else:
                place, run, shift = self._continued(place, run, shift, wanted, low)
            if len(run) and run.max() > best.beats:
                end = int(np.argmax(run))
                best = self._copy(int(run[end]), int(shift[end]), beat, int(place[end]))
        return best

    def _continued(self, place: Ints, run: Ints, shift: Ints, wanted: int, low: int) -> tuple[Ints, Ints, Ints]:
        """Places, lengths and transpositions of the runs that end with a beat of the content `wanted`."""
        first, end = np.searchsorted(self._sorted, [wanted, wanted + 1])
        found = self._order[first:end]
        transposition = low - self._lowest[found]
        if not len(place):
            return found, np.ones(len(found), dtype=np.int64), transposition
        before = np.minimum(np.searchsorted(place, found - 1), len(place) - 1)
        goes_on = (place[before] == found - 1) & (shift[before] == transposition)
        return found, np.where(goes_on, run[before] + 1, 1), transposition

    def _copy(self, beats: int, transposition: int, beat: int, end: int) -> Copy:
        """The copy of `beats` beats that ends with `beat` of the piece and with `end` of the training set."""
        row = int(np.searchsorted(self._begin, end, side="right")) - 1
        piece, early = divmod(row, STEPS)
        original = end - beats + 1 - int(self._begin[row]) - early / STEPS
        return Copy(beats, piece, transposition, beat - beats + 1, original)


def longest_copy(notes: NoteSequence, training: Sequence[NoteSequence]) -> Copy:
    """`CopySearch(training).longest(notes)`, for a single piece."""
    return CopySearch(training).longest(notes)


def _beats(notes: NoteSequence, early: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Content and lowest pitch [beats + 1] of each beat, and a border; the first begins `early` steps before tick 0.

    The content is a 63-bit hash that does not depend on the key. Two different beats collide with a chance of 2^-63.
    """
    notes = notes.select(~notes.is_drum)
    start, end = grid_steps(notes, STEPS)
    beat, onset = np.divmod(start + early, STEPS)
    count = -(-int((end + early).max(initial=0)) // STEPS)
    pitch = notes.pitch.astype(np.int64)
    lowest = np.full(count + 1, 128, dtype=np.int64)
    np.minimum.at(lowest, beat, pitch)
    properties = np.stack([onset, end - start, pitch - lowest[beat]], axis=1) + 1
    numbers = np.zeros(count + 1, dtype=np.uint64)
    # a sum over the notes, which does not depend on their order
    np.add.at(numbers, beat, _scattered((properties.astype(np.uint64) * _KEYS).sum(axis=1)))
    content = (numbers >> np.uint64(1)).astype(np.int64)
    content[-1] = _BORDER
    return content, lowest


def _scattered(numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    for shift, factor in _MIX:
        numbers = (numbers ^ (numbers >> np.uint64(shift))) * np.uint64(factor)
    return numbers
