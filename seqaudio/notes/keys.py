"""Estimate the key of a piece from how long each pitch class sounds; read keys by name, and their scales.

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
MAJOR_SCALE = (0, 2, 4, 5, 7, 9, 11)  # semitones above the tonic
MINOR_SCALE = (0, 2, 3, 5, 7, 8, 10, 11)  # natural, and the raised seventh
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


def key_named(text: str) -> KeySignature:
    """The key of a name such as `D minor` or `Bb major`, at tick 0.

    Raises ValueError for any other text, and for keys of more than seven accidentals, such as D# major.
    """
    tonic, _, mode = text.strip().partition(" ")
    tonic, mode = tonic[:1].upper() + tonic[1:], mode.strip().lower()
    tonics = {"major": _MAJOR_TONICS, "minor": _MINOR_TONICS}.get(mode, ())
    if tonic not in tonics:
        raise ValueError(
            f"{text!r}, expected a key of at most seven accidentals, such as D minor, Bb major or F# minor"
        )
    return KeySignature(0, tonics.index(tonic) - 7, mode == "minor")


def scale_of(key: KeySignature) -> tuple[int, ...]:
    """The pitch classes of a key, rising, 0 for C: of a minor key its natural scale and the raised seventh degree."""
    tonic = (key.sharps * 7 + (9 if key.minor else 0)) % 12  # A minor has the signature of C major
    degrees = MINOR_SCALE if key.minor else MAJOR_SCALE
    return tuple(sorted((tonic + degree) % 12 for degree in degrees))
