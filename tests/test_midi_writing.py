"""Written MIDI: the same notes come back, from our reader and from pretty_midi, and equal notes give equal bytes."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import mido
import numpy as np
import pretty_midi
import pytest
import symusic
from hypothesis import given, settings
from hypothesis import strategies as st

from seqaudio.midi import read_midi
from seqaudio.midi.pretty_midi_objects import from_pretty_midi, to_pretty_midi
from seqaudio.midi.writing import instrument_name, midi_bytes, write_midi
from seqaudio.notes import KeySignature, NoteSequence, TimeSignature, quantise, resolve_overlaps

# a key for each tonic that pretty_midi tells apart, in the spelling that comes back
KEYS = [KeySignature(0, sharps, minor) for minor in (False, True) for sharps in range(-5, 7)]


@st.composite
def pieces(draw: st.DrawFn) -> NoteSequence:
    """Notes of several parts, equal pitches of a part apart, all tracks in use, one program a track."""
    note = st.tuples(
        st.integers(0, 3000), st.integers(1, 900), st.integers(0, 127), st.integers(1, 127), st.integers(0, 2)
    )
    drawn = draw(st.lists(note, min_size=1, max_size=25))
    _, track = np.unique([row[4] for row in drawn], return_inverse=True)
    start, length, pitch, velocity = np.array([row[:4] for row in drawn], dtype=np.int64).T
    programs = np.array([0, 40, 127])
    return resolve_overlaps(
        NoteSequence.from_columns(
            start,
            start + length,
            pitch,
            velocity,
            programs[track],
            track,
            track == 1,
            ticks_per_quarter=draw(st.sampled_from([1, 24, 100, 220, 480, 1024])),
            tempos=draw(st.lists(st.tuples(st.integers(0, 3000), st.integers(200_000, 2_000_000)), max_size=4)),
            time_signatures=draw(st.sampled_from([(), (TimeSignature(0, 6, 8), TimeSignature(960, 3, 4))])),
            key_signatures=draw(st.sampled_from([(), *[(key,) for key in KEYS]])),
            track_names=("melody", "drums", "Bässe")[: track.max() + 1],
        )
    )


@given(pieces())
@settings(max_examples=150)
def test_what_is_written_is_read_again(notes: NoteSequence) -> None:
    found = read_midi(midi_bytes(notes))
    assert found == notes.rescaled(found.ticks_per_quarter)


@given(pieces())
@settings(max_examples=100)
def test_pretty_midi_reads_the_same_notes(notes: NoteSequence) -> None:
    found = pretty_midi.PrettyMIDI(io.BytesIO(midi_bytes(notes)))
    for track, instrument in enumerate(found.instruments):
        part = notes.select(notes.track == track)
        assert instrument.program == part.program[0]
        assert instrument.is_drum == part.is_drum[0]
        columns = (part.start.round(9), part.pitch, part.end.round(9), part.velocity)
        expected = sorted(zip(*(column.tolist() for column in columns), strict=True))
        assert len(instrument.notes) == len(expected)
        ours = np.array(expected)
        theirs = np.array(sorted((round(n.start, 9), n.pitch, round(n.end, 9), n.velocity) for n in instrument.notes))
        np.testing.assert_allclose(theirs, ours, rtol=0, atol=1e-8)
    assert sum(len(instrument.notes) for instrument in found.instruments) == len(notes)


@given(pieces())
@settings(max_examples=100)
def test_pretty_midi_objects_and_back_change_nothing(notes: NoteSequence) -> None:
    assert from_pretty_midi(to_pretty_midi(notes)) == notes


@given(pieces())
@settings(max_examples=50)
def test_a_pretty_midi_file_and_our_reader_agree(notes: NoteSequence) -> None:
    data = midi_bytes(notes)
    theirs = from_pretty_midi(pretty_midi.PrettyMIDI(io.BytesIO(data)))
    ours = read_midi(data)
    for name in ("start_tick", "end_tick", "pitch", "velocity", "program", "is_drum", "tempo", "tempo_tick"):
        np.testing.assert_array_equal(getattr(theirs, name), getattr(ours, name))
    assert theirs.key_signatures == ours.key_signatures
    assert theirs.time_signatures == ours.time_signatures


def tune(**more: object) -> NoteSequence:
    return NoteSequence.from_columns([0, 480], [480, 960], [60, 62], **more)  # type: ignore[arg-type]


def named(notes: NoteSequence) -> NoteSequence:
    """The piece with each nameless track named after its instrument, as files have it; one program a track."""
    names = list(notes.track_names)
    for track, program, drum in zip(notes.track.tolist(), notes.program.tolist(), notes.is_drum.tolist(), strict=True):
        names[track] = names[track] or instrument_name(program, drum)
    return dataclasses.replace(notes, track_names=tuple(names))


def test_equal_notes_give_equal_bytes() -> None:
    assert midi_bytes(tune(), ["a"]) == midi_bytes(tune(), ["a"])
    assert midi_bytes(tune(), ["a"]) != midi_bytes(tune(), ["b"])


def test_literal_bytes_of_one_note() -> None:
    notes = NoteSequence.from_columns([0], [480], [60], velocity=80)
    header = "4d546864 00000006 0001 0002 01e0"
    conductor = "4d54726b 0000000c 00ff5103 07a120 8f00ff2f00"  # the end mark comes after 1920 ticks, 4 quarters
    name = b"Acoustic Grand Piano".hex()
    piano = f"4d54726b 00000029 00ff0314 {name} 00c000 00903c50 8360803c00 8b20ff2f00"  # 1440 after the note's end
    assert midi_bytes(notes) == bytes.fromhex(header + conductor + piano)


@pytest.mark.parametrize(("own", "written"), [(1, 480), (24, 480), (960, 480), (1024, 480), (1000, 1000)])
def test_resolution_is_480_where_every_tick_has_its_place_there(own: int, written: int) -> None:
    tick = 2 if own == 960 else 3 if own == 1000 else 64 if own == 1024 else 1
    notes = NoteSequence.from_columns([0], [tick], [60], ticks_per_quarter=own)
    found = read_midi(midi_bytes(notes))
    assert found.ticks_per_quarter == written
    assert found.duration == notes.duration


def test_the_conductor_carries_comments_tempos_metres_and_keys() -> None:
    notes = tune(
        tempos=[(0, 400_000), (480, 600_000)],
        time_signatures=[TimeSignature(0, 6, 8)],
        key_signatures=[KeySignature(0, 1)],
        track_names=["flute"],
    )
    file = mido.MidiFile(file=io.BytesIO(midi_bytes(notes, ["first", "zweite – ü"])), charset="utf-8")
    conductor = [(message.time, message.type) for message in file.tracks[0]]
    assert conductor == [
        (0, "text"),
        (0, "text"),
        (0, "set_tempo"),
        (0, "time_signature"),
        (0, "key_signature"),
        (480, "set_tempo"),
        (960, "end_of_track"),
    ]
    assert [message.text for message in file.tracks[0][:2]] == ["first", "zweite – ü"]
    assert file.tracks[1].name == "flute"


def test_each_part_has_its_track_and_drums_have_channel_ten() -> None:
    notes = NoteSequence.from_columns(
        [0, 0, 0, 0],
        [9, 9, 9, 9],
        [60, 60, 60, 36],
        program=[0, 5, 0, 0],
        track=[0, 0, 1, 1],
        is_drum=[False, False, False, True],
    )
    file = mido.MidiFile(file=io.BytesIO(midi_bytes(notes)))
    channels = [next(message.channel for message in track if message.type == "note_on") for track in file.tracks[1:]]
    assert channels == [0, 1, 2, 9]
    assert len(read_midi(midi_bytes(notes)).track_names) == 4


def test_more_parts_than_channels_go_to_another_port() -> None:
    notes = NoteSequence.from_columns(
        np.zeros(33, np.int64), np.full(33, 480), np.full(33, 60), program=np.arange(33), track=np.arange(33)
    )
    file = mido.MidiFile(file=io.BytesIO(midi_bytes(notes)))
    places = []
    for track in file.tracks[1:]:
        port = next((message.port for message in track if message.type == "midi_port"), 0)
        places.append((port, next(message.channel for message in track if message.type == "note_on")))
    assert len(set(places)) == 33
    assert all(channel != 9 for _, channel in places)
    assert read_midi(midi_bytes(notes)) == named(notes)


@pytest.mark.parametrize("minor", [False, True])
def test_every_key_comes_back(minor: bool) -> None:
    keys = tuple(KeySignature(480 * place, sharps, minor) for place, sharps in enumerate(range(-7, 8)))
    assert read_midi(midi_bytes(tune(key_signatures=keys))).key_signatures == keys


def test_keys_have_their_usual_names() -> None:
    signs = [(sharps, minor) for minor in (False, True) for sharps in (-3, 0, 6)]
    keys = tuple(KeySignature(480 * place, *sign) for place, sign in enumerate(signs))
    written = mido.MidiFile(file=io.BytesIO(midi_bytes(tune(key_signatures=keys))))
    names = [message.key for message in written.tracks[0] if message.type == "key_signature"]
    assert names == ["Eb", "C", "F#", "Cm", "Am", "D#m"]


def test_notes_without_length_and_repeats_come_back() -> None:
    notes = NoteSequence.from_columns([0, 480, 480, 960], [480, 480, 960, 960], [60, 60, 60, 60])
    assert read_midi(midi_bytes(notes)) == named(notes)


def test_overlaps_come_back_and_a_note_inside_another_is_refused() -> None:
    overlapping = NoteSequence.from_columns([0, 240], [480, 720], [60, 60], velocity=[10, 20])
    assert read_midi(midi_bytes(overlapping)) == named(overlapping)
    nested = NoteSequence.from_columns([0, 240], [480, 300], [60, 60], track_names=["organ"])
    with pytest.raises(ValueError, match=r"organ: pitch 60 at ticks 0\.\.480 and again at 240\.\.300 inside it"):
        midi_bytes(nested)
    assert len(read_midi(midi_bytes(resolve_overlaps(nested)))) == 2


def test_a_silence_that_midi_cannot_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="268435456 ticks without an event"):
        midi_bytes(NoteSequence.from_columns([2**28], [2**28 + 480], [60]))


METRES = [
    ((), 1920),  # without a metre four quarters are a bar
    ((TimeSignature(0, 3, 4),), 1440),
    ((TimeSignature(0, 6, 8),), 1440),
    ((TimeSignature(0, 7, 8),), 1680),
    ((TimeSignature(0, 2, 2),), 1920),
    ((TimeSignature(0, 4, 4), TimeSignature(1920, 3, 4)), 1440),
]


@pytest.mark.parametrize(("metres", "bar"), METRES)
@pytest.mark.parametrize("ending", [-480, 0, 1])
def test_every_track_ends_when_the_last_bar_is_full(metres: tuple[TimeSignature, ...], bar: int, ending: int) -> None:
    before = metres[-1].tick if metres else 0
    last = before + 2 * bar + ending  # inside the second bar, at its end, just inside the third
    notes = NoteSequence.from_columns([0, last - 240], [240, last], [60, 36], track=[0, 1], time_signatures=metres)
    data = midi_bytes(notes)
    ends = [sum(message.time for message in track) for track in mido.MidiFile(file=io.BytesIO(data)).tracks]
    expected = before + (3 if ending > 0 else 2) * bar
    assert ends == [expected] * 3
    downbeats = pretty_midi.PrettyMIDI(io.BytesIO(data)).get_downbeats()
    assert np.isclose(notes.seconds([expected - bar]), downbeats, atol=1e-6).any(), "the last bar begins at a bar line"


def test_a_note_without_length_at_a_bar_line_gets_its_bar() -> None:
    notes = NoteSequence.from_columns([0, 1920], [480, 1920], [60, 60])
    file = mido.MidiFile(file=io.BytesIO(midi_bytes(notes)))
    assert [sum(message.time for message in track) for track in file.tracks] == [3840, 3840]


def test_a_tempo_behind_the_last_note_lies_in_the_last_bar() -> None:
    file = mido.MidiFile(file=io.BytesIO(midi_bytes(tune(tempos=[(2000, 400_000)]))))
    assert [sum(message.time for message in track) for track in file.tracks] == [3840, 3840]


def test_a_track_that_ends_long_before_the_others_is_written_all_the_same() -> None:
    notes = NoteSequence.from_columns(
        [0, 2**27, 2**28, 2**28 + 2**27], [480, 2**27 + 480, 2**28 + 480, 2**28 + 2**27 + 480], 60, track=[0, 1, 1, 1]
    )
    assert len(read_midi(midi_bytes(notes))) == 4


def test_three_readers_find_the_same_tracks_bars_and_end() -> None:
    notes = NoteSequence.from_columns(
        [0, 720, 0, 0, 1440],
        [720, 1440, 1440, 240, 1680],
        [72, 74, 48, 36, 38],
        program=[73, 73, 42, 0, 0],
        track=[0, 0, 1, 2, 2],
        is_drum=[False, False, False, True, True],
        tempos=[(0, 600_000)],
        time_signatures=[TimeSignature(0, 6, 8)],
        key_signatures=[KeySignature(0, -1)],
        track_names=["Flute", "Cello", "Kit"],
    )
    data = midi_bytes(notes)
    parts = {("Flute", 73, False), ("Cello", 42, False), ("Kit", 0, True)}

    theirs = pretty_midi.PrettyMIDI(io.BytesIO(data))
    assert {(part.name, part.program, part.is_drum) for part in theirs.instruments} == parts
    assert [(m.time, m.numerator, m.denominator) for m in theirs.time_signature_changes] == [(0.0, 6, 8)]
    assert [pretty_midi.key_number_to_key_name(key.key_number) for key in theirs.key_signature_changes] == ["F Major"]
    np.testing.assert_allclose(theirs.get_downbeats()[:2], [0.0, 1.8])  # a bar of 6/8 at 0.6 s a quarter
    assert theirs.get_end_time() == pytest.approx(2.1)

    score = symusic.Score.from_midi(data)
    assert {(track.name, track.program, track.is_drum) for track in score.tracks} == parts
    assert [(m.time, m.numerator, m.denominator) for m in score.time_signatures] == [(0, 6, 8)]
    assert (score.ticks_per_quarter, score.end()) == (480, 1680)

    file = mido.MidiFile(file=io.BytesIO(data))
    assert (file.type, file.ticks_per_beat) == (1, 480)
    assert [track.name for track in file.tracks[1:]] == ["Flute", "Cello", "Kit"]
    at_start = {message.type for track in file.tracks for message in track[:5] if message.time == 0}
    assert {"set_tempo", "time_signature", "key_signature", "track_name", "program_change"} <= at_start
    assert [sum(message.time for message in track) for track in file.tracks] == [2880] * 4, "two bars of 6/8"
    assert file.length == pytest.approx(3.6)


@pytest.mark.parametrize("steps", [1, 3, 4, 6, 8, 12, 24])
def test_notes_of_a_grid_are_written_exactly_on_that_grid(steps: int) -> None:
    onsets = np.arange(0, 7 * steps, 2)
    notes = NoteSequence.from_columns(onsets, onsets + 1, [60], ticks_per_quarter=steps)
    file = mido.MidiFile(file=io.BytesIO(midi_bytes(notes)))
    places, now = [], 0
    for message in file.tracks[1]:
        now += message.time
        places += [now] if message.type == "note_on" else []
    assert file.ticks_per_beat == 480
    assert places == [480 * onset // steps for onset in onsets.tolist()]


def test_nameless_tracks_are_named_after_their_instruments() -> None:
    notes = NoteSequence.from_columns(
        [0, 0, 0], [9, 9, 9], [60, 60, 36], program=[19, 40, 25], track=[0, 1, 2], is_drum=[False, False, True]
    )
    file = mido.MidiFile(file=io.BytesIO(midi_bytes(notes)))
    assert [track.name for track in file.tracks[1:]] == ["Church Organ", "Violin", "Drums"]


def test_no_notes_give_a_file_with_a_conductor_alone() -> None:
    nothing = NoteSequence.from_columns([], [], [], tempos=[(0, 400_000)])
    file = mido.MidiFile(file=io.BytesIO(midi_bytes(nothing)))
    assert [message.type for message in file.tracks[0]] == ["set_tempo", "end_of_track"]


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "tune.mid"
    write_midi(tune(), path)
    before = path.read_bytes()
    assert before == midi_bytes(tune())
    with pytest.raises(ValueError, match="inside it"):
        write_midi(NoteSequence.from_columns([0, 240], [480, 300], [60, 60]), path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["tune.mid"]


def test_a_pretty_midi_made_by_hand_goes_to_the_nearest_ticks() -> None:
    midi = pretty_midi.PrettyMIDI(resolution=100, initial_tempo=100)
    flute = pretty_midi.Instrument(73, name="flute")
    flute.notes = [pretty_midi.Note(90, 72, 0.6, 1.2), pretty_midi.Note(91, 74, 1.2, 1.2031)]
    midi.instruments = [pretty_midi.Instrument(0), flute]
    notes = from_pretty_midi(midi)
    assert notes.start_tick.tolist() == [100, 200]
    assert notes.end_tick.tolist() == [200, 201]
    assert notes.tempo.tolist() == [600_000]
    assert notes.track_names == ("flute",)


def test_an_empty_pretty_midi_has_no_notes() -> None:
    assert len(from_pretty_midi(pretty_midi.PrettyMIDI())) == 0


def test_a_real_tempo_map_survives_the_objects() -> None:
    notes = NoteSequence.from_columns(
        np.arange(0, 48000, 240),
        np.arange(240, 48240, 240),
        [60],
        tempos=[(480 * n, 300_000 + 997 * n) for n in range(99)],
    )
    midi = to_pretty_midi(notes)
    np.testing.assert_allclose([note.end for note in midi.instruments[0].notes], notes.end, rtol=0, atol=0)
    assert from_pretty_midi(midi) == notes


@pytest.mark.data
def test_real_pieces_come_back_from_their_own_writing(data_folder: Path) -> None:
    for path in sorted((data_folder / "music" / "nottingham" / "midi").glob("*.mid"))[::50]:
        notes = quantise(read_midi(path), 24)
        found = read_midi(midi_bytes(notes))
        assert found == named(notes.rescaled(480))
