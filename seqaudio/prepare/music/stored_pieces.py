"""Decode the pieces of a store of music into notes, by the representation that the store names."""

from __future__ import annotations

import numpy as np

from seqaudio.errors import StoreError
from seqaudio.notes.sequence import NoteSequence
from seqaudio.store import Store
from seqaudio.tokens.representation import Representation, TokenRepresentation, build_representation
from seqaudio.tokens.roll import RollRepresentation


def store_representation(store: Store) -> Representation:
    """The representation of a store of tokens or rolls.

    Raises:
        StoreError: the store does not name its representation, or was made by another version of it.
        OptionError: a representation or a setting that this version does not have.
    """
    settings = store.settings.get("representation")
    if not isinstance(settings, dict) or not isinstance(settings.get("name"), str):
        raise StoreError(f"{store.path}: does not name the representation of its notes; prepare it again")
    options = {name: value for name, value in settings.items() if name != "name"}
    representation = build_representation(settings["name"], options)
    if isinstance(representation, TokenRepresentation) and store.names.names != representation.tokens:
        raise StoreError(f"{store.path}: has other tokens than {representation.name} in this version; prepare it again")
    return representation


def decoded(representation: Representation, sequence: np.ndarray) -> NoteSequence:
    """The notes of one row: ids [N] or frames [T, 88]. Raises ValueError for what cannot be decoded."""
    if isinstance(representation, RollRepresentation):
        sounding = np.flatnonzero(sequence.any(axis=1))
        sequence = sequence[: sounding[-1] + 1 if len(sounding) else 0]  # published rolls may end with silence
    return representation.decode(sequence)
