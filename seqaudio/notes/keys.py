"""Which key a piece is in, told from how long each pitch class sounds.

A piece's twelve durations are correlated with a profile of each key: how well listeners find each pitch class to fit
it. Source: Krumhansl (1990), the algorithm of Krumhansl & Schmuckler with the profiles of Krumhansl & Kessler (1982).
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
RELATIVE_MAJOR = 3  # semitones from a minor tonic up to the major one with the same signs


def estimate_key(notes: NoteSequence) -> KeySignature | None:
    """The key that fits the whole piece best, from tick 0 on; None where no pitch class stands out.

    Drums do not count. Of two spellings the one with fewer signs is taken, F sharp rather than G flat.
    """
    durations = pitch_class_durations(notes)
    if np.ptp(durations) == 0:
        return None
    # [24] major keys from C upwards, then minor ones
    fits = [np.corrcoef(durations, np.roll(profile, tonic))[0, 1] for profile in (MAJOR, MINOR) for tonic in range(12)]
    minor, tonic = divmod(int(np.argmax(fits)), 12)
    return KeySignature(0, signs_of_major((tonic + RELATIVE_MAJOR * minor) % 12), bool(minor))


def with_key(notes: NoteSequence) -> NoteSequence:
    """The piece with an estimated key signature, unless it has one or none can be told."""
    key = None if notes.key_signatures else estimate_key(notes)
    return notes if key is None else replace(notes, key_signatures=(key,))


def pitch_class_durations(notes: NoteSequence) -> np.ndarray:
    """Ticks that each pitch class sounds, [12] from C upwards, over all voices without drums."""
    heard = ~notes.is_drum
    ticks = (notes.end_tick - notes.start_tick)[heard]
    return np.bincount(notes.pitch[heard] % 12, weights=ticks, minlength=12)


def signs_of_major(tonic: int) -> int:
    """Sharps of the major key on a pitch class, negative for flats: 0 (C) has none, 7 (G) one, 5 (F) minus one."""
    fifths = tonic * 7 % 12
    return fifths if fifths <= 6 else fifths - 12


def tonic_name(key: KeySignature) -> str:
    """Such as `Bb`."""
    return (_MINOR_TONICS if key.minor else _MAJOR_TONICS)[key.sharps + 7]


def key_name(key: KeySignature) -> str:
    """Such as `Bb major`."""
    return f"{tonic_name(key)} {'minor' if key.minor else 'major'}"
