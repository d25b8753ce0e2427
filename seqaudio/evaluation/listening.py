"""Measure what a listener notices first: length, metre, tempo, very long notes, phrases that return, the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from seqaudio.notes.bars import bars
from seqaudio.notes.sequence import NoteSequence
from seqaudio.prepare.music.near_duplicates import top_line

PATTERN = 8  # intervals


@dataclass(frozen=True)
class Heard:
    """Figures of one piece without its percussion."""

    longest: float  # quarters of the longest note
    at_once: int  # most notes that sound together
    bars: int  # up to the one in which the last note ends
    metre: str  # of most bars
    tempo: float  # quarters a minute at the beginning
    program: int  # of most notes
    repeated: float  # share of the patterns of eight intervals of the top line that occur more than once
    ends_on_bar_line: bool  # whether the last note does

    @classmethod
    def of(cls, notes: NoteSequence) -> Heard | None:
        """The figures of a piece; None where nothing but percussion sounds."""
        notes = notes.select(~notes.is_drum)
        if not len(notes):
            return None
        found = list(bars(notes))
        return cls(
            longest=float((notes.end_tick - notes.start_tick).max() / notes.ticks_per_quarter),
            at_once=most_at_once(notes),
            bars=len(found),
            metre=Counter(bar.time_signature.name for bar in found).most_common(1)[0][0],
            tempo=float(60e6 / notes.tempo[0]),
            program=int(np.bincount(notes.program).argmax()),
            repeated=repeated_patterns(notes),
            ends_on_bar_line=found[-1].end == notes.last_tick,
        )


def most_at_once(notes: NoteSequence) -> int:
    """The most notes that sound together; one that begins where another ends does not sound with it."""
    ticks = np.concatenate([notes.start_tick, notes.end_tick])
    changes = np.repeat([1, -1], len(notes))
    order = np.lexsort((changes, ticks))  # ends first
    return int(np.cumsum(changes[order]).max(initial=0))


def repeated_patterns(notes: NoteSequence, length: int = PATTERN) -> float:
    """The share of a top line's patterns, `length` successive intervals each, that occur more than once in the piece.

    Durations do not count, and a transposed repetition does. 0 for a line that is too short for two patterns.
    """
    intervals = np.diff(top_line(notes))
    if len(intervals) <= length:
        return 0.0
    patterns = Counter(window.tobytes() for window in np.lib.stride_tricks.sliding_window_view(intervals, length))
    return sum(count for count in patterns.values() if count > 1) / patterns.total()


def summary(pieces: Sequence[Heard]) -> dict[str, object]:
    """The figures of several pieces, at least one, as JSON."""
    return {
        "pieces": len(pieces),
        "longest_note": {"median": median(one.longest for one in pieces), "most": max(one.longest for one in pieces)},
        "notes_at_once": {"median": median(one.at_once for one in pieces), "most": max(one.at_once for one in pieces)},
        "bars": {
            "least": min(one.bars for one in pieces),
            "median": median(one.bars for one in pieces),
            "most": max(one.bars for one in pieces),
        },
        "metres": _counted(one.metre for one in pieces),
        "tempos": _counted(f"{one.tempo:.4g}" for one in pieces),
        "programs": _counted(str(one.program) for one in pieces),
        "repeated_patterns": sum(one.repeated for one in pieces) / len(pieces),
        "ending_on_bar_line": sum(one.ends_on_bar_line for one in pieces) / len(pieces),
    }


def against(pieces: Sequence[Heard], training: Sequence[Heard]) -> dict[str, int]:
    """How many pieces lie outside what the training pieces, at least one, have."""
    least, most = min(one.bars for one in training), max(one.bars for one in training)
    longest = max(one.longest for one in training)
    return {
        "longer_note": sum(one.longest > longest for one in pieces),
        "other_length": sum(not least <= one.bars <= most for one in pieces),
        "other_metre": sum(one.metre not in {piece.metre for piece in training} for one in pieces),
    }


def _counted(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items(), key=lambda one: (-one[1], one[0])))
