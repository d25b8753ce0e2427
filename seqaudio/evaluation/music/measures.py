"""Measure pieces: counts for distributions, and plain numbers, all as sums over pieces.

A distribution has bins that are the same for all music, so that two sets of pieces can be compared. A number of a set
is a sum of numerators over a sum of denominators, one pair for each piece: for a mean over pieces the denominators are
1, for a rate they are what it counts for, such as hundreds of chord changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seqaudio.evaluation.music.statistics import (
    bar_contents,
    bar_densities,
    bar_similarity,
    degrees,
    longest_note,
    melodic_intervals,
    most_at_once,
    note_lengths,
    notes_at_once,
    pitch_classes,
    pitched,
    repeated_patterns,
    scale_consistency,
    time_at_once,
)
from seqaudio.evaluation.music.voice_leading import FAULTS, has_four_voices, voice_leading
from seqaudio.notes.operations.chords import PITCH_CLASSES
from seqaudio.notes.sequence import NoteSequence

Floats = npt.NDArray[np.float64]

DISTANCES = (1, 2, 4, 8)  # bars
SHARE_BINS = 20  # of shares in 0..1, by their lower edges
SHARES = tuple(f"{edge / SHARE_BINS:.2f}" for edge in range(SHARE_BINS))
SCALE_EDGES = np.linspace(0.55, 1.0, 10)  # of scale consistency, which is at least 7 / 12
LENGTH_EDGES: Floats = np.exp2(np.arange(-4.75, 3.75, 0.5))  # quarters; the usual lengths lie in the middle of bins
WIDEST = 12  # semitones of an interval; wider ones are counted together
MOST_AT_ONCE = 10
DENSITY_STEP, DENSITY_BINS = 0.5, 17  # notes a quarter; the last bin has all above
RANGE_STEP, RANGE_BINS = 6, 15  # semitones


@dataclass(frozen=True)
class Kind:
    """A distribution: what it is of, in words, and its bins."""

    label: str
    bins: tuple[str, ...]
    of_pieces: bool = False  # each piece counts once, otherwise each note, bar or quarter


def _lengths() -> tuple[str, ...]:
    middles = np.sqrt(LENGTH_EDGES[1:] * LENGTH_EDGES[:-1])
    inner = tuple(f"{middle:.3g}" for middle in middles)
    return (f"<{LENGTH_EDGES[0]:.2g}", *inner, f">{LENGTH_EDGES[-1]:.2g}")


def _open(names: Iterable[str]) -> tuple[str, ...]:
    """Names of bins, the last of which has everything above."""
    *inner, last = names
    return (*inner, f"{last}+")


DISTRIBUTIONS: Mapping[str, Kind] = {
    "pitch": Kind("pitch", tuple(map(str, range(128)))),
    "pitch_class": Kind("pitch class", PITCH_CLASSES),
    "degree": Kind("semitones above the tonic", tuple(map(str, range(12)))),
    "interval": Kind(
        "melodic interval, semitones", (f"<{-WIDEST}", *map(str, range(-WIDEST, WIDEST + 1)), f">{WIDEST}")
    ),
    "length": Kind("note length, quarters", _lengths()),
    "density": Kind("notes a quarter, by bar", _open(f"{DENSITY_STEP * step:g}" for step in range(DENSITY_BINS))),
    "at_once": Kind("notes at once", _open(map(str, range(MOST_AT_ONCE + 1)))),
    "range": Kind("range of pitches, semitones", _open(str(RANGE_STEP * step) for step in range(RANGE_BINS)), True),
    "scale": Kind("scale consistency", tuple(f"{edge:.2f}" for edge in SCALE_EDGES[:-1]), True),
    "repeated": Kind("repeated patterns", SHARES, True),
    **{f"bars_{d}": Kind(f"similarity of bars {d} apart", SHARES, True) for d in DISTANCES},
}


@dataclass(frozen=True)
class Number:
    """A plain number: what it is, in words, and its unit."""

    label: str
    unit: str = ""
    share: bool = False  # it cannot exceed 1


NUMBERS: Mapping[str, Number] = {
    "notes": Number("notes"),
    "quarters": Number("length", "quarters"),
    "range": Number("range of pitches", "semitones"),
    "interval": Number("melodic interval, absolute", "semitones"),
    "length": Number("note length", "quarters"),
    "longest": Number("longest note", "quarters"),
    "density": Number("notes a quarter"),
    "at_once": Number("notes at once"),
    "most_at_once": Number("most notes at once"),
    "scale": Number("scale consistency", share=True),
    "repeated": Number("repeated patterns of 8 intervals", share=True),
    **{f"bars_{d}": Number(f"similarity of bars {d} apart", share=True) for d in DISTANCES},
}
VOICE_LEADING: Mapping[str, Number] = {
    "parallel_fifths": Number("parallel fifths"),
    "parallel_octaves": Number("parallel octaves"),
    "hidden": Number("hidden fifths and octaves"),
    "crossings": Number("voice crossings"),
    "wide": Number("upper voices over an octave apart"),
    "leaps": Number("leaps"),
}


@dataclass(frozen=True)
class Measures:
    """The measures of one piece."""

    counts: Mapping[str, Floats]  # by name of the distribution, [bins]
    numbers: Mapping[str, tuple[float, float]]  # numerator and denominator; without those that cannot be measured
    voices: Mapping[str, tuple[float, float]]  # the same of voice leading; empty where there are not four voices


def measure(notes: NoteSequence) -> Measures:
    """Measure one piece; drums are left out."""
    notes = pitched(notes)
    contents = bar_contents(notes)
    lengths, intervals, densities, at_once = (
        note_lengths(notes), melodic_intervals(notes), bar_densities(notes), time_at_once(notes),
    )  # fmt: skip
    span = float(np.ptp(notes.pitch)) if len(notes) else float("nan")
    similar = {f"bars_{distance}": bar_similarity(contents, distance) for distance in DISTANCES}
    shares = {"repeated": repeated_patterns(notes), **similar}
    scale = scale_consistency(notes)
    counts = {
        "pitch": np.bincount(notes.pitch, minlength=128),
        "pitch_class": pitch_classes(notes),
        "degree": degrees(notes),
        "interval": np.bincount(np.clip(intervals, -WIDEST - 1, WIDEST + 1) + WIDEST + 1, minlength=2 * WIDEST + 3),
        "length": np.bincount(
            np.searchsorted(LENGTH_EDGES, lengths, side="right"), minlength=len(DISTRIBUTIONS["length"].bins)
        ),
        "density": _binned(densities / DENSITY_STEP, DENSITY_BINS),
        "at_once": np.bincount(
            np.minimum(np.arange(len(at_once)), MOST_AT_ONCE), weights=at_once, minlength=MOST_AT_ONCE + 1
        ),
        "range": _binned(np.array([span / RANGE_STEP]), RANGE_BINS),
        "scale": _binned((np.array([scale]) - SCALE_EDGES[0]) / (SCALE_EDGES[1] - SCALE_EDGES[0]), 9),
        **{name: _binned(np.array([SHARE_BINS * share]), SHARE_BINS) for name, share in shares.items()},
    }
    quarters = notes.last_tick / notes.ticks_per_quarter
    plain = {
        "notes": float(len(notes)),
        "quarters": quarters,
        "range": span,
        "interval": _mean(np.abs(intervals)),
        "length": _mean(lengths),
        "longest": longest_note(notes) if len(notes) else float("nan"),
        "density": len(notes) / quarters if quarters else float("nan"),
        "at_once": notes_at_once(notes),
        "most_at_once": float(most_at_once(notes)),
        "scale": scale,
        **shares,
    }
    voices: dict[str, tuple[float, float]] = {}
    if has_four_voices(notes):
        led = voice_leading(notes)
        voices = {name: (float(getattr(led, name)), led.changes / 100) for name in FAULTS}
    return Measures(
        {name: values.astype(np.float64) for name, values in counts.items()},
        {name: (value, 1.0) for name, value in plain.items() if np.isfinite(value)},
        voices,
    )


def _binned(values: Floats, bins: int) -> npt.NDArray[np.int64]:
    """Counts [bins] of values by their integer part, those beyond the last bin in it; NaN is left out."""
    finite = values[np.isfinite(values)]
    # shares such as 0.3 are a little below 3 / 10 after rounding
    return np.bincount(np.clip(np.floor(finite + 1e-9), 0, bins - 1).astype(np.int64), minlength=bins)


def _mean(values: npt.NDArray[np.float64] | npt.NDArray[np.int64]) -> float:
    return float(values.mean()) if len(values) else float("nan")
