"""Count what a teacher of four-part harmony marks: parallel fifths and octaves, crossings, wide spacing, leaps.

A piece becomes a row of chords, [4, M] pitches from the soprano down, one for each moment at which a voice changes its
pitch. Repeated chords are one chord, and a voice that rests has no pitch. Counts are of every moment, passing notes
included, so parallels that lie between two beats with other notes between them are not found.

Source: the rules as in Aldwell & Schachter (2011), Harmony and Voice Leading, in the plainest form.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields
from itertools import combinations

import numpy as np
import numpy.typing as npt

from seqaudio.notes.sequence import NoteSequence
from seqaudio.tokens.four_voices import VOICES, four_voices

STEPS = 12  # of a quarter
SILENT = -1  # pitch of a voice that rests
FIFTH, OCTAVE = 7, 12  # semitones
STEP = 2  # largest interval, in semitones, that is no leap for a hidden parallel
MANY_OVERLAPS = 0.05  # share of notes that begin before the previous one of their track ends: no voice is sung so

Chords = npt.NDArray[np.int64]


@dataclass(frozen=True)
class VoiceLeading:
    """Counts in one piece."""

    changes: int  # of chords: one less than there are chords
    parallel_fifths: int  # two voices move the same way, from a fifth to a fifth, octaves in between or not
    parallel_octaves: int  # the same of octaves and unisons
    hidden: int  # outer voices move the same way into a fifth or an octave, the soprano by a leap
    crossings: int  # chords and neighbouring voices of which the upper one is lower
    wide: int  # chords and neighbouring upper voices more than an octave apart
    leaps: int  # of a voice, by more than a fifth, but not by an octave


FAULTS = tuple(field.name for field in fields(VoiceLeading))[1:]  # what is told for each hundred changes


def has_four_voices(notes: NoteSequence) -> bool:
    """Whether a piece has four tracks with pitched notes, each of which sings one note at a time."""
    notes = notes.select(~notes.is_drum)
    tracks = np.unique(notes.track)
    if len(tracks) != len(VOICES):
        return False
    for track in tracks:
        here = notes.track == track
        start, end = notes.start_tick[here], notes.end_tick[here]
        if np.mean(start[1:] < end[:-1]) > MANY_OVERLAPS if len(start) > 1 else False:
            return False
    return True


def voice_leading(notes: NoteSequence) -> VoiceLeading:
    """Count in a piece of four voices; other tracks than the first four count as nothing."""
    return of_chords(chords_of(notes))


def chords_of(notes: NoteSequence) -> Chords:
    """The chords of a piece, [4, M] pitches from the soprano down, SILENT where a voice rests."""
    voices = four_voices(notes, STEPS)
    times = np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *(np.concatenate(voice[:2]) for voice in voices)]))
    chords = np.full((len(VOICES), len(times)), SILENT, dtype=np.int64)
    for row, voice in zip(chords, voices, strict=False):
        place = np.searchsorted(voice.start, times, side="right") - 1
        sounds = (place >= 0) & (times < voice.end[place]) if len(voice.start) else np.zeros(len(times), dtype=np.bool_)
        row[sounds] = voice.pitch[place[sounds]]
    sounding = chords[:, (chords != SILENT).any(axis=0)]
    differs = np.ones(sounding.shape[1], dtype=np.bool_)
    differs[1:] = (sounding[:, 1:] != sounding[:, :-1]).any(axis=0)
    return sounding[:, differs]


def of_chords(chords: Chords) -> VoiceLeading:
    """Count in chords [4, M], pitches from the soprano down, SILENT where a voice rests."""
    before, after = chords[:, :-1], chords[:, 1:]
    sung = (before != SILENT) & (after != SILENT)
    move = np.where(sung, after - before, 0)
    fifths = octaves = hidden = 0
    for upper, lower in combinations(range(len(chords)), 2):
        together = move[upper] * move[lower] > 0
        first, second = (np.abs(side[upper] - side[lower]) % OCTAVE for side in (before, after))
        fifths += int(np.count_nonzero(together & (first == FIFTH) & (second == FIFTH)))
        octaves += int(np.count_nonzero(together & (first == 0) & (second == 0)))
        if (upper, lower) == (0, len(chords) - 1):
            perfect = (second == FIFTH) | (second == 0)
            hidden += int(np.count_nonzero(together & perfect & (first != second) & (np.abs(move[upper]) > STEP)))
    above, below = chords[:-1], chords[1:]
    both = (above != SILENT) & (below != SILENT)
    apart = np.where(both, above - below, 0)
    size = np.abs(move)
    return VoiceLeading(
        changes=max(0, chords.shape[1] - 1),
        parallel_fifths=fifths,
        parallel_octaves=octaves,
        hidden=hidden,
        crossings=int(np.count_nonzero(apart < 0)),
        wide=int(np.count_nonzero(apart[:-1] > OCTAVE)),
        leaps=int(np.count_nonzero((size > FIFTH) & (size != OCTAVE))),
    )


def total(counts: list[VoiceLeading]) -> VoiceLeading:
    """The sums over pieces."""
    return VoiceLeading(*(sum(column) for column in zip(*map(astuple, counts), strict=True)))
