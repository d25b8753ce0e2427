"""Name the chords of a piece, such as C, F#m7 or G7/B.

The durations of the pitch classes in a span are compared with a template of each chord quality on each root:

    score(root, quality) = share inside  -  share outside  -  MISSING * (tones of the template that do not sound)
                           -  SIZE[number of tones]  +  BASS if the bass is the root

A share is a part of the summed duration. Source: template matching as in Fujishima (1999); the constants are ours.
SIZE keeps a passing tone, of less than an eighth of the summed duration, from making a seventh chord; BASS separates
chords of the same tones, such as C6 and Am7.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

from seqaudio.notes.bars import bars
from seqaudio.notes.sequence import NoteSequence

PITCH_CLASSES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
QUALITIES = {  # suffix -> semitones above the root
    "": (0, 4, 7),
    "m": (0, 3, 7),
    "dim": (0, 3, 6),
    "aug": (0, 4, 8),
    "sus4": (0, 5, 7),
    "sus2": (0, 2, 7),
    "7": (0, 4, 7, 10),
    "maj7": (0, 4, 7, 11),
    "m7": (0, 3, 7, 10),
    "m7b5": (0, 3, 6, 10),
    "dim7": (0, 3, 6, 9),
    "6": (0, 4, 7, 9),
    "m6": (0, 3, 7, 9),
    "5": (0, 7),
}
MISSING = 0.18  # subtracted for each tone of the template that does not sound
SIZE = {2: 0.0, 3: 0.1, 4: 0.35}
BASS = 0.1
MIN_CLASSES = 2  # a single pitch class is no chord
MIN_SCORE = 0.2  # below it there is no chord


@dataclass(frozen=True)
class Chord:
    """The chord from `start` to `end`, in ticks; `name` is empty where no chord fits the notes."""

    start: int
    end: int
    name: str  # such as Am, C/E, F#dim7


def chords(notes: NoteSequence, per: Literal["bar", "change"] = "bar") -> list[Chord]:
    """The chords of a piece from its first bar to its last, drums ignored.

    Args:
        per: "bar" gives one chord for each bar; "change" gives one for each span between the beginnings and ends of
            notes, successive spans of one name joined.

    Raises ValueError for another `per`.
    """
    notes = notes.select(~notes.is_drum & (notes.end_tick > notes.start_tick))
    if per == "bar":
        return [Chord(start, end, _name(notes, start, end)) for start, end in _bar_spans(notes)]
    if per != "change":
        raise ValueError(f"chords per {per!r}, expected 'bar' or 'change'")
    found: list[Chord] = []
    borders = np.unique(np.concatenate([np.zeros(1, dtype=np.int64), notes.start_tick, notes.end_tick])).tolist()
    for start, end in pairwise(borders):
        name = _name(notes, start, end)
        if found and found[-1].name == name:
            found[-1] = Chord(found[-1].start, end, name)
        else:
            found.append(Chord(start, end, name))
    return found


def chord_name(weights: npt.NDArray[np.floating | np.integer], bass: int) -> str:
    """The name of a chord, from weights [12] of the pitch classes from C upwards and the pitch class of the bass.

    Empty for fewer than two pitch classes, and where no template scores at least 0.2.
    """
    if np.count_nonzero(weights) < MIN_CLASSES:
        return ""
    share = weights / weights.sum()
    inside = _TEMPLATES @ share
    missing = _TEMPLATES @ (share == 0)
    score = inside - (1 - inside) - MISSING * missing - _SIZES + BASS * (bass == _ROOTS)
    best = int(np.argmax(score))
    if score[best] < MIN_SCORE:
        return ""
    root = int(_ROOTS[best])
    name = PITCH_CLASSES[root] + list(QUALITIES)[best // 12]
    return name if bass == root else f"{name}/{PITCH_CLASSES[bass]}"


def _name(notes: NoteSequence, start: int, end: int) -> str:
    ticks = np.minimum(notes.end_tick, end) - np.maximum(notes.start_tick, start)
    inside = ticks > 0
    if not inside.any():
        return ""
    pitch = notes.pitch[inside]
    weights = np.bincount(pitch % 12, weights=ticks[inside], minlength=12)
    return chord_name(weights, _bass(pitch, ticks[inside], end - start))


def _bass(pitch: npt.NDArray[np.int16], ticks: npt.NDArray[np.int64], span: int) -> int:
    """Class of the lowest pitch that sounds for at least a quarter of the span; of the lowest pitch if none does."""
    long = pitch[4 * ticks >= span]
    return int((long if len(long) else pitch).min()) % 12


def _bar_spans(notes: NoteSequence) -> Iterator[tuple[int, int]]:
    for bar in bars(notes):
        yield round(bar.start), round(bar.end)


def _templates() -> npt.NDArray[np.float64]:
    """[qualities * 12, 12] one row for each quality on each root: 1 at its tones, 0 elsewhere."""
    tones = np.zeros((len(QUALITIES), 12))
    for row, intervals in zip(tones, QUALITIES.values(), strict=True):
        row[list(intervals)] = 1
    return np.concatenate([[np.roll(row, root) for root in range(12)] for row in tones])


_TEMPLATES = _templates()
_ROOTS = np.tile(np.arange(12), len(QUALITIES))
_SIZES = np.array([SIZE[len(intervals)] for intervals in QUALITIES.values() for _ in range(12)])
