"""The chords of a piece by their names, such as C, F#m7 or G7/B.

What sounds in a span is weighed by pitch class and compared with a template of each quality on each root:

    score(root, quality) = share inside  -  share outside  -  MISSING * (tones that do not sound)
                           -  SIZE[tones]  +  BASS where the bass is the root

Source: template matching as in Fujishima (1999); the constants are ours. SIZE keeps a passing tone, of less than an
eighth of all that sounds, from making a seventh chord; BASS tells apart what shares its tones, such as C6 and Am7.
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
MISSING = 0.18  # of all that sounds, for each tone of the template that does not
SIZE = {2: 0.0, 3: 0.1, 4: 0.35}
BASS = 0.1
MIN_CLASSES = 2  # a single pitch class is no chord
MIN_SCORE = 0.2  # below it no template fits


@dataclass(frozen=True)
class Chord:
    """What sounds from `start` to `end`, in ticks; `name` is empty where nothing there is a chord."""

    start: int
    end: int
    name: str  # such as Am, C/E, F#dim7


def chords(notes: NoteSequence, per: Literal["bar", "change"] = "bar") -> list[Chord]:
    """The chords of a piece from its first bar to its last, drums left out.

    Args:
        per: "bar" weighs all that sounds in each bar; "change" looks anew wherever a note begins or ends, and joins
            what has one name.

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
    """The name of what sounds: weights [12] of the pitch classes from C upwards, and the class of the bass.

    Empty for fewer than two pitch classes, and where no template scores 0.2.
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
    sounding = np.minimum(notes.end_tick, end) - np.maximum(notes.start_tick, start)
    heard = sounding > 0
    if not heard.any():
        return ""
    pitch = notes.pitch[heard]
    weights = np.bincount(pitch % 12, weights=sounding[heard], minlength=12)
    return chord_name(weights, _bass(pitch, sounding[heard], end - start))


def _bass(pitch: npt.NDArray[np.int16], ticks: npt.NDArray[np.int64], span: int) -> int:
    """The class of the lowest pitch that sounds for a quarter of the span; of the lowest of all where none does."""
    long = pitch[4 * ticks >= span]
    return int((long if len(long) else pitch).min()) % 12


def _bar_spans(notes: NoteSequence) -> Iterator[tuple[int, int]]:
    for bar in bars(notes):
        yield round(bar.start), round(bar.end)


def _templates() -> npt.NDArray[np.float64]:
    """[qualities * 12, 12] ones at the tones of each quality on each root."""
    tones = np.zeros((len(QUALITIES), 12))
    for row, intervals in zip(tones, QUALITIES.values(), strict=True):
        row[list(intervals)] = 1
    return np.concatenate([[np.roll(row, root) for root in range(12)] for row in tones])


_TEMPLATES = _templates()
_ROOTS = np.tile(np.arange(12), len(QUALITIES))
_SIZES = np.array([SIZE[len(intervals)] for intervals in QUALITIES.values() for _ in range(12)])
