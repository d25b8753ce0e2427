"""A piece in other keys."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from seqaudio.notes.keys import estimate_key, signs_of_major
from seqaudio.notes.sequence import HIGHEST_VALUE, KeySignature, NoteSequence

OCTAVE = 12


def transpose(notes: NoteSequence, semitones: int) -> NoteSequence:
    """Every note but percussion moved by `semitones`, key signatures with them.

    A key becomes the one with the fewest signs, F sharp rather than G flat; by whole octaves it stays as it is.

    Raises ValueError where a pitch would leave 0..127; the pitch is in the message.
    """
    melodic = ~notes.is_drum
    pitch = notes.pitch.astype(np.int64) + semitones * melodic
    outside = (pitch < 0) | (pitch > HIGHEST_VALUE)
    if outside.any():
        raise ValueError(
            f"pitch {notes.pitch[outside][0]} moved by {semitones:+d} semitones is {pitch[outside][0]}, "
            f"expected 0..{HIGHEST_VALUE}; try an octave {'lower' if semitones > 0 else 'higher'}"
        )
    keys = tuple(_moved(key, semitones) for key in notes.key_signatures)
    return replace(notes.with_columns(pitch=pitch), key_signatures=keys)


def in_all_keys(notes: NoteSequence) -> list[NoteSequence]:
    """The piece in all twelve keys, from five semitones below to six above; the sixth is the piece itself.

    A transposition that would leave 0..127 is taken an octave higher or lower.

    Raises ValueError where that leaves it, too: the piece has too wide a range.
    """
    return [_fitting(notes, semitones) for semitones in range(-5, 7)]


def to_common_key(notes: NoteSequence) -> NoteSequence:
    """The piece in C major or A minor, the way there being at most six semitones, or an octave more where 0..127 ends.

    The key is the first signature, where that stands at tick 0, otherwise `estimate_key`; where neither tells one, the
    piece stays as it is. Later signatures move along.

    Raises ValueError where no octave of the transposition keeps all pitches in 0..127.
    """
    first = notes.key_signatures[:1]
    key = first[0] if first and first[0].tick == 0 else estimate_key(notes)
    if key is None:
        return notes
    if not first or first[0].tick:
        notes = replace(notes, key_signatures=(key, *notes.key_signatures))
    down = _tonic_of_major(key)  # A minor has the signs of C major, so both modes go by their signs
    return _fitting(notes, -down if down <= OCTAVE // 2 else OCTAVE - down)


def _fitting(notes: NoteSequence, semitones: int) -> NoteSequence:
    """Transposed by `semitones`, or by an octave more or less where that leaves the range of pitches."""
    pitches = notes.pitch[~notes.is_drum].astype(np.int64)
    for moved in (semitones, semitones + OCTAVE, semitones - OCTAVE):
        if not len(pitches) or (pitches.min() + moved >= 0 and pitches.max() + moved <= HIGHEST_VALUE):
            return transpose(notes, moved)
    raise ValueError(
        f"pitches {pitches.min()}..{pitches.max()} have no room for {semitones:+d} semitones in any octave, "
        f"expected 0..{HIGHEST_VALUE}"
    )


def _moved(key: KeySignature, semitones: int) -> KeySignature:
    if semitones % OCTAVE == 0:
        return key
    return replace(key, sharps=signs_of_major((_tonic_of_major(key) + semitones) % OCTAVE))


def _tonic_of_major(key: KeySignature) -> int:
    """The pitch class of the major key with the same signs: a sharp is a fifth up."""
    return key.sharps * 7 % OCTAVE
