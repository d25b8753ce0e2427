"""Transpose a piece."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from seqaudio.notes.keys import estimate_key, signs_of_major
from seqaudio.notes.sequence import MAX_VALUE, KeySignature, NoteSequence

OCTAVE = 12


def transpose(notes: NoteSequence, semitones: int) -> NoteSequence:
    """All notes but percussion moved by `semitones`, key signatures with them.

    Of two enharmonic keys the one with fewer accidentals is given, F sharp rather than G flat; whole octaves leave the
    key as it is.

    Raises ValueError where a pitch would leave 0..127; the pitch is in the message.
    """
    melodic = ~notes.is_drum
    pitch = notes.pitch.astype(np.int64) + semitones * melodic
    outside = (pitch < 0) | (pitch > MAX_VALUE)
    if outside.any():
        raise ValueError(
            f"pitch {notes.pitch[outside][0]} moved by {semitones:+d} semitones is {pitch[outside][0]}, "
            f"expected 0..{MAX_VALUE}; try an octave {'lower' if semitones > 0 else 'higher'}"
        )
    keys = tuple(_moved(key, semitones) for key in notes.key_signatures)
    return replace(notes.with_columns(pitch=pitch), key_signatures=keys)


def in_all_keys(notes: NoteSequence) -> list[NoteSequence]:
    """The piece in all twelve keys, from five semitones below to six above; the sixth is the piece itself.

    A transposition that would leave 0..127 is moved by an octave.

    Raises ValueError where no octave keeps all pitches in 0..127.
    """
    return [_fitting(notes, semitones) for semitones in range(-5, 7)]


def to_common_key(notes: NoteSequence) -> NoteSequence:
    """The piece in C major or A minor, moved by at most six semitones, or by an octave more to stay in 0..127.

    Its key is that of a signature at tick 0, otherwise that of `estimate_key`; without either the piece is returned
    unchanged. Later signatures move along.

    Raises ValueError where no octave keeps all pitches in 0..127.
    """
    first = notes.key_signatures[:1]
    key = first[0] if first and first[0].tick == 0 else estimate_key(notes)
    if key is None:
        return notes
    if not first or first[0].tick:
        notes = replace(notes, key_signatures=(key, *notes.key_signatures))
    down = _tonic_of_major(key)  # A minor is the relative minor of C major, so one rule serves both modes
    return _fitting(notes, -down if down <= OCTAVE // 2 else OCTAVE - down)


def _fitting(notes: NoteSequence, semitones: int) -> NoteSequence:
    """Transposed by `semitones`, or by an octave more or less where that would leave the range of pitches."""
    pitches = notes.pitch[~notes.is_drum].astype(np.int64)
    for moved in (semitones, semitones + OCTAVE, semitones - OCTAVE):
        if not len(pitches) or (pitches.min() + moved >= 0 and pitches.max() + moved <= MAX_VALUE):
            return transpose(notes, moved)
    raise ValueError(
        f"pitches {pitches.min()}..{pitches.max()} moved by {semitones:+d} semitones leave 0..{MAX_VALUE} in every "
        "octave; leave out the lowest or highest notes first"
    )


def _moved(key: KeySignature, semitones: int) -> KeySignature:
    if semitones % OCTAVE == 0:
        return key
    return replace(key, sharps=signs_of_major((_tonic_of_major(key) + semitones) % OCTAVE))


def _tonic_of_major(key: KeySignature) -> int:
    """The pitch class of the tonic of the major key with the same accidentals: each sharp is a fifth up."""
    return key.sharps * 7 % OCTAVE
