"""Operations on notes: each change in literal notes, and what must hold for any notes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_representations import pieces, rows

from seqaudio.notes import KeySignature, NoteSequence, TimeSignature
from seqaudio.notes.keys import estimate_key
from seqaudio.notes.operations import (
    chords,
    excerpt,
    in_all_keys,
    select_tracks,
    skyline,
    snap,
    split_at_silence,
    split_at_time_signatures,
    stretch,
    to_common_key,
    transpose,
)
from seqaudio.notes.operations.chords import chord_name


def piece(*notes: tuple[int, int, int], **more: Any) -> NoteSequence:
    """(start, end, pitch) of each note, in quarters of 480 ticks where nothing else is given."""
    start, end, pitch = np.array(notes, dtype=np.int64).reshape(-1, 3).T
    return NoteSequence.from_columns(start, end, pitch, **({"ticks_per_quarter": 1} | more))


def chord(start: int, end: int, *pitches: int) -> list[tuple[int, int, int]]:
    return [(start, end, pitch) for pitch in pitches]


# transposing


def test_transposing_moves_pitches_and_keys_and_leaves_drums_alone() -> None:
    notes = NoteSequence.from_columns(
        [0, 0], [480, 480], [60, 36], is_drum=[False, True], key_signatures=[KeySignature(0, 0), KeySignature(480, -3)]
    )
    up = transpose(notes, 2)
    assert sorted(zip(up.pitch.tolist(), up.is_drum.tolist(), strict=True)) == [(36, True), (62, False)]
    assert up.key_signatures == (KeySignature(0, 2), KeySignature(480, -1))


@pytest.mark.parametrize(
    ("sharps", "semitones", "expected"),
    [(0, 1, -5), (0, 6, 6), (0, -1, 5), (7, 12, 7), (-7, -12, -7), (2, 0, 2), (-1, 7, 0)],
)
def test_keys_take_the_fewest_signs_and_octaves_leave_them(sharps: int, semitones: int, expected: int) -> None:
    notes = piece((0, 1, 60), key_signatures=[KeySignature(0, sharps, minor=True)])
    assert transpose(notes, semitones).key_signatures == (KeySignature(0, expected, minor=True),)


@pytest.mark.parametrize(
    ("pitch", "semitones", "message"),
    [
        (0, -1, r"pitch 0 moved by -1 semitones is -1, expected 0\.\.127; try an octave higher"),
        (127, 1, "pitch 127 moved by .1 semitones is 128, .*; try an octave lower"),
    ],
)
def test_pitches_that_leave_the_range_are_refused(pitch: int, semitones: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        transpose(piece((0, 1, pitch)), semitones)


def test_pitch_0_and_127_are_pitches() -> None:
    assert transpose(piece((0, 1, 1)), -1).pitch.tolist() == [0]
    assert transpose(piece((0, 1, 126)), 1).pitch.tolist() == [127]


@given(pieces(), st.integers(-12, 12))
@settings(max_examples=60)
def test_transposing_back_gives_the_piece(notes: NoteSequence, semitones: int) -> None:
    notes = notes.select((notes.pitch >= 12) & (notes.pitch <= 115))
    assert transpose(transpose(notes, semitones), -semitones) == notes


@given(pieces())
@settings(max_examples=30)
def test_all_keys_are_twelve_and_hold_the_same_intervals(notes: NoteSequence) -> None:
    notes = notes.select((notes.pitch >= 20) & (notes.pitch <= 100) & ~notes.is_drum)
    keys = in_all_keys(notes)
    assert len(keys) == 12
    assert keys[5] == notes
    for version in keys:
        assert len(set((version.pitch - notes.pitch).tolist())) <= 1
        np.testing.assert_array_equal(version.start_tick, notes.start_tick)
    if len(notes):
        assert {(int(version.pitch[0]) - int(notes.pitch[0])) % 12 for version in keys} == set(range(12))


def test_a_transposition_that_would_leave_the_range_is_taken_in_another_octave() -> None:
    low, high = in_all_keys(piece((0, 1, 2))), in_all_keys(piece((0, 1, 125)))
    assert [int(version.pitch[0]) for version in low] == [9, 10, 11, 0, 1, 2, 3, 4, 5, 6, 7, 8]
    assert [int(version.pitch[0]) for version in high] == [120, 121, 122, 123, 124, 125, 126, 127, 116, 117, 118, 119]
    with pytest.raises(ValueError, match=r"pitches 0\.\.127 moved by -5 semitones leave 0\.\.127 in every octave"):
        in_all_keys(piece((0, 1, 0), (0, 1, 127)))


SCALE = (0, 2, 4, 5, 7, 9, 11, 12, 7, 4, 0)
MINOR = (0, 2, 3, 5, 7, 8, 11, 12, 7, 3, 0)


@pytest.mark.parametrize("tonic", range(12))
@pytest.mark.parametrize(("degrees", "first"), [(SCALE, 0), (MINOR, 9)])
def test_every_key_comes_to_c_major_or_a_minor(degrees: tuple[int, ...], first: int, tonic: int) -> None:
    notes = piece(*((step, step + 1, 55 + tonic + degree) for step, degree in enumerate(degrees)))
    common = to_common_key(notes)
    assert common.pitch[0] % 12 == first
    assert common.key_signatures == (KeySignature(0, 0, minor=first == 9),)
    assert abs(int(common.pitch[0]) - int(notes.pitch[0])) <= 6
    assert to_common_key(common) == common


def test_a_written_key_counts_before_an_estimated_one() -> None:
    notes = piece((0, 1, 60), (1, 2, 64), (2, 3, 67), key_signatures=[KeySignature(0, 1), KeySignature(2, 2)])
    common = to_common_key(notes)
    assert common.pitch.tolist() == [65, 69, 72]
    assert common.key_signatures == (KeySignature(0, 0), KeySignature(2, 1))
    assert estimate_key(notes) == KeySignature(0, 0)


def test_without_a_key_a_piece_stays_as_it_is() -> None:
    notes = piece(*chord(0, 1, *range(60, 72)))
    assert to_common_key(notes) is notes


# time


@given(pieces(), st.sampled_from([0.5, 0.97, 1.0, 2.0]))
@settings(max_examples=60)
def test_a_stretched_piece_lasts_that_many_times_as_long(notes: NoteSequence, factor: float) -> None:
    stretched = stretch(notes, factor)
    np.testing.assert_allclose(stretched.start, notes.start * factor, rtol=5e-6)
    np.testing.assert_allclose(stretched.end, notes.end * factor, rtol=5e-6)
    np.testing.assert_array_equal(stretched.start_tick, notes.start_tick)
    assert stretched.time_signatures == notes.time_signatures


@pytest.mark.parametrize(
    ("factor", "message"),
    [
        (0.0, r"a stretch by 0\.0, expected a finite number above 0"),
        (float("nan"), "a stretch by nan"),
        (40.0, r"a stretch by 40 gives 20000000 microseconds per quarter, expected 1\.\.16777215"),
        (1e-7, "leaves less than 1 microsecond per quarter"),
    ],
)
def test_stretches_that_no_tempo_can_say_are_refused(factor: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        stretch(piece((0, 1, 60)), factor)


def test_snapping_goes_to_the_nearest_line_of_any_grid() -> None:
    notes = NoteSequence.from_columns([5, 118, 165, 250, 470], [60, 130, 200, 300, 475], [60, 61, 62, 63, 64])
    assert snap(notes, 4).start_tick.tolist() == [0, 120, 120, 240, 480]
    assert snap(notes, (4, 3)).start_tick.tolist() == [0, 120, 160, 240, 480]
    assert snap(notes, 3).start_tick.tolist() == [0, 160, 160, 320, 480]


def test_strength_goes_part_of_the_way() -> None:
    notes = NoteSequence.from_columns([10, 130], [100, 290], [60, 62])
    assert snap(notes, 4, 0.0) == notes
    half = snap(notes, 4, 0.5)
    assert rows(half) == [(5, 110, 60), (125, 265, 62)]
    assert rows(snap(notes, 4, 1.0)) == [(0, 120, 60), (120, 240, 62)]
    assert half.ticks_per_quarter == 480


@given(pieces(), st.sampled_from([1, 4, (4, 3), (8, 6)]))
@settings(max_examples=60)
def test_what_is_on_the_grid_stays_there(notes: NoteSequence, grid: Any) -> None:
    notes = replace(notes, ticks_per_quarter=480)
    snapped = snap(notes, grid)
    assert snap(snapped, grid).start_tick.tolist() == snapped.start_tick.tolist()
    assert snapped.tempo.tolist() == notes.tempo.tolist()


def test_a_short_note_keeps_its_length() -> None:
    assert rows(snap(NoteSequence.from_columns([110], [125], [60]), 4)) == [(120, 135, 60)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strength": 1.5}, "strength 1.5"),
        ({"steps_per_quarter": 0}, "0 steps"),
        ({"steps_per_quarter": ()}, "expected 1"),
    ],
)
def test_grids_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        snap(piece((0, 1, 60), ticks_per_quarter=480), **options)


# parts


def mapped() -> NoteSequence:
    """Ten quarters with changing maps: 3/4 to 4/4 at quarter 6, tempos and keys at 3 and 6, pedals."""
    return piece(
        *((step, step + 1, 60 + step) for step in range(10)),
        (5, 8, 40),
        tempos=[(0, 500_000), (3, 250_000), (6, 1_000_000)],
        time_signatures=[TimeSignature(0, 3, 4), TimeSignature(3, 3, 4), TimeSignature(6, 4, 4)],
        key_signatures=[KeySignature(0, 0), KeySignature(6, 2)],
        pedals=[[0, 4, 7]],
    )


def test_an_excerpt_has_the_maps_that_hold_in_it() -> None:
    part = excerpt(mapped(), 4, 8)
    assert rows(part) == [(0, 1, 64), (1, 4, 40), (1, 2, 65), (2, 3, 66), (3, 4, 67)]
    assert list(zip(part.tempo_tick.tolist(), part.tempo.tolist(), strict=True)) == [(0, 250_000), (2, 1_000_000)]
    assert part.time_signatures == (TimeSignature(0, 3, 4), TimeSignature(2, 4, 4))
    assert part.key_signatures == (KeySignature(0, 0), KeySignature(2, 2))
    assert part.pedals.tolist() == [[0, 0, 3]]


@given(pieces(), st.integers(0, 2000), st.integers(1, 3000))
@settings(max_examples=60)
def test_notes_of_an_excerpt_sound_as_long_after_its_beginning_as_in_the_piece(
    notes: NoteSequence, start: int, length: int
) -> None:
    part = excerpt(notes, start, start + length)
    inside = notes.select((notes.start_tick >= start) & (notes.start_tick < start + length))
    begin = float(notes.seconds(start))
    np.testing.assert_allclose(np.sort(part.start), np.sort(inside.start - begin), atol=1e-9)
    assert len(part) == len(inside)


def test_an_excerpt_needs_a_length() -> None:
    with pytest.raises(ValueError, match="an excerpt from tick 3 to 3"):
        excerpt(mapped(), 3, 3)


def test_a_piece_is_split_where_its_metre_changes_and_only_there() -> None:
    first, second = split_at_time_signatures(mapped())
    assert rows(first)[-2:] == [(5, 6, 40), (5, 6, 65)]
    assert first.time_signatures == (TimeSignature(0, 3, 4), TimeSignature(3, 3, 4))
    assert rows(second) == [(0, 1, 66), (1, 2, 67), (2, 3, 68), (3, 4, 69)]
    assert second.time_signatures == (TimeSignature(0, 4, 4),)
    assert second.key_signatures == (KeySignature(0, 2),)
    assert second.tempo.tolist() == [1_000_000]


def test_common_time_holds_before_the_first_signature() -> None:
    notes = piece((0, 1, 60), (5, 6, 62), time_signatures=[TimeSignature(4, 4, 4)])
    assert split_at_time_signatures(notes) == [notes]
    changing = replace(notes, time_signatures=(TimeSignature(4, 3, 4),))
    assert [len(part) for part in split_at_time_signatures(changing)] == [1, 1]
    assert split_at_time_signatures(notes.select(notes.pitch > 100)) == []


@given(pieces())
@settings(max_examples=40)
def test_splitting_loses_no_note(notes: NoteSequence) -> None:
    for parts in (split_at_time_signatures(notes), split_at_silence(notes, 0.5)):
        assert sorted(pitch for part in parts for pitch in part.pitch.tolist()) == sorted(notes.pitch.tolist())
        assert all(len(part) for part in parts)


def test_a_piece_is_split_at_silence_and_parts_begin_with_a_bar() -> None:
    # bars of four quarters, half a second each; five seconds of silence before quarter 13, one and a half behind it
    notes = piece((0, 3, 60), (13, 14, 62), (17, 18, 64))
    first, second = split_at_silence(notes, 4.0)
    assert rows(first) == [(0, 3, 60)]
    assert rows(second) == [(1, 2, 62), (5, 6, 64)]
    assert [len(part) for part in split_at_silence(notes, 1.5)] == [1, 1, 1]
    assert len(split_at_silence(notes, 6.0)) == 1


def test_a_part_does_not_reach_back_into_the_one_before() -> None:
    notes = piece((0, 9, 60), (11, 12, 62))
    first, second = split_at_silence(notes, 1.0)
    assert rows(first) == [(0, 9, 60)]
    assert rows(second) == [(2, 3, 62)]


def test_no_silence_is_no_silence() -> None:
    with pytest.raises(ValueError, match="a silence of 0 seconds"):
        split_at_silence(mapped(), 0)


def test_tracks_are_chosen_by_number_or_name_in_the_order_given() -> None:
    notes = NoteSequence.from_columns(
        [0, 0, 0], [480] * 3, [60, 48, 72], track=[0, 1, 2], track_names=("Piano", "Bass", "Flute "),
        pedals=[[0, 0, 10], [2, 0, 20]],
    )  # fmt: skip
    chosen = select_tracks(notes, ["flute", 0])
    assert chosen.track_names == ("Flute ", "Piano")
    assert sorted(zip(chosen.track.tolist(), chosen.pitch.tolist(), strict=True)) == [(0, 72), (1, 60)]
    assert chosen.pedals.tolist() == [[0, 0, 20], [1, 0, 10]]


@pytest.mark.parametrize(
    ("tracks", "message"),
    [
        (["basse"], "no track is called 'basse'; did you mean bass"),
        ([2], r"no track 2, expected 0\.\.1"),
        ([0, "bass"], "name one track twice"),
        ([], "got no track"),
    ],
)
def test_tracks_that_are_not_there_are_refused(tracks: list[int | str], message: str) -> None:
    notes = piece((0, 1, 60), track_names=("Bass", "Drums"))
    with pytest.raises(ValueError, match=message):
        select_tracks(notes, tracks)


def test_one_name_of_two_tracks_is_not_enough() -> None:
    with pytest.raises(ValueError, match=r"tracks 0, 1 are all called 'Pad'; choose by number"):
        select_tracks(piece((0, 1, 60), track_names=("Pad", "pad")), ["Pad"])


# skyline


def test_the_skyline_is_the_highest_note_at_each_time() -> None:
    notes = piece((0, 8, 60), (2, 4, 72), (3, 6, 65), (4, 6, 55), (8, 10, 50), (8, 12, 50), (8, 9, 40))
    assert rows(skyline(notes)) == [(0, 2, 60), (2, 4, 72), (4, 6, 55), (8, 12, 50)]


def test_a_repeated_note_stays_apart_and_drums_are_no_melody() -> None:
    notes = NoteSequence.from_columns(
        [0, 2, 0], [4, 4, 4], [60, 60, 99], is_drum=[False, False, True], ticks_per_quarter=1
    )
    assert rows(skyline(notes)) == [(0, 2, 60), (2, 4, 60)]


@given(pieces())
@settings(max_examples=60)
def test_a_skyline_is_one_voice_and_its_own_skyline(notes: NoteSequence) -> None:
    melody = skyline(notes)
    assert (melody.start_tick[1:] >= melody.end_tick[:-1]).all()
    assert skyline(melody) == melody
    assert melody.tempo.tolist() == notes.tempo.tolist()


# chords


@pytest.mark.parametrize(
    ("pitches", "name"),
    [
        ((48, 52, 55), "C"),
        ((52, 55, 60), "C/E"),
        ((57, 60, 64), "Am"),
        ((43, 47, 50, 53), "G7"),
        ((47, 50, 53, 55), "G7/B"),
        ((48, 52, 55, 59), "Cmaj7"),
        ((48, 52, 55, 57), "C6"),
        ((45, 48, 52, 55), "Am7"),
        ((47, 50, 53, 57), "Bm7b5"),
        ((47, 50, 53, 56), "Bdim7"),
        ((47, 50, 53), "Bdim"),
        ((48, 52, 56), "Caug"),
        ((48, 53, 55), "Csus4"),
        ((48, 50, 55), "Csus2"),
        ((42, 49), "F#5"),
        ((48,), ""),
        ((48, 60, 72), ""),
        ((60, 61, 62, 63), ""),
    ],
)
def test_chords_have_their_names(pitches: tuple[int, ...], name: str) -> None:
    assert [found.name for found in chords(piece(*chord(0, 4, *pitches)))] == [name]


@pytest.mark.parametrize("root", range(12))
def test_chords_move_with_the_piece(root: int) -> None:
    names = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
    assert chords(piece(*chord(0, 4, 48 + root, 52 + root, 55 + root, 58 + root)))[0].name == f"{names[root]}7"


def test_per_bar_a_passing_tone_makes_no_other_chord() -> None:
    notes = piece(
        *chord(0, 16, 48, 52, 55), (6, 7, 57), *chord(16, 28, 53, 57, 60), ticks_per_quarter=4,
        time_signatures=[TimeSignature(0, 4, 4), TimeSignature(16, 3, 4)],
    )  # fmt: skip
    found = chords(notes)
    assert [(bar.start, bar.end, bar.name) for bar in found] == [(0, 16, "C"), (16, 28, "F")]


def test_per_change_a_name_lasts_until_another() -> None:
    notes = piece(*chord(0, 2, 48, 52, 55), *chord(2, 4, 48, 52, 55, 60), *chord(6, 8, 43, 47, 50, 53))
    found = chords(notes, per="change")
    assert [(part.start, part.end, part.name) for part in found] == [(0, 4, "C"), (4, 6, ""), (6, 8, "G7")]


def test_drums_are_in_no_chord_and_nothing_has_none() -> None:
    drums = NoteSequence.from_columns([0] * 3, [4] * 3, [48, 52, 55], is_drum=True, ticks_per_quarter=1)
    assert chords(drums) == []
    assert chords(drums, per="change") == []
    assert chord_name(np.zeros(12), 0) == ""
    with pytest.raises(ValueError, match="chords per 'beat', expected 'bar' or 'change'"):
        chords(drums, per="beat")  # type: ignore[arg-type]
