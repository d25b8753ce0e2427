"""Representations: notes as tokens or rolls, each with a grammar of what may come next.

    NoteSequence ─ representation.encode ─> ids [T] or a roll [T, 88] ─ representation.decode ─> NoteSequence

`representation.py` defines the interface and the registry; `build_representation` makes a representation from its
name. `miditok/` holds those of the library MidiTok.
"""

from seqaudio.tokens.bars import BarsRepresentation
from seqaudio.tokens.chorale import ChoraleRepresentation
from seqaudio.tokens.chorale_grid import ChoraleGridRepresentation
from seqaudio.tokens.melody import MelodyRepresentation
from seqaudio.tokens.miditok.representation import MidiTokRepresentation
from seqaudio.tokens.performance import PerformanceRepresentation
from seqaudio.tokens.quantising_loss import QuantisingLoss, quantising_loss
from seqaudio.tokens.representation import (
    REPRESENTATIONS,
    Grammar,
    Representation,
    TokenRepresentation,
    build_representation,
    representation_of,
)
from seqaudio.tokens.roll import RollGrammar, RollRepresentation
from seqaudio.tokens.tonicnet import TonicNetNotesRepresentation, TonicNetRepresentation

__all__ = [
    "REPRESENTATIONS",
    "BarsRepresentation",
    "ChoraleGridRepresentation",
    "ChoraleRepresentation",
    "Grammar",
    "MelodyRepresentation",
    "MidiTokRepresentation",
    "PerformanceRepresentation",
    "QuantisingLoss",
    "Representation",
    "RollGrammar",
    "RollRepresentation",
    "TokenRepresentation",
    "TonicNetNotesRepresentation",
    "TonicNetRepresentation",
    "build_representation",
    "quantising_loss",
    "representation_of",
]
