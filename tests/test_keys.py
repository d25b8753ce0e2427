"""Keys told from notes: those of scales and cadences, the same in every transposition, none where there is none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from music21 import key as music21_key

from seqaudio.notes import NoteSequence
from seqaudio.notes.keys import estimate_key, key_name, key_named, scale_of, signs_of_major, with_key
from seqaudio.notes.sequence import KeySignature

# scale up, then the cadence I IV V I, as pitches above the tonic
MAJOR = (0, 2, 4, 5, 7, 9, 11, 12, 0, 4, 7, 5, 9, 12, 7, 11, 14, 0, 4, 7)
MINOR = (0, 2, 3, 5, 7, 8, 11, 12, 0, 3, 7, 5, 8, 12, 7, 11, 14, 0, 3, 7)


def piece(pitches: tuple[int, ...], tonic: int = 60) -> NoteSequence:
    start = 480 * np.arange(len(pitches))
    return NoteSequence.from_columns(start, start + 480, np.array(pitches) + tonic)


@pytest.mark.parametrize("tonic", range(12))
@pytest.mark.parametrize(("pitches", "minor"), [(MAJOR, False), (MINOR, True)])
def test_a_scale_and_its_cadence_are_in_their_key(pitches: tuple[int, ...], minor: bool, tonic: int) -> None:
    found = estimate_key(piece(pitches, 55 + tonic))
    assert found is not None
    assert found.minor == minor
    name = music21_key.KeySignature(found.sharps).asKey("minor" if minor else "major").tonic
    assert name.pitchClass == (55 + tonic) % 12


def test_signs_are_those_of_the_circle_of_fifths() -> None:
    names = ("C", "D-", "D", "E-", "E", "F", "F#", "G", "A-", "A", "B-", "B")
    assert [signs_of_major(tonic) for tonic in range(12)] == [music21_key.Key(name).sharps for name in names]


def test_long_notes_count_for_more() -> None:
    notes = piece(MAJOR)
    long_fifth = NoteSequence.from_columns(
        notes.start_tick, notes.end_tick + 4800 * (notes.pitch % 12 == 7), notes.pitch
    )
    assert estimate_key(notes) != estimate_key(long_fifth)


@pytest.mark.parametrize("notes", [piece(()), piece(tuple(range(12)))])
def test_no_key_is_made_up_where_no_pitch_class_stands_out(notes: NoteSequence) -> None:
    assert estimate_key(notes) is None
    assert with_key(notes) == notes


def test_drums_have_no_key() -> None:
    start = 480 * np.arange(len(MAJOR))
    drums = NoteSequence.from_columns(start, start + 480, np.array(MAJOR) + 36, is_drum=True)
    assert estimate_key(drums) is None


def test_a_piece_that_has_a_key_keeps_it() -> None:
    notes = replace(piece(MAJOR), key_signatures=(KeySignature(0, 3),))
    assert with_key(notes) is notes
    assert with_key(piece(MAJOR)).key_signatures == (KeySignature(0, 0),)


@pytest.mark.parametrize(
    ("name", "sharps", "minor", "scale"),
    [
        ("C major", 0, False, "C D E F G A B"),
        ("D minor", -1, True, "D E F G A Bb C C#"),
        ("bb Major", -2, False, "Bb C D Eb F G A"),
        ("F# minor", 3, True, "F# G# A B C# D E F"),
    ],
)
def test_keys_are_read_by_name(name: str, sharps: int, minor: bool, scale: str) -> None:
    classes = {"C": 0, "C#": 1, "D": 2, "Eb": 3, "E": 4, "F": 5, "F#": 6, "G": 7, "G#": 8, "A": 9, "Bb": 10, "B": 11}
    key = key_named(name)
    assert (key.sharps, key.minor) == (sharps, minor)
    assert scale_of(key) == tuple(sorted(classes[note] for note in scale.split()))
    assert key_named(key_name(key)) == key


@pytest.mark.parametrize("name", ["", "D", "H minor", "D# major", "D dorian", "D minor major"])
def test_other_names_are_no_keys(name: str) -> None:
    with pytest.raises(ValueError, match="expected a key"):
        key_named(name)
