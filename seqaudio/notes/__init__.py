"""Symbolic music: MIDI in and out, notes as columns, notes as tokens. None of it needs torch.

file -> read_midi -> NoteSequence -> representation.encode -> ids -> representation.decode -> write_midi -> file
"""

from seqaudio.notes import melody, performance  # registers them  # noqa: F401
from seqaudio.notes.melody import MelodyRepresentation
from seqaudio.notes.performance import PerformanceRepresentation
from seqaudio.notes.quantise import quantise, resolve_overlaps
from seqaudio.notes.reading import ReadingLimits, read_midi, read_songs
from seqaudio.notes.representation import REPRESENTATIONS, Grammar, Representation, build_representation
from seqaudio.notes.sequence import KeySignature, NoteSequence, TimeSignature

__all__ = [
    "REPRESENTATIONS",
    "Grammar",
    "KeySignature",
    "MelodyRepresentation",
    "NoteSequence",
    "PerformanceRepresentation",
    "ReadingLimits",
    "Representation",
    "TimeSignature",
    "build_representation",
    "quantise",
    "read_midi",
    "read_songs",
    "resolve_overlaps",
]
