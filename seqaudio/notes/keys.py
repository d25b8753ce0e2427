"""Estimate the key of a piece from how long each pitch class sounds.

The total durations of the twelve pitch classes are correlated with a profile of each key: listeners' ratings of how
well each pitch class fits it. Source: Krumhansl (1990), the algorithm of Krumhansl & Schmuckler with the profiles of
Krumhansl & Kessler (1982).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from seqaudio.notes.sequence import KeySignature, NoteSequence

# ratings of the pitch classes from the tonic upwards
MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
# tonics from seven flats to seven sharps
_MAJOR_TONICS = ("Cb", "Gb", "Db", "Ab", "Eb", "Bb", "F", "C", "G", "D", "A", "E", "B", "F#", "C#")
_MINOR_TONICS = ("Ab", "Eb", "Bb", "F", "C", "G", "D", "A", "E", "B", "F#", "C#", "G#", "D#", "A#")
RELATIVE_MAJOR = 3  # semitones from a minor tonic up to the tonic of its relative major


def estimate_key(notes: NoteSequence) -> KeySignature | None:
    """The key that fits the whole piece best, at tick 0; None where all pitch classes sound equally long.

    Drums are ignored. Of two enharmonic keys the one with fewer accidentals is given, F sharp rather than G flat.
    """
    durations = pitch_class_durations(notes)
    if np.ptp(durations) == 0:
        return None
    # [24] major keys from C upwards, then minor ones
    fits = [np.corrcoef(durations, np.roll(profile, tonic))[0, 1] for profile in (MAJOR, MINOR) for tonic in range(12)]
    minor, tonic = divmod(int(np.argmax(fits)), 12)
    return KeySignature(0, signs_of_major((tonic + RELATIVE_MAJOR * minor) % 12), bool(minor))


def with_key(notes: NoteSequence) -> NoteSequence:
    """The piece with an estimated key signature, unless it has one already or none can be estimated."""
    key = None if notes.key_signatures else estimate_key(notes)
    return notes if key is None else replace(notes, key_signatures=(key,))


def pitch_class_durations(notes: NoteSequence) -> np.ndarray:
    """Ticks for which each pitch class sounds in all tracks together, [12] from C upwards, drums ignored."""
    melodic = ~notes.is_drum
    ticks = (notes.end_tick - notes.start_tick)[melodic]
    return np.bincount(notes.pitch[melodic] % 12, weights=ticks, minlength=12)


def signs_of_major(tonic: int) -> int:
    """Sharps of the major key on a pitch class, negative for flats: 0 for C (0), 1 for G (7), -1 for F (5)."""
    fifths = tonic * 7 % 12
    return fifths if fifths <= 6 else fifths - 12


def tonic_name(key: KeySignature) -> str:
    """The name of the tonic, such as `Bb`."""
    return (_MINOR_TONICS if key.minor else _MAJOR_TONICS)[key.sharps + 7]


def key_name(key: KeySignature) -> str:
    """The name of a key, such as `Bb major`."""
    return f"{tonic_name(key)} {'minor' if key.minor else 'major'}"
