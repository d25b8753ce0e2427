"""Convert NoteSequences to PrettyMIDI objects and back, for tools and notebooks that use pretty_midi."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from seqaudio.midi.channels import pedal_spans
from seqaudio.midi.events import PEDAL, PEDAL_DOWN
from seqaudio.midi.writing import midi_bytes, parts_of
from seqaudio.notes.bars import end_of_last_bar
from seqaudio.notes.keys import RELATIVE_MAJOR, signs_of_major
from seqaudio.notes.sequence import KeySignature, NoteSequence, TimeSignature

if TYPE_CHECKING:
    import pretty_midi


def to_pretty_midi(notes: NoteSequence) -> pretty_midi.PrettyMIDI:
    """A PrettyMIDI with one instrument for each (track, program, drum), in that order, tempos, signatures and pedals.

    Times are those of `NoteSequence.seconds`. Resolution and tempo map are kept exactly. pretty_midi has twelve tonics
    only, so B and Cb become one key.

    Raises:
        ValueError: a tempo or a signature too late for pretty_midi: after ten million ticks, unless its MAX_TICK is
            set.
    """
    import pretty_midi
    from pretty_midi.pretty_midi import MAX_TICK  # imported here because users may change it

    # pretty_midi can only get a tempo map from a file
    silent = notes.select(np.zeros(len(notes), dtype=np.bool_))
    end = end_of_last_bar(silent)
    if end >= MAX_TICK:
        raise ValueError(
            f"tempos and signatures reach tick {end}, where their last bar ends, but pretty_midi holds at most "
            f"{int(MAX_TICK) - 1}; quantise first"
        )
    midi = pretty_midi.PrettyMIDI(io.BytesIO(midi_bytes(silent, keep_resolution=True)))
    for part in parts_of(notes):
        here = notes.select(part.of(notes))
        instrument = pretty_midi.Instrument(part.program, part.is_drum, notes.track_names[part.track])
        columns = (here.velocity, here.pitch, here.start, here.end)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        instrument.notes = [pretty_midi.Note(*row) for row in rows]
        pedals = notes.pedals[notes.pedals[:, 0] == part.track]
        for down, up in notes.seconds(pedals[:, 1:]).tolist():
            instrument.control_changes += [
                pretty_midi.ControlChange(PEDAL, 127, down),
                pretty_midi.ControlChange(PEDAL, 0, up),
            ]
        midi.instruments.append(instrument)
    return midi


def from_pretty_midi(midi: pretty_midi.PrettyMIDI) -> NoteSequence:
    """The notes and pedals of a PrettyMIDI: each instrument with notes becomes a track.

    Times are rounded to the nearest tick; those from a file or from `to_pretty_midi` are exact. A pedal is down at
    values from 64 on. Left out: pedals that never go up, bends, other controllers, lyrics.
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
            TimeSignature(int(midi.time_to_tick(signature.time)), signature.numerator, signature.denominator)
            for signature in midi.time_signature_changes
        ],
        key_signatures=[_key(int(midi.time_to_tick(key.time)), key.key_number) for key in midi.key_signature_changes],
        track_names=[instrument.name for instrument in instruments] or None,
        pedals=[pedal for track, instrument in enumerate(instruments) for pedal in _pedals(midi, instrument, track)],
    )


def _pedals(
    midi: pretty_midi.PrettyMIDI, instrument: pretty_midi.Instrument, track: int
) -> Iterator[tuple[int, int, int]]:
    """(track, tick at which the pedal goes down, tick at which it goes up)."""
    # a stable sort: simultaneous events keep their order
    changes = sorted(instrument.control_changes, key=lambda change: change.time)
    events = [
        (int(midi.time_to_tick(change.time)), change.value >= PEDAL_DOWN)
        for change in changes
        if change.number == PEDAL
    ]
    for down, duration in pedal_spans(events):
        yield track, down, down + duration


def _key(tick: int, number: int) -> KeySignature:
    """`number`: 0..11 for the major keys from C up, 12..23 for the minor ones."""
    minor, tonic = divmod(number, 12)
    return KeySignature(tick, signs_of_major((tonic + RELATIVE_MAJOR * minor) % 12), bool(minor))
