"""Bars and beats: where time signatures put them."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest

from seqaudio.notes import NoteSequence, TimeSignature
from seqaudio.notes.bars import bars, end_of_last_bar


def piece(end: int, *metres: TimeSignature, resolution: int = 480, start: int = 0) -> NoteSequence:
    return NoteSequence.from_columns([start], [end], [60], ticks_per_quarter=resolution, time_signatures=metres)


def borders(notes: NoteSequence) -> list[tuple[Fraction, Fraction]]:
    return [(bar.start, bar.end) for bar in bars(notes)]


def test_without_a_metre_bars_have_four_quarters() -> None:
    assert borders(piece(1921)) == [(0, 1920), (1920, 3840)]
    assert borders(piece(1920)) == [(0, 1920)]


def test_a_change_of_metre_begins_a_bar_even_where_the_one_before_is_not_full() -> None:
    notes = piece(3000, TimeSignature(0, 4, 4), TimeSignature(960, 3, 4))
    assert borders(notes) == [(0, 960), (960, 2400), (2400, 3840)]


def test_common_time_holds_before_the_first_metre() -> None:
    assert borders(piece(2000, TimeSignature(1920, 2, 4))) == [(0, 1920), (1920, 2880)]


def test_a_metre_behind_the_last_note_makes_no_bar() -> None:
    assert borders(piece(480, TimeSignature(0, 3, 4), TimeSignature(14400, 2, 4))) == [(0, 1440)]


@pytest.mark.parametrize(
    ("metre", "beats"),
    [((4, 4), 4), ((3, 4), 3), ((2, 2), 2), ((6, 8), 2), ((9, 8), 3), ((12, 16), 4), ((3, 8), 3), ((7, 8), 7)],
)
def test_beats_follow_the_denominator_and_go_by_threes_in_compound_time(metre: tuple[int, int], beats: int) -> None:
    bar = next(bars(piece(100, TimeSignature(0, *metre))))
    places = list(bar.beats)
    assert len(places) == beats
    assert places[0] == 0
    assert all(later - earlier == bar.end / beats for earlier, later in pairwise(places))


def test_a_bar_line_between_two_ticks_is_exact_and_the_end_is_rounded_up() -> None:
    notes = piece(4, TimeSignature(0, 3, 8), resolution=1)
    assert borders(notes) == [(0, Fraction(3, 2)), (Fraction(3, 2), 3), (3, Fraction(9, 2))]
    assert end_of_last_bar(notes) == 5


def test_a_piece_without_notes_has_no_bars_and_ends_at_once() -> None:
    nothing = NoteSequence.from_columns([], [], [])
    assert list(bars(nothing)) == []
    assert end_of_last_bar(nothing) == 0


def test_of_two_metres_at_one_tick_the_later_holds() -> None:
    assert borders(piece(10, TimeSignature(0, 4, 4), TimeSignature(0, 2, 4))) == [(0, 960)]
