"""Symbolic music: MIDI in and out, notes as columns, notes as tokens.

    file -> read_midi -> NoteSequence -> representation.encode -> ids -> representation.decode -> write_midi -> file

None of it needs torch.
"""

from seqaudio.notes.chorale import ChoraleRepresentation
from seqaudio.notes.melody import MelodyRepresentation
from seqaudio.notes.performance import PerformanceRepresentation
from seqaudio.notes.pretty_midi_objects import from_pretty_midi, to_pretty_midi
from seqaudio.notes.quantise import quantise, resolve_overlaps
from seqaudio.notes.reading import ReadingLimits, read_midi, read_songs
from seqaudio.notes.representation import REPRESENTATIONS, Grammar, Representation, build_representation
from seqaudio.notes.sequence import KeySignature, NoteSequence, TimeSignature
from seqaudio.notes.writing import midi_bytes, write_midi

__all__ = [
    "REPRESENTATIONS",
    "ChoraleRepresentation",
    "Grammar",
    "KeySignature",
    "MelodyRepresentation",
    "NoteSequence",
    "PerformanceRepresentation",
    "ReadingLimits",
    "Representation",
    "TimeSignature",
    "build_representation",
    "from_pretty_midi",
    "midi_bytes",
    "quantise",
    "read_midi",
    "read_songs",
    "resolve_overlaps",
    "to_pretty_midi",
    "write_midi",
]
