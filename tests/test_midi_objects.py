"""NoteSequences as objects of pretty_midi, symusic and music21 and back: notes, tempos, signatures, pedals."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from typing import Any

import mido
import numpy as np
import pretty_midi
import pytest
import symusic
from hypothesis import given, settings
from hypothesis import strategies as st

from seqaudio.errors import OptionError, SourceError
from seqaudio.midi import (
    from_music21,
    from_pretty_midi,
    from_symusic,
    midi_bytes,
    music21_objects,
    read_midi,
    to_music21,
    to_pretty_midi,
    to_symusic,
)
from seqaudio.midi.score import music21_corpus, read_score
from seqaudio.notes import KeySignature, NoteSequence, TimeSignature, apply_pedals, quantise
from seqaudio.prepare.engine import Item
from seqaudio.prepare.music.midi_rows import MidiPreparation
from seqaudio.tokens.performance import PerformanceRepresentation


@st.composite
def pieces(draw: st.DrawFn) -> NoteSequence:
    """Notes of three tracks of one part each, unisons and overlaps too, pedals that do not overlap."""
    note = st.tuples(
        st.integers(0, 3000), st.integers(1, 900), st.integers(0, 127), st.integers(1, 127), st.integers(0, 2)
    )
    drawn = draw(st.lists(note, min_size=1, max_size=25))
    names, track = np.unique([row[4] for row in drawn], return_inverse=True)
    start, length, pitch, velocity = np.array([row[:4] for row in drawn], dtype=np.int64).T
    borders = draw(st.lists(st.integers(0, 4000), max_size=8, unique=True).map(sorted))
    spans = list(zip(borders[::2], borders[1::2], strict=False))
    return NoteSequence.from_columns(
        start,
        start + length,
        pitch,
        velocity,
        np.array([0, 40, 127])[track],
        track,
        track == 1,
        ticks_per_quarter=draw(st.sampled_from([1, 24, 100, 220, 480, 1024])),
        tempos=draw(st.lists(st.tuples(st.integers(0, 3000), st.integers(200_000, 2_000_000)), max_size=4)),
        time_signatures=draw(st.sampled_from([(), (TimeSignature(0, 6, 8), TimeSignature(960, 3, 4))])),
        key_signatures=draw(st.sampled_from([(), (KeySignature(0, -3, minor=True), KeySignature(480, 6))])),
        track_names=("melody", "drums", "Bässe")[: len(names)],
        pedals=[(place % len(names), down, up) for place, (down, up) in enumerate(spans)],
    )


@given(pieces())
@settings(max_examples=100)
def test_symusic_objects_and_back_change_nothing(notes: NoteSequence) -> None:
    assert from_symusic(to_symusic(notes)) == notes


@given(pieces())
@settings(max_examples=100)
def test_pretty_midi_objects_and_back_change_nothing(notes: NoteSequence) -> None:
    assert from_pretty_midi(to_pretty_midi(notes)) == notes


@given(pieces())
@settings(max_examples=50)
def test_both_libraries_make_one_piece_of_the_same_objects(notes: NoteSequence) -> None:
    midi, score = to_pretty_midi(notes), to_symusic(notes).to("second")
    for instrument, track in zip(midi.instruments, score.tracks, strict=True):
        assert (instrument.name, instrument.program, instrument.is_drum) == (track.name, track.program, track.is_drum)
        theirs = sorted((note.start, note.end, note.pitch, note.velocity) for note in instrument.notes)
        others = sorted((note.start, note.end, note.pitch, note.velocity) for note in track.notes)
        np.testing.assert_allclose(theirs, others, rtol=1e-5, atol=1e-4)  # its seconds have 32 bits


@given(pieces())
@settings(max_examples=8)
def test_streams_of_music21_and_back_change_nothing_but_pedals(notes: NoteSequence) -> None:
    back = from_music21(to_music21(notes), notes.ticks_per_quarter)
    assert back == dataclasses.replace(notes, pedals=notes.pedals[:0])


def test_every_program_comes_back_from_music21_at_the_pitch_that_sounds() -> None:
    drums = np.arange(128) == 60
    notes = NoteSequence.from_columns(range(128), range(1, 129), 60, 9, range(128), range(128), drums)
    score = to_music21(notes)
    assert from_music21(score) == notes
    assert set(from_music21(score.makeNotation()).pitch) == {60}
    assert set(read_midi(Path(score.write("midi")).read_bytes()).pitch) == {60}


def test_a_score_as_music21_parses_it_has_the_notes_that_read_score_gives() -> None:
    music21 = pytest.importorskip("music21")
    path = music21_corpus() / "bach" / "bwv66.6.mxl"  # with an upbeat and ties
    found, expected = from_music21(music21.converter.parse(path, forceSource=True)), read_score(path)
    for name in ("start_tick", "end_tick", "pitch", "track", "track_names", "time_signatures"):
        assert np.array_equal(getattr(found, name), getattr(expected, name)), name
    assert found.key_signatures[0].sharps == 3
    assert found.start_tick[0] == 3 * 480


def test_ties_chords_velocities_and_tempos_of_music21_are_read() -> None:
    music21 = pytest.importorskip("music21")
    stream = music21.stream.Stream([music21.meter.TimeSignature("3/4"), music21.tempo.MetronomeMark(number=90)])
    chord = music21.chord.Chord(["C4", "E4"], quarterLength=1)
    chord.volume.velocity = 100
    chord.tie = music21.tie.Tie("start")
    again = music21.chord.Chord(["C4", "E4"], quarterLength=0.5)
    again.tie = music21.tie.Tie("stop")
    stream.append([chord, again, music21.note.Rest(quarterLength=1), music21.note.Note("G4", quarterLength=1 / 3)])
    stream.append(music21.note.Note("A4").getGrace())
    notes = from_music21(stream)
    assert notes.pitch.tolist() == [60, 64, 67]
    assert notes.start_tick.tolist() == [0, 0, 1200]
    assert notes.end_tick.tolist() == [720, 720, 1360]
    assert notes.velocity.tolist() == [100, 100, 64]
    assert notes.tempo.tolist() == [666_667]
    assert notes.time_signatures == (TimeSignature(0, 3, 4),)


def test_what_is_no_stream_and_no_music21_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OptionError, match="got list, expected a Score, Part or other Stream of one piece"):
        from_music21([60])
    monkeypatch.setattr(music21_objects, "find_spec", lambda name: None)
    with pytest.raises(SourceError, match="music21 is not installed; run pip install music21"):
        to_music21(pedalled())


def test_a_score_of_symusic_in_another_unit_gives_the_same_notes() -> None:
    notes = NoteSequence.from_columns([0, 480], [480, 960], [60, 62], tempos=[(0, 400_000), (480, 600_000)])
    for unit in ("tick", "quarter", "second"):
        found = from_symusic(to_symusic(notes).to(unit))
        assert found.start_tick.tolist() == [0, 480]
        assert found.end_tick.tolist() == [480, 960]
        assert found.tempo.tolist() == [400_000, 600_000]


def test_symusic_writes_what_we_read_again() -> None:
    notes = NoteSequence.from_columns([0, 480], [480, 960], [60, 62], track_names=["flute"], pedals=[(0, 10, 500)])
    assert read_midi(to_symusic(notes).dumps_midi()) == notes


def test_ticks_beyond_symusics_are_refused() -> None:
    with pytest.raises(ValueError, match="tick 2147483648, but symusic holds at most 2147483647"):
        to_symusic(NoteSequence.from_columns([0], [2**31], [60]))


@pytest.mark.parametrize(
    ("maps", "end"),
    [
        ({"tempos": [(0, 500_000), (10_000_000, 400_000)]}, 10_001_280),
        ({"time_signatures": [TimeSignature(10_000_000, 3, 4)]}, 10_000_000),
        ({"key_signatures": [KeySignature(19_200_000, 1)]}, 19_200_000),
    ],
)
def test_maps_beyond_pretty_midis_ticks_are_refused(maps: dict[str, Any], end: int) -> None:
    notes = NoteSequence.from_columns([0], [480], [60], **maps)
    with pytest.raises(
        ValueError, match=f"reach tick {end}, where their last bar ends, but pretty_midi holds at most 9999999"
    ):
        to_pretty_midi(notes)
    assert len(from_pretty_midi(to_pretty_midi(quantise(notes, 12)))) == 1


def test_an_empty_score_has_no_notes() -> None:
    nothing = from_symusic(symusic.Score(480))
    assert len(nothing) == 0
    assert from_symusic(to_symusic(nothing)) == nothing


def pedalled() -> NoteSequence:
    return NoteSequence.from_columns(
        [0, 240, 960, 1200],
        [120, 480, 1080, 1300],
        [60, 64, 60, 67],
        track=[0, 0, 0, 1],
        track_names=["left", "right"],
        pedals=[(0, 100, 480), (0, 480, 1400)],
    )


def test_pedals_are_written_and_read_again() -> None:
    notes = pedalled()
    found = read_midi(midi_bytes(notes))
    assert found == notes
    theirs = pretty_midi.PrettyMIDI(io.BytesIO(midi_bytes(notes))).instruments
    assert [(c.number, c.value) for c in theirs[0].control_changes] == [(64, 127), (64, 0)] * 2
    assert theirs[1].control_changes == []


def test_a_pedal_may_go_up_after_the_last_bar_of_notes() -> None:
    notes = NoteSequence.from_columns([0, 480], [480, 960], [60, 62], pedals=[(0, 0, 2400)])
    assert read_midi(midi_bytes(notes)).pedals.tolist() == [[0, 0, 2400]]


@pytest.mark.data
def test_performances_are_written_and_read_again(data_folder: Path) -> None:
    for path in sorted((data_folder / "music" / "maestro_samples").rglob("*.mid")):
        notes = read_midi(path)
        again = read_midi(midi_bytes(notes, keep_resolution=True))
        assert len(notes.pedals)
        np.testing.assert_array_equal(again.pedals, notes.pedals)
        np.testing.assert_array_equal(again.end_tick, notes.end_tick)


def test_a_pedal_lets_notes_sound_until_it_goes_up_or_they_are_struck_again() -> None:
    applied = apply_pedals(pedalled())
    # released at the tick at which the pedal goes up and down again: the second pedal holds, up to the next 60
    assert applied.end_tick.tolist() == [480, 1400, 1400, 1300]
    assert applied.pedals.shape == (0, 3)
    repeated = NoteSequence.from_columns([0, 480], [100, 600], [60, 60], pedals=[(0, 50, 1000)])
    assert apply_pedals(repeated).end_tick.tolist() == [480, 1000]
    assert apply_pedals(applied) == applied


def test_a_pedal_that_is_pressed_after_the_release_holds_nothing() -> None:
    late = NoteSequence.from_columns([0, 0, 0], [100, 101, 200], [60, 61, 62], pedals=[(0, 101, 200)])
    assert apply_pedals(late).end_tick.tolist() == [100, 200, 200]


def test_reading_keeps_the_pedal_or_applies_it() -> None:
    data = midi_bytes(pedalled())
    assert read_midi(data) == pedalled()
    assert read_midi(data, pedal="applied") == apply_pedals(pedalled())
    assert read_midi(data, pedal="unread") == dataclasses.replace(pedalled(), pedals=pedalled().pedals[:0])


def test_a_preparation_reads_pedals_for_a_representation_that_says_them(tmp_path: Path) -> None:
    @dataclasses.dataclass(frozen=True)
    class Pedalled(PerformanceRepresentation):
        """Its first token is the number of pedals."""

        encodes_pedals = True

        def encode(self, notes: NoteSequence) -> np.ndarray:
            return np.append(len(notes.pedals), super().encode(notes))

    path = tmp_path / "a.mid"
    path.write_bytes(midi_bytes(pedalled()))
    item = Item("a.mid", path, "a")
    (saying,) = MidiPreparation(Pedalled())(item)
    (silent,) = MidiPreparation(PerformanceRepresentation())(item)
    assert saying.sequence.tolist() == [2, *silent.sequence]


def test_pedals_follow_their_ticks() -> None:
    notes = pedalled()
    assert notes.rescaled(960).pedals.tolist() == [[0, 200, 960], [0, 960, 2800]]
    assert quantise(notes, 4).pedals.tolist() == [[0, 1, 4], [0, 4, 12]]
    assert quantise(quantise(notes, 4), 4) == quantise(notes, 4)
    assert notes.with_columns(pitch=notes.pitch + np.int16(1)).pedals.tolist() == notes.pedals.tolist()
    # nobody knows when the pedal was down in a piece whose notes lie elsewhere
    assert len(notes.with_columns(start_tick=notes.start_tick // 2, end_tick=notes.end_tick // 2).pedals) == 0


@pytest.mark.parametrize(
    ("pedals", "message"),
    [
        ([(1, 0, 9)], "pedal track has values in 1..1"),
        ([(0, -1, 9)], "pedal tick has values in -1..9"),
        ([(0, 9, 8)], "must not go up before they go down"),
    ],
)
def test_pedals_that_no_foot_presses_are_refused(pedals: list[tuple[int, int, int]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NoteSequence.from_columns([0], [9], [60], pedals=pedals)


@pytest.mark.data
def test_real_performances_survive_both_kinds_of_objects(data_folder: Path) -> None:
    folder = data_folder / "music"
    for path in (*sorted((folder / "maestro_samples").iterdir())[:2], *sorted(folder.rglob("islamei.mid"))):
        notes = read_midi(path)
        assert from_symusic(to_symusic(notes)) == notes
        plain = dataclasses.replace(notes, key_signatures=())  # pretty_midi takes G flat for F sharp
        assert from_pretty_midi(to_pretty_midi(plain)) == plain
        assert read_midi(path, pedal="applied").end_tick.sum() >= notes.end_tick.sum()


@pytest.mark.data
def test_pedals_of_a_performance_are_those_of_its_controls(data_folder: Path) -> None:
    path = sorted((data_folder / "music" / "maestro_samples").iterdir())[0]
    notes = read_midi(path)
    (track,) = [track for track in mido.MidiFile(path).tracks if any(m.type == "note_on" for m in track)]
    now, pressed, spans = 0, None, []
    for message in track:
        now += message.time
        if message.type != "control_change" or message.control != 64:
            continue
        if message.value >= 64 and pressed is None:
            pressed = now
        elif message.value < 64 and pressed is not None:
            spans.append([0, pressed, now])
            pressed = None
    assert notes.pedals.tolist() == spans
    assert len(spans) > 100
