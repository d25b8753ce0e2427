"""Notes as columns, and operations on them.

`sequence.py` holds NoteSequence: the notes of a piece with tempos, signatures and tracks; `columns.py` checks and sorts
columns, `quantise.py` puts notes on a grid, `bars.py` finds bars and beats, `keys.py` estimates keys, `operations/`
transposes, splits, snaps and stretches pieces. None of it depends on files, tokens or torch.
"""

from seqaudio.notes.operations.timing import apply_pedals
from seqaudio.notes.quantise import quantise, resolve_overlaps
from seqaudio.notes.sequence import KeySignature, NoteSequence, TimeSignature

__all__ = [
    "KeySignature",
    "NoteSequence",
    "TimeSignature",
    "apply_pedals",
    "quantise",
    "resolve_overlaps",
]
