"""Notes as columns, their times, and their place on a grid."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqaudio.notes import KeySignature, NoteSequence, TimeSignature, quantise, resolve_overlaps

COLUMNS = ("start_tick", "end_tick", "pitch", "velocity", "program", "track", "is_drum")
TEMPOS = st.lists(st.tuples(st.integers(0, 5000), st.integers(1, 0xFFFFFF)), max_size=5)


def rows(notes: NoteSequence) -> list[tuple[int, ...]]:
    """(start, end, pitch) of each note."""
    return list(zip(notes.start_tick.tolist(), notes.end_tick.tolist(), notes.pitch.tolist(), strict=True))


@st.composite
def pieces(draw: st.DrawFn) -> NoteSequence:
    """Any notes: zero lengths, unisons, overlaps, three tracks, drums, several tempos."""
    note = st.tuples(
        st.integers(0, 4000),
        st.integers(0, 900),
        st.sampled_from([0, 1, 60, 61, 127]) | st.integers(0, 127),
        st.integers(1, 127),
        st.integers(0, 127),
        st.integers(0, 2),
        st.booleans(),
    )
    start, length, *rest = np.array(draw(st.lists(note, max_size=25)), dtype=np.int64).reshape(-1, 7).T
    return NoteSequence.from_columns(
        start,
        start + length,
        *rest[:-1],
        rest[-1].astype(bool),
        ticks_per_quarter=draw(st.sampled_from([1, 24, 96, 220, 480, 1024])),
        tempos=draw(TEMPOS),
        track_names=("right", "left", ""),
    )


def test_columns_come_sorted_whatever_their_order() -> None:
    notes = NoteSequence.from_columns([10, 0, 0, 0], [20, 9, 9, 5], [60, 67, 64, 64])
    assert rows(notes) == [(0, 5, 64), (0, 9, 64), (0, 9, 67), (10, 20, 60)]


def test_equal_notes_of_two_tracks_are_sorted_by_track() -> None:
    notes = NoteSequence.from_columns([0, 0], [9, 9], [60, 60], velocity=[1, 2], track=[1, 0])
    assert notes.track.tolist() == [0, 1]
    assert notes.velocity.tolist() == [2, 1]


def test_scalars_are_broadcast_to_all_notes() -> None:
    notes = NoteSequence.from_columns([0, 1, 2], [1, 2, 3], [60, 61, 62], velocity=90, track=1)
    assert notes.velocity.tolist() == [90, 90, 90]
    assert notes.track_names == ("", "")


def test_columns_cannot_be_written_to() -> None:
    notes = NoteSequence.from_columns([0], [1], [60])
    with pytest.raises(ValueError, match="read-only"):
        notes.pitch[0] = 61


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pitch": [60, 128]}, "pitch has values in 60..128, expected 0..127"),
        ({"pitch": [-1, 60]}, "pitch has values in -1..60"),
        ({"pitch": [65596, 60]}, "pitch has values in 60..65596"),
        ({"velocity": 0}, "velocity has values in 0..0, expected 1..127"),
        ({"velocity": 128}, "velocity has values in 128..128"),
        ({"program": 128}, "program has values in 128..128"),
        ({"track": [0, -1]}, "track has values in -1..0"),
        ({"track": 1, "track_names": ["only"]}, "track has values in 1..1, expected 0..0"),
        ({"start_tick": [-1, 0]}, "start_tick has values in -1..0"),
        ({"start_tick": [0, 30]}, "ends before it starts"),
        ({"start_tick": [0.0, 0.5]}, "start_tick is float64, expected int64"),
        ({"is_drum": [0, 1]}, "is_drum is int64, expected bool"),
        ({"pitch": [60, 61, 62]}, "pitch has 3 values, start_tick has 2"),
        ({"end_tick": [20, 2**38 + 1]}, "end_tick has values in"),
        ({"ticks_per_quarter": 0}, "0 ticks per quarter, expected 1..32767"),
        ({"ticks_per_quarter": 32768}, "32768 ticks per quarter"),
        ({"tempos": [(0, 0)]}, "tempo .* in 0..0, expected 1..16777215"),
        ({"tempos": [(0, 2**24)]}, "expected 1..16777215"),
        ({"tempos": [(-1, 500_000)]}, "must begin at tick 0"),
    ],
)
def test_what_no_piece_can_have_is_refused(changes: dict[str, Any], message: str) -> None:
    fine: dict[str, Any] = {"start_tick": [0, 10], "end_tick": [20, 20], "pitch": [60, 62]}
    with pytest.raises(ValueError, match=message):
        NoteSequence.from_columns(**(fine | changes))


def test_bounds_themselves_are_accepted() -> None:
    notes = NoteSequence.from_columns([0, 0], [0, 2**38], [0, 127], velocity=[1, 127], program=[0, 127])
    assert notes.pitch.tolist() == [0, 127]


def test_constructor_refuses_notes_out_of_order() -> None:
    notes = NoteSequence.from_columns([0, 10], [5, 15], [60, 60])
    backwards = {name: getattr(notes, name)[::-1] for name in COLUMNS}
    with pytest.raises(ValueError, match="not sorted"):
        replace(notes, **backwards)


def test_constructor_refuses_columns_of_another_type() -> None:
    notes = NoteSequence.from_columns([0], [5], [60])
    with pytest.raises(ValueError, match=r"pitch is int64 \[1\], expected int16 \[1\]"):
        replace(notes, pitch=np.array([60]))
    with pytest.raises(ValueError, match="velocity is list, expected int16"):
        replace(notes, velocity=[64])


@pytest.mark.parametrize(
    "signature",
    [
        (TimeSignature, 0, 0, 4),
        (TimeSignature, 0, 256, 4),
        (TimeSignature, 0, 3, 6),
        (TimeSignature, -1, 3, 4),
        (KeySignature, 0, 8),
        (KeySignature, 0, -8),
        (KeySignature, -1, 0),
    ],
)
def test_signatures_that_no_bar_or_key_has_are_refused(signature: tuple[Any, ...]) -> None:
    kind, *values = signature
    with pytest.raises(ValueError, match="time signature" if kind is TimeSignature else "key signature"):
        kind(*values)


def test_without_a_tempo_a_quarter_lasts_half_a_second() -> None:
    notes = NoteSequence.from_columns([480], [960], [60])
    assert notes.start.tolist() == [0.5]
    assert notes.duration == 1.0


def test_of_two_tempos_at_one_tick_the_later_holds() -> None:
    notes = NoteSequence.from_columns([480], [480], [60], tempos=[(0, 1), (0, 1_000_000)])
    assert notes.duration == 1.0


def test_a_tempo_that_repeats_the_one_before_is_left_out() -> None:
    notes = NoteSequence.from_columns([0], [480], [60], tempos=[(0, 400_000), (240, 400_000), (480, 300_000)])
    assert notes.tempo_tick.tolist() == [0, 480]


def test_default_tempo_holds_before_the_first() -> None:
    notes = NoteSequence.from_columns([0], [1440], [60], tempos=[(960, 1_000_000)])
    assert notes.seconds([0, 480, 960, 1440]).tolist() == [0.0, 0.5, 1.0, 2.0]


@given(TEMPOS, st.lists(st.integers(0, 2**31), max_size=10), st.integers(1, 32767))
@settings(max_examples=100)
def test_seconds_equal_the_exact_sum(tempos: list[tuple[int, int]], ticks: list[int], resolution: int) -> None:
    notes = NoteSequence.from_columns([0], [1], [60], ticks_per_quarter=resolution, tempos=tempos)
    tempo_of = {0: 500_000} | dict(tempos)  # repeats change no sum
    for tick, found in zip(ticks, notes.seconds(np.array(ticks, dtype=np.int64)).tolist(), strict=True):
        exact = Fraction(0)
        changes = sorted(place for place in tempo_of if place <= tick)
        for place, end in zip(changes, [*changes[1:], tick], strict=True):
            exact += Fraction((end - place) * tempo_of[place], resolution * 10**6)
        assert math.isclose(found, float(exact), rel_tol=5e-16)


@pytest.mark.parametrize("ticks", [[0.5], [-1], [2**38 + 1]])
def test_seconds_of_what_is_no_tick_are_refused(ticks: list[float]) -> None:
    with pytest.raises(ValueError, match="ticks must be integers"):
        NoteSequence.from_columns([0], [1], [60]).seconds(ticks)


def test_nothing_lasts_no_time() -> None:
    nothing = NoteSequence.from_columns([], [], [])
    assert len(nothing) == 0
    assert nothing.duration == 0.0
    assert quantise(nothing, 4) == NoteSequence.from_columns([], [], [], ticks_per_quarter=4)


@pytest.mark.parametrize(
    "change",
    [
        {"velocity": 65},
        {"ticks_per_quarter": 96},
        {"tempos": [(0, 400_000)]},
        {"time_signatures": [TimeSignature(0, 3, 4)]},
        {"key_signatures": [KeySignature(0, 1)]},
        {"track_names": ["flute"]},
    ],
)
def test_sequences_differ_where_any_part_differs(change: dict[str, Any]) -> None:
    plain: dict[str, Any] = {"start_tick": [0], "end_tick": [480], "pitch": [60]}
    assert NoteSequence.from_columns(**plain) == NoteSequence.from_columns(**plain)
    assert NoteSequence.from_columns(**plain) != NoteSequence.from_columns(**(plain | change))


def test_remarks_do_not_make_a_difference() -> None:
    plain = NoteSequence.from_columns([0], [1], [60])
    assert plain == replace(plain, remarks=("a byte left out",))
    assert plain != "a piece"


def test_rescaling_is_exact_or_refused() -> None:
    notes = NoteSequence.from_columns(
        [0, 24], [24, 36], [60, 62], ticks_per_quarter=24, tempos=[(12, 400_000)], key_signatures=[KeySignature(24, 2)]
    )
    finer = notes.rescaled(480)
    assert rows(finer) == [(0, 480, 60), (480, 720, 62)]
    assert finer.tempo_tick.tolist() == [0, 240]
    assert finer.key_signatures == (KeySignature(480, 2),)
    assert finer.duration == notes.duration
    assert finer.rescaled(24) == notes
    with pytest.raises(ValueError, match="tick 36 at 24 ticks per quarter is not a whole tick at 1"):
        notes.rescaled(1)


@pytest.mark.parametrize(
    ("ticks", "steps"), [((0, 59), (0, 1)), ((59, 180), (0, 2)), ((60, 179), (1, 2)), ((120, 120), (1, 2))]
)
def test_notes_move_to_the_nearest_step_and_halves_go_up(ticks: tuple[int, int], steps: tuple[int, int]) -> None:
    start, end = ticks
    on_grid = quantise(NoteSequence.from_columns([start], [end], [60]), 4)
    assert rows(on_grid) == [(*steps, 60)]
    assert on_grid.ticks_per_quarter == 4


def test_maps_move_with_the_notes() -> None:
    notes = NoteSequence.from_columns(
        [0],
        [960],
        [60],
        tempos=[(0, 400_000), (470, 600_000)],
        time_signatures=[TimeSignature(0, 4, 4), TimeSignature(30, 3, 4), TimeSignature(950, 2, 4)],
    )
    on_grid = quantise(notes, 4)
    assert list(zip(on_grid.tempo_tick.tolist(), on_grid.tempo.tolist(), strict=True)) == [(0, 400_000), (4, 600_000)]
    assert on_grid.time_signatures == (TimeSignature(0, 3, 4), TimeSignature(8, 2, 4))


@given(pieces(), st.sampled_from([1, 4, 12, 24]))
@settings(max_examples=150)
def test_quantising_twice_changes_nothing_more(notes: NoteSequence, steps: int) -> None:
    once = quantise(notes, steps)
    assert quantise(once, steps) == once


@given(pieces())
@settings(max_examples=150)
def test_on_a_grid_equal_pitches_of_a_part_never_overlap(notes: NoteSequence) -> None:
    on_grid = quantise(notes, 4)
    sounding: dict[tuple[int, ...], int] = {}
    columns = (on_grid.track, on_grid.program, on_grid.is_drum, on_grid.pitch)
    voices = zip(*(column.tolist() for column in columns), strict=True)
    for voice, start, end in zip(voices, on_grid.start_tick.tolist(), on_grid.end_tick.tolist(), strict=True):
        assert sounding.get(voice, 0) <= start < end
        sounding[voice] = end


def test_a_repeated_note_stays_apart_from_the_first() -> None:
    notes = NoteSequence.from_columns([0, 480], [480, 960], [60, 60])
    assert rows(quantise(notes, 4)) == [(0, 4, 60), (4, 8, 60)]


def test_a_note_ends_where_the_next_of_its_pitch_begins() -> None:
    notes = NoteSequence.from_columns([0, 100, 0], [480, 200, 480], [60, 60, 61])
    assert rows(resolve_overlaps(notes)) == [(0, 100, 60), (0, 480, 61), (100, 200, 60)]


def test_of_notes_that_begin_together_the_longest_then_loudest_stays() -> None:
    notes = NoteSequence.from_columns([0, 0, 0], [100, 200, 200], [60, 60, 60], velocity=[127, 10, 20])
    resolved = resolve_overlaps(notes)
    assert rows(resolved) == [(0, 200, 60)]
    assert resolved.velocity.tolist() == [20]


def test_equal_pitches_of_different_parts_keep_their_overlap() -> None:
    notes = NoteSequence.from_columns([0, 100], [480, 200], [60, 60], track=[0, 1])
    assert resolve_overlaps(notes) == notes
    drums = NoteSequence.from_columns([0, 100], [480, 200], [60, 60], is_drum=[False, True])
    assert resolve_overlaps(drums) == drums


def test_a_grid_without_steps_is_refused() -> None:
    with pytest.raises(ValueError, match="0 steps per quarter"):
        quantise(NoteSequence.from_columns([0], [1], [60]), 0)
