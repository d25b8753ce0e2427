"""NoteSequences to PrettyMIDI objects and back, for its tools and for notebooks that use it."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from seqaudio.notes.keys import RELATIVE_MAJOR, signs_of_major
from seqaudio.notes.sequence import KeySignature, NoteSequence, TimeSignature
from seqaudio.notes.writing import midi_bytes

if TYPE_CHECKING:
    import pretty_midi


def to_pretty_midi(notes: NoteSequence) -> pretty_midi.PrettyMIDI:
    """A PrettyMIDI with one instrument for each (track, program, drum), in that order, and all maps.

    Times are those of `NoteSequence.seconds`. Resolution and tempo map carry over exactly; of the keys pretty_midi
    knows twelve tonics, so B and Cb become one.
    """
    import pretty_midi

    # pretty_midi takes a tempo map from a file alone
    silent = notes.select(np.zeros(len(notes), dtype=np.bool_))
    midi = pretty_midi.PrettyMIDI(io.BytesIO(midi_bytes(silent, keep_resolution=True)))
    parts: dict[tuple[int, int, bool], pretty_midi.Instrument] = {}
    columns = (notes.track, notes.program, notes.is_drum, notes.velocity, notes.pitch, notes.start, notes.end)
    for track, program, drum, velocity, pitch, start, end in zip(*(c.tolist() for c in columns), strict=True):
        part = (track, program, drum)
        if part not in parts:
            parts[part] = pretty_midi.Instrument(program, drum, notes.track_names[track])
        parts[part].notes.append(pretty_midi.Note(velocity, pitch, start, end))
    midi.instruments = [parts[part] for part in sorted(parts)]
    return midi


def from_pretty_midi(midi: pretty_midi.PrettyMIDI) -> NoteSequence:
    """The notes of a PrettyMIDI: each instrument that has notes becomes a track.

    A time between two ticks goes to the nearer one; what came from a file or from `to_pretty_midi` lies on ticks.
    Bends, controls and lyrics are left out.
    """
    instruments = [instrument for instrument in midi.instruments if instrument.notes]
    rows = [
        (
            midi.time_to_tick(note.start),
            midi.time_to_tick(note.end),
            note.pitch,
            note.velocity,
            instrument.program,
            track,
            instrument.is_drum,
        )
        for track, instrument in enumerate(instruments)
        for note in instrument.notes
    ]
    start, end, pitch, velocity, program, track_of, drum = np.array(rows, dtype=np.int64).reshape(-1, 7).T
    times, tempos = midi.get_tempo_changes()
    ticks = [midi.time_to_tick(time) for time in times]
    return NoteSequence.from_columns(
        start,
        end,
        pitch,
        velocity,
        program,
        track_of,
        drum.astype(np.bool_),
        ticks_per_quarter=midi.resolution,
        tempos=[(int(tick), round(6e7 / tempo)) for tick, tempo in zip(ticks, tempos, strict=True)],
        time_signatures=[
            TimeSignature(int(midi.time_to_tick(metre.time)), metre.numerator, metre.denominator)
            for metre in midi.time_signature_changes
        ],
        key_signatures=[_key(int(midi.time_to_tick(key.time)), key.key_number) for key in midi.key_signature_changes],
        track_names=[instrument.name for instrument in instruments] or None,
    )


def _key(tick: int, number: int) -> KeySignature:
    """`number`: 0..11 for the major keys from C up, 12..23 for the minor ones."""
    minor, tonic = divmod(number, 12)
    return KeySignature(tick, signs_of_major((tonic + RELATIVE_MAJOR * minor) % 12), bool(minor))
