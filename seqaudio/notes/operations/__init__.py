"""What musicians do to a piece: each a function from notes to notes that keeps tempos, metres and keys in their place.

Nothing here changes its argument. `seqaudio.notes.quantise` puts notes on a grid for good; `snap` here only pulls.
"""

from seqaudio.notes.operations.chords import Chord, chords
from seqaudio.notes.operations.excerpt import excerpt
from seqaudio.notes.operations.silence import split_at_silence
from seqaudio.notes.operations.skyline import skyline
from seqaudio.notes.operations.snap import snap
from seqaudio.notes.operations.split import split_at_metres
from seqaudio.notes.operations.stretch import stretch
from seqaudio.notes.operations.tracks import select_tracks
from seqaudio.notes.operations.transpose import in_all_keys, to_common_key, transpose

__all__ = [
    "Chord",
    "chords",
    "excerpt",
    "in_all_keys",
    "select_tracks",
    "skyline",
    "snap",
    "split_at_metres",
    "split_at_silence",
    "stretch",
    "to_common_key",
    "transpose",
]
