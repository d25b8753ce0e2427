"""The longest run of beats that a piece shares with a training piece, against copies of known length."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from seqaudio.evaluation.copying import Copy, CopySearch, longest_copy
from seqaudio.notes import NoteSequence, quantise

PITCHES = np.arange(48, 84)


def made_up(seed: int, beats: int = 24, parts: int = 3) -> NoteSequence:
    """Chords of quarters and eighths, a step of each beat drawn anew, so that no two beats are alike by chance."""
    draw = np.random.default_rng(seed)
    rows = []
    for beat in range(beats):
        for part in range(parts):
            halves = [0, 2] if draw.random() < 0.5 else [0]
            for half in halves:
                start = 4 * beat + half
                rows.append((start, start + 4 // len(halves), int(draw.choice(PITCHES)), part))
    start, end, pitch, track = np.array(rows).T
    return NoteSequence.from_columns(start, end, pitch, track=track, ticks_per_quarter=4)


def moved(notes: NoteSequence, beats: float = 0, semitones: int = 0) -> NoteSequence:
    ticks = int(beats * notes.ticks_per_quarter)
    return notes.with_columns(
        start_tick=notes.start_tick + ticks,
        end_tick=notes.end_tick + ticks,
        pitch=notes.pitch + np.int16(semitones),
    )


def part_of(notes: NoteSequence, first: int, last: int) -> NoteSequence:
    """The notes that begin in beats first .. last - 1, moved to the beginning."""
    beat = notes.start_tick // notes.ticks_per_quarter
    return moved(notes.select((beat >= first) & (beat < last)), -first)


def together(*pieces: NoteSequence) -> NoteSequence:
    columns = ("start_tick", "end_tick", "pitch", "velocity", "program", "track", "is_drum")
    joined: dict[str, Any] = {name: np.concatenate([getattr(piece, name) for piece in pieces]) for name in columns}
    return NoteSequence.from_columns(*joined.values(), ticks_per_quarter=4)


TRAINING = [made_up(seed) for seed in range(12)]


@pytest.mark.parametrize("semitones", [-5, 0, 7])
def test_a_copied_piece_is_found_whole_in_any_key(semitones: int) -> None:
    assert longest_copy(moved(TRAINING[7], semitones=semitones), TRAINING) == Copy(24, 7, semitones, 0, 0.0)


@pytest.mark.parametrize(("first", "last"), [(0, 3), (5, 14), (20, 24)])
def test_a_copied_passage_is_found_with_its_length_place_and_key(first: int, last: int) -> None:
    passage = moved(part_of(TRAINING[4], first, last), 10, 3)
    piece = together(made_up(100, beats=10), passage, moved(made_up(101, beats=6), 10 + last - first))
    assert longest_copy(piece, TRAINING) == Copy(last - first, 4, 3, 10, float(first))


def test_the_longest_of_several_copies_counts_and_of_equals_the_first() -> None:
    short, long = part_of(TRAINING[9], 0, 4), part_of(TRAINING[1], 8, 15)
    assert longest_copy(together(short, moved(long, 4)), TRAINING) == Copy(7, 1, 0, 4, 8.0)
    equal = part_of(TRAINING[1], 8, 12)
    assert longest_copy(together(equal, moved(short, 4)), TRAINING) == Copy(4, 1, 0, 0, 8.0)


@pytest.mark.parametrize("column", ["pitch", "start_tick", "end_tick"])
def test_one_changed_note_ends_a_copy(column: str) -> None:
    piece = TRAINING[3]
    changed = getattr(piece, column).copy()
    # the last note of beat 10; a start or an end moves by a sixteenth
    note = int(np.flatnonzero(piece.start_tick // 4 == 10)[-1])
    changed[note] += 1 if column != "start_tick" else -1
    found = longest_copy(piece.with_columns(**{column: changed}), TRAINING)
    assert (found.beats, found.piece, found.start) == (13, 3, 11)


@pytest.mark.parametrize("change", ["left out", "added"])
def test_a_note_less_or_more_ends_a_copy(change: str) -> None:
    piece = TRAINING[3]
    here = piece.start_tick // 4 == 10
    note = np.arange(len(piece)) == np.flatnonzero(here)[0]
    other = piece.select(~note) if change == "left out" else together(piece, moved(piece.select(note), 0, 1))
    found = longest_copy(other, TRAINING)
    assert (found.beats, found.start) == (13, 11)


def test_a_change_of_key_ends_a_copy() -> None:
    halves = together(part_of(TRAINING[5], 0, 14), moved(part_of(TRAINING[5], 14, 24), 14, 2))
    assert longest_copy(halves, TRAINING) == Copy(14, 5, 0, 0, 0.0)


def test_a_copy_does_not_pass_from_one_training_piece_to_the_next() -> None:
    piece = together(part_of(TRAINING[0], 14, 24), moved(part_of(TRAINING[1], 0, 9), 10))
    assert longest_copy(piece, TRAINING).beats == 10


@pytest.mark.parametrize("late", [0.25, 0.5, 0.75])
def test_a_copy_may_begin_between_the_beats_of_its_original(late: float) -> None:
    training = [made_up(50), moved(TRAINING[2], late)]
    assert longest_copy(TRAINING[2], training) == Copy(24, 1, 0, 0, late)
    # a piece that lies between the beats itself: of its first and last beats only a part is copied
    found = longest_copy(training[1], [TRAINING[2]])
    assert (found.beats, found.original_start, found.start) == (25, -late, 0)


def test_parts_velocity_and_resolution_make_no_difference() -> None:
    piece = TRAINING[6]
    other = piece.rescaled(480).with_columns(track=2 - piece.track, velocity=np.full(len(piece), 20), program=40)
    assert longest_copy(other, TRAINING) == Copy(24, 6, 0, 0, 0.0)


def test_percussion_is_left_out() -> None:
    drums = NoteSequence.from_columns([0, 5, 9], [1, 6, 10], [36, 38, 36], is_drum=True, ticks_per_quarter=4)
    assert longest_copy(together(TRAINING[6], drums), TRAINING).beats == 24
    assert longest_copy(drums, [drums]).beats == 0


def test_beats_through_which_notes_are_held_belong_to_a_copy() -> None:
    held = NoteSequence.from_columns([0, 0, 16], [12, 16, 20], [60, 64, 60], ticks_per_quarter=4)
    assert longest_copy(held, [held]) == Copy(5, 0, 0, 0, 0.0)
    shorter = NoteSequence.from_columns([0, 0, 16], [12, 12, 20], [60, 64, 60], ticks_per_quarter=4)
    assert longest_copy(shorter, [held]).beats == 1


def test_silence_alone_is_no_copy() -> None:
    late = moved(NoteSequence.from_columns([0], [4], [60], ticks_per_quarter=4), 8)
    other = moved(NoteSequence.from_columns([0], [2], [60], ticks_per_quarter=4), 8)
    assert longest_copy(late, [other]).beats == 0
    assert longest_copy(late, [late]) == Copy(1, 0, 0, 8, 8.0)


def test_unlike_pieces_have_no_copy() -> None:
    assert longest_copy(made_up(200, parts=5), TRAINING).beats == 0
    nothing = NoteSequence.from_columns([], [], [])
    assert longest_copy(nothing, TRAINING).beats == 0
    assert longest_copy(TRAINING[0], [nothing]).beats == 0


def test_a_training_set_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="got no training pieces"):
        CopySearch([])


def test_the_search_agrees_with_a_plain_one() -> None:
    """Against every pair of runs, compared note by note, on pieces of few pitches, where copies are common."""
    rng = np.random.default_rng(3)

    def simple(beats: int) -> NoteSequence:
        start = np.flatnonzero(rng.random(2 * beats) < 0.7) * 2
        length = rng.choice([2, 4], size=len(start))
        return quantise(NoteSequence.from_columns(start, start + length, 60 + rng.integers(0, 3, len(start)),
                        ticks_per_quarter=4), 4)  # fmt: skip

    for _ in range(20):
        training = [simple(8) for _ in range(3)]
        piece = simple(8)
        assert longest_copy(piece, training).beats == plain_search(piece, training)


def plain_search(piece: NoteSequence, training: list[NoteSequence]) -> int:
    def begun(notes: NoteSequence, first: int, beats: int) -> list[tuple[int, int, int]]:
        columns = zip(notes.start_tick.tolist(), notes.end_tick.tolist(), notes.pitch.tolist(), strict=True)
        return sorted((a - first, b - a, p) for a, b, p in columns if first <= a < first + 4 * beats)

    def ends(notes: NoteSequence) -> int:
        return int(notes.end_tick.max(initial=0))

    def alike(one: list[tuple[int, int, int]], two: list[tuple[int, int, int]]) -> bool:
        if len(one) != len(two):
            return False
        apart = {(a[0] - b[0], a[1] - b[1], a[2] - b[2]) for a, b in zip(one, two, strict=True)}
        return len(apart) == 1 and apart.pop()[:2] == (0, 0)

    best = 0
    for other in training:
        for first in range(0, ends(piece), 4):
            if not begun(piece, first, 1):
                continue
            for second in range(-3, ends(other)):
                for beats in range(best + 1, 9):
                    inside = first + 4 * (beats - 1) < ends(piece) and second + 4 * (beats - 1) < ends(other)
                    if inside and alike(begun(piece, first, beats), begun(other, second, beats)):
                        best = beats
    return best


def test_a_piece_is_searched_in_hundreds_within_seconds() -> None:
    training = [made_up(seed, beats=60, parts=4) for seed in range(300, 400)]
    begin = time.perf_counter()
    search = CopySearch(training)
    assert search.longest(training[80]).piece == 80
    assert time.perf_counter() - begin < 5
