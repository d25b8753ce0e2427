"""Forced alignment: the frames of each unit of a known text, on the best CTC path, and the times of its words.

The states of a path are the units with a blank before, between and after them, 2 U + 1 in all. From frame to frame a
path stays, goes on to the next state, or skips a blank between two different units. Source: Viterbi over the lattice of
Graves et al. (2006).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seqaudio.decoding.ctc_models import BLANK, Units
from seqaudio.errors import AlignmentError

MAX_CELLS = 1 << 30  # frames times states, a byte each: an utterance of several minutes


@dataclass(frozen=True)
class Alignment:
    """The best path of U units through T frames.

    Attributes:
        path: [T] the unit or blank of each frame.
        start, end: [U] the first frame of each unit, and the frame after its last one; blanks belong to none.
        log_probability: ln p of the path.
    """

    path: npt.NDArray[np.int64]
    start: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    log_probability: float


@dataclass(frozen=True)
class Word:
    """A word and when it was spoken, in seconds."""

    text: str
    start: float
    end: float


def frames_needed(units: Sequence[int]) -> int:
    """The fewest frames in which units can be spoken: one each, and a blank between two that are equal."""
    return len(units) + sum(a == b for a, b in itertools.pairwise(units))


def align(log_probabilities: npt.ArrayLike, units: Sequence[int]) -> Alignment:
    """Align units [U], ids without blanks, with frames [T, V] of natural logarithms of probabilities.

    Raises:
        AlignmentError: more units than the frames can hold, an impossible path, or an utterance of too many frames.
        ValueError: log-probabilities of another shape, or ids out of range.
    """
    frames = np.asarray(log_probabilities, dtype=np.float64)
    if frames.ndim != 2 or not all(BLANK < unit < frames.shape[1] for unit in units):
        raise ValueError(
            f"got log-probabilities {list(frames.shape)} and units {min(units, default=1)}..{max(units, default=1)}, "
            f"expected [T, V] and ids 1..V - 1"
        )
    T, S = len(frames), 2 * len(units) + 1
    needed = frames_needed(units)
    if needed > T:
        raise AlignmentError(
            f"{len(units)} units need at least {needed} frames, got {T}; the text is longer than the sound, or of "
            f"another recording"
        )
    if T * S > MAX_CELLS:
        raise AlignmentError(f"{len(units):,} units in {T:,} frames are too many; cut the recording at pauses")
    states = np.full(S, BLANK)
    states[1::2] = units
    skips = np.zeros(S, dtype=np.bool_)  # whether a state may come from the one before the last
    skips[3::2] = states[3::2] != states[1:-2:2]
    score = np.full(S, -np.inf)
    score[0] = 0.0  # so that the first frame is of the first blank or the first unit
    back = np.zeros((T, S), dtype=np.int8)  # states gone on by
    for t, frame in enumerate(frames):
        arriving = np.full((3, S), -np.inf)
        arriving[0] = score
        arriving[1, 1:] = score[:-1]
        if t:
            arriving[2, 2:] = np.where(skips[2:], score[:-2], -np.inf)
        back[t] = arriving.argmax(axis=0)
        score = arriving.max(axis=0) + frame[states]
    state = S - 1 if S == 1 or score[-1] >= score[-2] else S - 2
    best = float(score[state])
    if best == -np.inf:
        raise AlignmentError("the text has probability 0; it has units that the recogniser rules out")
    visited = np.empty(T, dtype=np.int64)
    for t in range(T - 1, -1, -1):
        visited[t] = state
        state -= int(back[t, state])
    of_units = np.arange(1, S, 2)
    start, end = (np.searchsorted(visited, of_units, side) for side in ("left", "right"))
    return Alignment(states[visited], start, end, best)


def word_times(alignment: Alignment, ids: Sequence[int], units: Units, frame_shift: float) -> list[Word]:
    """The words of aligned units, each from the start of its first unit to the end of its last one.

    frame_shift: seconds from one frame of the recogniser's output to the next.
    """
    words: list[tuple[list[int], list[int]]] = []  # ids of each word, and their places
    inside = False
    for place, unit in enumerate(ids):
        if unit == units.space:
            inside = False
            continue
        if not inside or units.space is None:
            words.append(([], []))
        inside = True
        words[-1][0].append(unit)
        words[-1][1].append(place)
    return [
        Word("".join(units.names[unit] for unit in spelled), *(
            float(frame) * frame_shift for frame in (alignment.start[places[0]], alignment.end[places[-1]])
        ))
        for spelled, places in words
    ]  # fmt: skip
