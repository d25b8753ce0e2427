"""Symbolic music: MIDI in and out, notes as columns, notes as tokens.

    file -> read_midi -> NoteSequence -> representation.encode -> ids -> representation.decode -> write_midi -> file

None of it needs torch.
"""

from seqaudio.notes.chorale import ChoraleRepresentation
from seqaudio.notes.chorale_grid import ChoraleGridRepresentation
from seqaudio.notes.melody import MelodyRepresentation
from seqaudio.notes.midi_tokens import MidiTokRepresentation
from seqaudio.notes.pedals import apply_pedals
from seqaudio.notes.performance import PerformanceRepresentation
from seqaudio.notes.pretty_midi_objects import from_pretty_midi, to_pretty_midi
from seqaudio.notes.quantise import quantise, resolve_overlaps
from seqaudio.notes.quantising_loss import QuantisingLoss, quantising_loss
from seqaudio.notes.reading import ReadingLimits, read_many, read_midi, read_songs
from seqaudio.notes.representation import (
    REPRESENTATIONS,
    Grammar,
    Representation,
    TokenRepresentation,
    build_representation,
)
from seqaudio.notes.roll import RollRepresentation
from seqaudio.notes.roll_grammar import RollGrammar
from seqaudio.notes.sequence import KeySignature, NoteSequence, TimeSignature
from seqaudio.notes.symusic_objects import from_symusic, to_symusic
from seqaudio.notes.writing import midi_bytes, write_midi

__all__ = [
    "REPRESENTATIONS",
    "ChoraleGridRepresentation",
    "ChoraleRepresentation",
    "Grammar",
    "KeySignature",
    "MelodyRepresentation",
    "MidiTokRepresentation",
    "NoteSequence",
    "PerformanceRepresentation",
    "QuantisingLoss",
    "ReadingLimits",
    "Representation",
    "RollGrammar",
    "RollRepresentation",
    "TimeSignature",
    "TokenRepresentation",
    "apply_pedals",
    "build_representation",
    "from_pretty_midi",
    "from_symusic",
    "midi_bytes",
    "quantise",
    "quantising_loss",
    "read_many",
    "read_midi",
    "read_songs",
    "resolve_overlaps",
    "to_pretty_midi",
    "to_symusic",
    "write_midi",
]
