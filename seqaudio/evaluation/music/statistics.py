"""Statistics of one piece: intervals, lengths, density, notes at once, scale, repeated patterns, similar bars.

All are plain functions of a NoteSequence; drums are left out. Times are in quarters, or in quarters of half a second
where the notes come from a representation that keeps seconds. A share of nothing, as of patterns in a piece of three
notes, is NaN.

Source: scale consistency as in Mogren (2016) and Dong et al. (2020), MusPy; the others are plain counts.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import numpy.typing as npt

from seqaudio.notes.bars import bars
from seqaudio.notes.keys import estimate_key
from seqaudio.notes.operations.selection import highest, skyline
from seqaudio.notes.quantise import nearest_step
from seqaudio.notes.sequence import NoteSequence

PATTERN = 8  # intervals of a pattern: nine notes, about two bars of a tune
STEPS = 12  # of a quarter, for onsets in a bar: sixteenths and triplets
MAJOR_SCALE = (0, 2, 4, 5, 7, 9, 11)  # semitones above the tonic; the natural minor scale has the same classes

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bars = list[Counter[tuple[int, int]]]  # of each bar, how often which (onset in the bar in steps, pitch)


def pitched(notes: NoteSequence) -> NoteSequence:
    """The notes without drums."""
    return notes.select(~notes.is_drum)


def melodic_intervals(notes: NoteSequence) -> Ints:
    """Semitones [M] from each note to the next one of the highest line of each track, falling ones negative."""
    notes = notes.select(~notes.is_drum & (notes.end_tick > notes.start_tick))
    found = [np.zeros(0, dtype=np.int64)]
    for track in np.unique(notes.track):
        here = notes.track == track
        pitch = notes.pitch[here].astype(np.int64)
        line, _ = highest(notes.start_tick[here], notes.end_tick[here], pitch)
        found.append(np.diff(pitch[line]))
    return np.concatenate(found)


def top_intervals(notes: NoteSequence) -> Ints:
    """Semitones [M] from each note to the next one of the highest line of the whole piece."""
    pitch = skyline(notes).pitch.astype(np.int64)
    return pitch[1:] - pitch[:-1]


def note_lengths(notes: NoteSequence) -> Floats:
    """The length of each note in quarters, [N]."""
    notes = pitched(notes)
    lengths: Floats = (notes.end_tick - notes.start_tick) / notes.ticks_per_quarter
    return lengths


def longest_note(notes: NoteSequence) -> float:
    """The length of the longest note in quarters; 0 without notes."""
    return float(note_lengths(notes).max(initial=0.0))


def time_at_once(notes: NoteSequence) -> Floats:
    """Quarters [K + 1] for which 0, 1 .. K notes sound together, from the first onset to the last end."""
    notes = pitched(notes)
    ticks = np.concatenate([notes.start_tick, notes.end_tick])
    steps = np.concatenate([np.ones(len(notes), dtype=np.int64), -np.ones(len(notes), dtype=np.int64)])
    times, place = np.unique(ticks, return_inverse=True)
    change = np.zeros(len(times), dtype=np.int64)
    np.add.at(change, place, steps)
    sounding = np.cumsum(change)[:-1]
    found: Floats = np.bincount(sounding, weights=np.diff(times), minlength=1) / notes.ticks_per_quarter
    return found


def notes_at_once(notes: NoteSequence) -> float:
    """How many notes sound together on average, while any does; NaN where none has a length."""
    quarters = time_at_once(notes)[1:]
    counts = np.arange(1, len(quarters) + 1)
    return float((counts * quarters).sum() / quarters.sum()) if quarters.sum() else float("nan")


def most_at_once(notes: NoteSequence) -> int:
    """The greatest number of notes that sound together; 0 without notes."""
    return int(np.flatnonzero(time_at_once(notes)).max(initial=0))


def bar_densities(notes: NoteSequence) -> Floats:
    """Notes that begin in each bar, in notes a quarter, [bars]."""
    found = list(bars(notes))
    notes = pitched(notes)
    starts = np.array([float(bar.start) for bar in found])
    lengths = np.array([float(bar.end - bar.start) for bar in found]) / notes.ticks_per_quarter
    counts = np.bincount(np.searchsorted(starts, notes.start_tick, side="right") - 1, minlength=len(found))
    densities: Floats = counts / lengths
    return densities


def pitch_classes(notes: NoteSequence) -> Ints:
    """How many notes there are of each pitch class, [12] from C upwards."""
    return np.bincount(pitched(notes).pitch % 12, minlength=12)


def degrees(notes: NoteSequence) -> Ints:
    """How many notes there are of each pitch class, [12] from the tonic of the estimated key upwards.

    Zeros where no key can be estimated, since all pitch classes sound equally long.
    """
    key = estimate_key(notes)
    if key is None:
        return np.zeros(12, dtype=np.int64)
    tonic = (key.sharps * 7 + (9 if key.minor else 0)) % 12  # A minor has the signature of C major
    return np.roll(pitch_classes(notes), -tonic)


def scale_consistency(notes: NoteSequence) -> float:
    """The share of notes within the best of the twelve diatonic scales; NaN without notes.

    Between 7 / 12, for all pitch classes equally often, and 1. A minor key counts with its natural scale, so raised
    sixths and sevenths lower the share.
    """
    counts = pitch_classes(notes)
    inside = [counts[[(tonic + step) % 12 for step in MAJOR_SCALE]].sum() for tonic in range(12)]
    return float(max(inside) / counts.sum()) if counts.sum() else float("nan")


def repeated_patterns(notes: NoteSequence, length: int = PATTERN) -> float:
    """The share of patterns of `length` successive intervals of the top line that occurred earlier in the piece.

    In any key, whatever the rhythm; patterns overlap. NaN for a line of `length` notes or fewer.
    """
    intervals = top_intervals(notes)
    if len(intervals) < length:
        return float("nan")
    patterns = np.lib.stride_tricks.sliding_window_view(intervals, length)
    return 1 - len(np.unique(patterns, axis=0)) / len(patterns)


def bar_contents(notes: NoteSequence) -> Bars:
    """The notes that begin in each bar, as (onset in the bar in twelfths of a quarter, pitch)."""
    found = list(bars(notes))
    notes = pitched(notes)
    starts = np.array([float(bar.start) for bar in found])
    place = np.searchsorted(starts, notes.start_tick, side="right") - 1
    first = np.ceil(starts).astype(np.int64)  # a bar may begin between two ticks
    onset = nearest_step(np.maximum(notes.start_tick - first[place], 0), notes.ticks_per_quarter, STEPS)
    contents: Bars = [Counter() for _ in found]
    for bar, step, pitch in zip(place.tolist(), onset.tolist(), notes.pitch.tolist(), strict=True):
        contents[bar][step, pitch] += 1
    return contents


def bar_similarity(contents: Bars, distance: int) -> float:
    """How similar bars are to those `distance` bars later, on average over the piece.

        |A and B| / |A or B|        of the notes that begin in two bars: 1 for equal bars, 0 without a common note

    A pair of bars without notes is left out; NaN where no pair is left. Source: Jaccard (1912).
    """
    similar = []
    for one, other in zip(contents, contents[distance:], strict=False):
        if union := (one | other).total():
            similar.append((one & other).total() / union)
    return float(np.mean(similar)) if similar else float("nan")
