"""Operations of musicians on a piece: functions from notes to notes that keep tempos, signatures and pedals consistent.

None of them changes its argument. `snap` moves notes towards a grid and keeps the resolution; `quantise` of
`seqaudio.notes` makes the grid the resolution.
"""

from seqaudio.notes.operations.chords import Chord, chords
from seqaudio.notes.operations.excerpt import excerpt, split_at_silence, split_at_time_signatures
from seqaudio.notes.operations.selection import select_tracks, skyline
from seqaudio.notes.operations.timing import snap, stretch
from seqaudio.notes.operations.transpose import in_all_keys, to_common_key, transpose

__all__ = [
    "Chord",
    "chords",
    "excerpt",
    "in_all_keys",
    "select_tracks",
    "skyline",
    "snap",
    "split_at_silence",
    "split_at_time_signatures",
    "stretch",
    "to_common_key",
    "transpose",
]
