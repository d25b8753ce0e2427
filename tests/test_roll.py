"""Piano rolls: zeros and ones, exact both ways, repeated notes apart, nothing repaired."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from test_representations import pieces, rows

from seqaudio.errors import OptionError
from seqaudio.notes import NoteSequence
from seqaudio.tokens import RollRepresentation, build_representation

VARIANTS = [RollRepresentation(), RollRepresentation(repeats="joined"), RollRepresentation(12, "apart", 1, 400_000)]
every_variant = pytest.mark.parametrize("roll", VARIANTS, ids=["apart", "joined", "triplets"])


def key(frames: np.ndarray, pitch: int = 60) -> list[int]:
    """What one key does."""
    return frames[:, pitch - 21].tolist()


def struck(*steps: tuple[int, int]) -> NoteSequence:
    """Notes of middle C from step to step, in sixteenths."""
    start, end = np.array(steps).T
    return NoteSequence.from_columns(start, end, 60, ticks_per_quarter=4)


@every_variant
def test_decoding_gives_back_what_was_quantised(roll: RollRepresentation) -> None:
    @given(pieces())
    @settings(max_examples=80)
    def check(notes: NoteSequence) -> None:
        quantised, frames = roll.quantise(notes), roll.encode(notes)
        assert frames.dtype == np.uint8
        assert frames.shape[1] == 88
        assert set(np.unique(frames)) <= {0, 1}
        assert roll.decode(frames) == quantised
        assert roll.quantise(quantised) == quantised
        np.testing.assert_array_equal(roll.encode(quantised), frames)

    check()


@pytest.mark.parametrize(
    ("notes", "apart", "joined"),
    [
        (struck((0, 2)), [1, 1, 1, 1], [1, 1]),
        (struck((0, 1), (1, 2)), [1, 0, 1, 1], [1, 1]),
        (struck((0, 2), (2, 3), (3, 5)), [1, 1, 1, 0, 1, 0, 1, 1, 1, 1], [1] * 5),
        (struck((0, 1), (2, 3)), [1, 1, 0, 0, 1, 1], [1, 0, 1]),
        (struck((1, 2)), [0, 0, 1, 1], [0, 1]),
    ],
)
def test_repeated_notes_in_literal_frames(notes: NoteSequence, apart: list[int], joined: list[int]) -> None:
    assert key(RollRepresentation().encode(notes)) == apart
    assert key(RollRepresentation(repeats="joined").encode(notes)) == joined
    assert rows(RollRepresentation().decode(RollRepresentation().encode(notes))) == rows(notes)


def test_columns_are_the_keys_of_a_piano_and_what_lies_beyond_is_left_out() -> None:
    notes = NoteSequence.from_columns([0] * 5, [480] * 5, [20, 21, 60, 108, 109])
    frames = RollRepresentation(steps_per_quarter=1).encode(notes)
    assert np.flatnonzero(frames[0]).tolist() == [0, 39, 87]
    assert RollRepresentation().quantise(notes).pitch.tolist() == [21, 60, 108]


def test_nothing_and_drums_alone_are_the_empty_roll() -> None:
    drums = NoteSequence.from_columns([0], [480], [36], is_drum=True)
    for roll in VARIANTS:
        assert roll.encode(drums).shape == (0, 88)
        assert roll.decode(np.zeros((0, 88), np.uint8)) == roll.quantise(drums)


def test_an_array_of_truths_is_a_roll() -> None:
    frames = RollRepresentation().encode(struck((0, 2)))
    assert RollRepresentation().decode(frames.astype(bool)) == RollRepresentation().decode(frames)


def roll_of(*values: int) -> np.ndarray:
    frames = np.zeros((len(values), 88), dtype=np.uint8)
    frames[:, 39] = values
    return frames


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (np.zeros((4, 87), np.uint8), r"a roll of uint8 \[4, 87\], expected \[T, 88\]"),
        (np.zeros((4, 88)), "a roll of float64"),
        (roll_of(1, 2), "frame 1: pitch 60 is 2, expected 0 or 1"),
        (roll_of(0, 1), "frame 1: pitch 60 begins in the second frame of a step"),
        (roll_of(1, 0, 0, 0), "frame 2: pitch 60 went silent within a step, so it must begin again here"),
        (roll_of(1, 1, 1), "the roll stops at frame 3: the last step is incomplete"),
        (roll_of(1, 0), "the roll stops at frame 2: pitch 60 went silent within a step"),
        (roll_of(1, 1, 0, 0), "the roll stops at frame 4: a roll must not end with a silent step"),
    ],
)
def test_rolls_that_are_never_encoded_are_refused(frames: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RollRepresentation().decode(frames)


@every_variant
@pytest.mark.parametrize("seed", range(8))
def test_every_legal_roll_is_the_encoding_of_its_notes(roll: RollRepresentation, seed: int) -> None:
    draw = np.random.default_rng(seed)
    steps = int(draw.integers(1, 20))
    length = steps * roll.frames_per_step
    grammar = roll.grammar()
    frames = []
    for place in range(length):
        silent, sounds = grammar.legal(length - place)
        frame = np.where(silent & sounds, draw.random(88) < 0.3, sounds).astype(np.uint8)
        if place // roll.frames_per_step == steps - 1:
            frame[87] = sounds[87] or frame[87]
        grammar.push(frame)
        frames.append(frame)
    np.testing.assert_array_equal(roll.encode(roll.decode(np.array(frames))), frames)


@every_variant
def test_legal_keys_are_those_that_can_be_pushed(roll: RollRepresentation) -> None:
    draw = np.random.default_rng(5)
    grammar = roll.grammar()
    for _ in range(12):
        legal = grammar.legal()
        usual = np.where(legal[0], 0, 1).astype(np.uint8)
        for pitch in range(0, 88, 7):
            for value in (0, 1):
                frame = usual.copy()
                frame[pitch] = value
                attempt = copy.deepcopy(grammar)
                if legal[value, pitch]:
                    attempt.push(frame)
                else:
                    with pytest.raises(ValueError, match=f"pitch {21 + pitch}"):
                        attempt.push(frame)
        grammar.push(np.where(legal[0] & legal[1], draw.random(88) < 0.5, legal[1]).astype(np.uint8))


def test_a_step_is_only_begun_where_there_is_room_for_all_of_it() -> None:
    grammar = RollRepresentation().grammar()
    assert not grammar.legal(1).any()
    assert grammar.legal(2).all()
    grammar.push(roll_of(1)[0])
    assert grammar.legal(3)[0, 39]
    assert not grammar.legal(1)[0, 39]


@pytest.mark.parametrize(
    ("given_settings", "message"),
    [
        ({"steps_per_quarter": 0}, "0 steps per quarter"),
        ({"repeats": "kept"}, "repeats 'kept', expected 'apart' or 'joined'"),
        ({"velocity": 128}, "velocity 128"),
        ({"tempo": 0}, "tempo 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(given_settings: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        build_representation("roll", given_settings)


def test_a_roll_has_no_vocabulary_and_a_kind_of_its_own() -> None:
    assert RollRepresentation().vocabulary is None
    assert RollRepresentation().kind == "roll"
    assert (
        build_representation("roll", RollRepresentation(repeats="joined").settings()).settings()["repeats"] == "joined"
    )
