"""Symbolic music: MIDI in and out, notes as columns, notes as tokens.

    file -> read_midi -> NoteSequence -> representation.encode -> ids -> representation.decode -> write_midi -> file

None of it needs torch.
"""

from seqaudio.notes.chorale import ChoraleRepresentation
from seqaudio.notes.chorale_grid import ChoraleGridRepresentation
from seqaudio.notes.melody import MelodyRepresentation
from seqaudio.notes.midi_tokens import MidiTokRepresentation
from seqaudio.notes.operations.pedals import apply_pedals
from seqaudio.notes.performance import PerformanceRepresentation
from seqaudio.notes.quantise import quantise, resolve_overlaps
from seqaudio.notes.quantising_loss import QuantisingLoss, quantising_loss
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
    "Representation",
    "RollGrammar",
    "RollRepresentation",
    "TimeSignature",
    "TokenRepresentation",
    "apply_pedals",
    "build_representation",
    "quantise",
    "quantising_loss",
    "resolve_overlaps",
]
