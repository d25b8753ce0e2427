"""Statistics of pieces whose numbers are known by hand: scales, patterns, bars, voices."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqaudio.evaluation.music import statistics
from seqaudio.evaluation.music.measures import DISTRIBUTIONS, measure
from seqaudio.evaluation.music.voice_leading import chords_of, has_four_voices, of_chords, voice_leading
from seqaudio.notes import NoteSequence, TimeSignature
from seqaudio.notes.operations import transpose

C_MAJOR = (60, 62, 64, 65, 67, 69, 71, 72)


def line(pitches: Any, length: int = 480, **options: Any) -> NoteSequence:
    """Notes one after the other, a quarter each by default."""
    start = length * np.arange(len(pitches))
    return NoteSequence.from_columns(start, start + length, pitches, **options)


def together(*parts: NoteSequence) -> NoteSequence:
    """Parts that sound together, each on its track."""
    names = ("start_tick", "end_tick", "pitch")
    columns = [np.concatenate([getattr(part, name) for part in parts]) for name in names]
    return NoteSequence.from_columns(*columns, track=np.repeat(np.arange(len(parts)), [len(part) for part in parts]))


def voices(*chords: tuple[int, int, int, int]) -> NoteSequence:
    """Four voices in quarters, from chords of four pitches, the soprano first."""
    return together(*(line(voice) for voice in zip(*chords, strict=True)))


NOTHING = NoteSequence.from_columns([], [], [])
DRUMS = NoteSequence.from_columns([0], [480], [36], is_drum=True)


# --- scale ---


def test_a_c_major_scale_has_scale_consistency_1() -> None:
    assert statistics.scale_consistency(line(C_MAJOR)) == 1.0


def test_one_note_of_eight_outside_of_the_scale_is_an_eighth() -> None:
    assert statistics.scale_consistency(line((*C_MAJOR[:-1], 61))) == 7 / 8


def test_all_pitch_classes_give_the_least_consistency() -> None:
    assert statistics.scale_consistency(line(range(60, 72))) == pytest.approx(7 / 12)


def test_degrees_count_from_the_tonic() -> None:
    in_d = transpose(line((*C_MAJOR, 60, 64, 67, 60)), 2)
    assert statistics.degrees(in_d)[[0, 2, 4, 7]].tolist() == [4, 1, 2, 2]
    a_minor = line((69, 71, 72, 74, 76, 77, 69, 69, 76))
    assert statistics.degrees(a_minor)[0] == 3


def test_drums_count_nowhere() -> None:
    both = NoteSequence.from_columns([0, 0], [480, 960], [60, 37], is_drum=[False, True])
    assert statistics.pitch_classes(both).tolist() == [1] + 11 * [0]
    assert statistics.longest_note(both) == 1.0
    assert statistics.most_at_once(both) == 1


# --- intervals, lengths, notes at once ---


def test_intervals_are_those_of_each_track() -> None:
    assert statistics.melodic_intervals(together(line((60, 64, 62)), line((48, 36)))).tolist() == [4, -2, -12]
    assert statistics.top_intervals(together(line((60, 64, 62)), line((48, 36)))).tolist() == [4, -2]


def test_lengths_are_in_quarters() -> None:
    notes = NoteSequence.from_columns([0, 480], [480, 480 + 1440], [60, 62])
    assert statistics.note_lengths(notes).tolist() == [1.0, 3.0]
    assert statistics.longest_note(notes) == 3.0


def test_time_is_counted_by_how_many_notes_sound() -> None:
    # one note for a quarter, two for half a quarter, silence for one, one for a quarter
    notes = NoteSequence.from_columns([0, 480, 1200], [720, 720, 1680], [60, 64, 67])
    assert statistics.time_at_once(notes).tolist() == [1.0, 2.0, 0.5]
    assert statistics.notes_at_once(notes) == pytest.approx((2.0 + 2 * 0.5) / 2.5)
    assert statistics.most_at_once(notes) == 2


def test_density_is_by_bar_of_the_time_signature() -> None:
    notes = line([60] * 6, 240, time_signatures=[TimeSignature(0, 3, 4)])
    notes = NoteSequence.from_columns(
        [*notes.start_tick, 1440], [*notes.end_tick, 2880], [60] * 7, time_signatures=[TimeSignature(0, 3, 4)]
    )
    assert statistics.bar_densities(notes).tolist() == [2.0, pytest.approx(1 / 3)]


# --- patterns and bars ---


def test_a_tune_played_twice_repeats_its_patterns() -> None:
    tune = [60, 62, 65, 64, 69, 67, 60, 72, 71, 66]
    assert statistics.repeated_patterns(line(tune)) == 0.0
    # 19 intervals give 12 patterns; the last two are the first two again
    assert statistics.repeated_patterns(line(tune * 2)) == pytest.approx(2 / 12)


def test_a_repeated_pattern_may_be_in_another_key_and_rhythm() -> None:
    tune = np.array([60, 62, 65, 64, 69, 67, 60, 72, 71])
    pitches = [*tune, *(tune + 5)]
    assert statistics.repeated_patterns(line(pitches)) == pytest.approx(1 / 10)
    assert statistics.repeated_patterns(line(pitches, 240)) == pytest.approx(1 / 10)


def test_a_scale_of_half_tones_is_one_pattern_again_and_again() -> None:
    assert statistics.repeated_patterns(line(range(60, 80))) == pytest.approx(11 / 12)


def test_a_line_too_short_for_a_pattern_has_no_share() -> None:
    assert math.isnan(statistics.repeated_patterns(line(C_MAJOR)))


def test_equal_bars_are_similar_and_others_are_not() -> None:
    a, b, c = [60, 62, 64, 65], [67, 69, 71, 72], [60, 62, 71, 72]
    contents = statistics.bar_contents(line([*a, *b, *a, *b]))
    assert [statistics.bar_similarity(contents, distance) for distance in (1, 2)] == [0.0, 1.0]
    assert math.isnan(statistics.bar_similarity(contents, 4))
    # two notes of four are shared, of six in all
    assert statistics.bar_similarity(statistics.bar_contents(line([*a, *c])), 1) == pytest.approx(2 / 6)


# --- any piece ---


@st.composite
def tunes(draw: st.DrawFn) -> NoteSequence:
    count = draw(st.integers(1, 40))
    pitch = draw(st.lists(st.integers(30, 90), min_size=count, max_size=count))
    start = draw(st.lists(st.integers(0, 40), min_size=count, max_size=count))
    length = draw(st.lists(st.integers(1, 8), min_size=count, max_size=count))
    track = draw(st.lists(st.integers(0, 2), min_size=count, max_size=count))
    ends = [begin + lasts for begin, lasts in zip(start, length, strict=True)]
    return NoteSequence.from_columns(start, ends, pitch, track=track, ticks_per_quarter=4, track_names=["", "", ""])


OF_ABSOLUTE_PITCH = ("pitch", "pitch_class")


@given(tunes(), st.integers(-12, 12))
def test_a_transposition_changes_nothing_but_pitches(notes: NoteSequence, semitones: int) -> None:
    before, after = measure(notes), measure(transpose(notes, semitones))
    ties = statistics.degrees(notes), statistics.degrees(transpose(notes, semitones))
    for name in before.counts:
        # where two keys fit equally well, which of them is taken may depend on the pitches
        if name not in OF_ABSOLUTE_PITCH and not (name == "degree" and ties[0].tolist() != ties[1].tolist()):
            assert before.counts[name].tolist() == after.counts[name].tolist(), name
    assert before.numbers.keys() == after.numbers.keys()
    for name, value in before.numbers.items():
        assert after.numbers[name] == pytest.approx(value), name
    moved = np.roll(before.counts["pitch_class"], semitones)
    assert moved.tolist() == after.counts["pitch_class"].tolist()


@given(tunes())
def test_every_distribution_has_its_bins_and_counts_each_note(notes: NoteSequence) -> None:
    measured = measure(notes)
    assert measured.counts.keys() == DISTRIBUTIONS.keys()
    for name, counts in measured.counts.items():
        assert counts.shape == (len(DISTRIBUTIONS[name].bins),), name
        assert (counts >= 0).all()
    for name in ("pitch", "pitch_class", "length"):
        assert measured.counts[name].sum() == len(notes)
    for name in ("range", "scale"):
        assert measured.counts[name].sum() == 1
    for name, (value, _) in measured.numbers.items():
        assert value >= 0, name


@pytest.mark.parametrize("notes", [NOTHING, DRUMS, line([60])], ids=["nothing", "drums", "one note"])
def test_pieces_of_almost_nothing_are_measured(notes: NoteSequence) -> None:
    measured = measure(notes)
    assert "repeated" not in measured.numbers
    assert measured.numbers["notes"] == (float(len(notes.select(~notes.is_drum))), 1.0)
    assert not measured.voices


def test_extremes_fall_into_the_outer_bins() -> None:
    notes = NoteSequence.from_columns([0, 1, 2, 2], [1, 2, 2, 9600], [0, 127, 0, 1], ticks_per_quarter=480)
    counts = measure(notes).counts
    assert (counts["interval"][0], counts["interval"][-1]) == (1, 1)
    assert (counts["length"][0], counts["length"][-1]) == (3, 1)
    assert counts["range"][-1] == 1


# --- voices ---


def test_parallel_fifths_and_octaves_are_counted() -> None:
    fifths = voice_leading(voices((79, 67, 64, 48), (81, 69, 65, 50)))
    # soprano and alto an octave apart before and after; alto to bass 19 and 19: a fifth and an octave, twice
    assert (fifths.changes, fifths.parallel_octaves, fifths.parallel_fifths) == (1, 1, 2)
    clean = voice_leading(voices((72, 67, 64, 48), (71, 67, 62, 55)))
    assert (clean.parallel_octaves, clean.parallel_fifths) == (0, 0)


def test_two_voices_in_parallel_fifths_are_one_for_each_move() -> None:
    moved = voice_leading(voices((76, 64, 55, 48), (76, 64, 57, 50), (76, 64, 59, 52)))
    assert (moved.changes, moved.parallel_fifths, moved.parallel_octaves) == (2, 2, 0)


def test_fifths_in_contrary_motion_and_repeated_ones_are_none() -> None:
    contrary = voice_leading(voices((76, 71, 67, 48), (76, 71, 60, 53)))  # 19 to 7, one up and one down
    assert contrary.parallel_fifths == 0
    assert voice_leading(voices((76, 71, 55, 48), (76, 71, 55, 48))).changes == 0


def test_a_diminished_fifth_is_no_fifth() -> None:
    assert voice_leading(voices((84, 74, 54, 48), (84, 74, 57, 50))).parallel_fifths == 0


def test_hidden_octaves_need_a_leap_of_the_soprano() -> None:
    leaping = voice_leading(voices((67, 64, 60, 52), (72, 64, 60, 60)))
    assert (leaping.hidden, leaping.parallel_octaves) == (1, 0)
    stepping = voice_leading(voices((71, 67, 62, 55), (72, 67, 64, 60)))
    assert stepping.hidden == 0


def test_crossings_wide_voices_and_leaps() -> None:
    found = voice_leading(voices((72, 67, 64, 48), (65, 67, 64, 48), (84, 67, 54, 60)))
    assert found.crossings == 2  # the alto above the soprano, then the bass above the tenor
    assert found.wide == 2  # soprano and alto 17, alto and tenor 13; the bass may be far below
    assert found.leaps == 2  # the soprano by 19, the tenor by 10; the bass by an octave is none


def test_rests_are_no_motion_and_no_interval() -> None:
    notes = together(
        line((76, 77)), line((72, 72)), NoteSequence.from_columns([480], [960], [57]), line((48, 50))
    )  # fmt: skip
    found = of_chords(chords_of(notes))
    assert (found.changes, found.parallel_fifths, found.crossings) == (1, 0, 0)


def test_what_has_four_voices_is_told_from_what_has_not() -> None:
    assert has_four_voices(voices((72, 67, 64, 48), (71, 67, 62, 55)))
    assert not has_four_voices(line(C_MAJOR))
    chords = NoteSequence.from_columns([0] * 8, [480] * 8, range(60, 68), track=[0, 0, 0, 0, 1, 2, 3, 3])
    assert not has_four_voices(chords)


@given(st.lists(st.tuples(*[st.integers(36, 84)] * 4), min_size=1, max_size=12), st.integers(-12, 12))
def test_voice_leading_is_the_same_in_every_key(chords: list[tuple[int, int, int, int]], semitones: int) -> None:
    notes = voices(*chords)
    assert voice_leading(transpose(notes, semitones)) == voice_leading(notes)
