"""Find what is odd in a piece and would be learnt: drums read as pitched notes, silence before the first note."""

from __future__ import annotations

import re

from seqaudio.notes.bars import COMMON_TIME
from seqaudio.notes.sequence import NoteSequence

_DRUMS = re.compile(
    r"drum|percussion|\b(?:perc|kit)\b|snare|hi-?hat|cymbal|schlagzeug|batter(?:ie|ia|ía)", re.IGNORECASE
)
_PITCHED = re.compile(r"steel|pitched|tuned|mallet|melodic", re.IGNORECASE)  # as in steel drums


def unmarked_drums(notes: NoteSequence) -> tuple[str, ...]:
    """Names of tracks that are named like drums, though their notes are not on the channel of drums; each once."""
    suspects = [
        (number, name)
        for number, name in enumerate(notes.track_names)
        if name and _DRUMS.search(name) and not _PITCHED.search(name)
    ]
    pitched = set(notes.track[~notes.is_drum].tolist()) if suspects else set()
    return tuple(dict.fromkeys(name for number, name in suspects if number in pitched))


def silence_before(notes: NoteSequence) -> float:
    """Quarters of silence before the first note, where that is more than a bar; otherwise 0."""
    if not len(notes):
        return 0.0
    first = notes.time_signatures[0] if notes.time_signatures else COMMON_TIME
    quarters = int(notes.start_tick[0]) / notes.ticks_per_quarter
    return quarters if quarters > 4 * first.numerator / first.denominator else 0.0
