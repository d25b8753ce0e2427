"""Notes as tokens: exact both ways, canonical, and never repaired.

The tests of every variant hold for each registered representation of tokens, those of a user's own file among them.
"""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqaudio.errors import OptionError
from seqaudio.notes import NoteSequence, TimeSignature
from seqaudio.tokens import (
    REPRESENTATIONS,
    ChoraleGridRepresentation,
    MelodyRepresentation,
    MidiTokRepresentation,
    PerformanceRepresentation,
    Representation,
    TokenRepresentation,
    build_representation,
)
from seqaudio.vocabulary import BOS, EOS, PAD, Vocabulary

VARIANTS: list[TokenRepresentation] = [
    MelodyRepresentation(),
    MelodyRepresentation(steps_per_quarter=12, track="first", velocity=1, tempo=400_000),
    PerformanceRepresentation(),
    PerformanceRepresentation(clock="second"),
    PerformanceRepresentation(steps_per_quarter=2, velocity_bins=1),
    PerformanceRepresentation(clock="second", steps_per_second=8, velocity_bins=64, tempo=1_000_000),
    ChoraleGridRepresentation(),
    MidiTokRepresentation("REMI", steps_per_quarter=4, velocities=4),
    MidiTokRepresentation("TSD", steps_per_quarter=4, velocities=4),
]
OTHERS = [build_representation(name) for name in REPRESENTATIONS if name not in {variant.name for variant in VARIANTS}]
VARIANTS += [other for other in OTHERS if isinstance(other, TokenRepresentation)]


def named(representation: Representation) -> str:
    return f"{representation.name} {json.dumps(representation.settings())}"


every_variant = pytest.mark.parametrize("representation", VARIANTS, ids=named)


@st.composite
def pieces(draw: st.DrawFn) -> NoteSequence:
    """Any notes: zero lengths, unisons, overlaps, long silences, several tracks, drums, tempos."""
    note = st.tuples(
        st.integers(0, 3000) | st.integers(0, 30_000),
        st.integers(0, 900),
        st.sampled_from([0, 1, 60, 61, 127]) | st.integers(0, 127),
        st.integers(1, 127),
        st.integers(0, 2),
        st.booleans(),
    )
    start, length, pitch, velocity, track, drum = (
        np.array(draw(st.lists(note, max_size=20)), dtype=np.int64).reshape(-1, 6).T
    )
    return NoteSequence.from_columns(
        start,
        start + length,
        pitch,
        velocity,
        0,
        track,
        drum.astype(bool),
        ticks_per_quarter=draw(st.sampled_from([96, 220, 480, 1024])),
        tempos=draw(st.lists(st.tuples(st.integers(0, 3000), st.integers(200_000, 2_000_000)), max_size=3)),
        time_signatures=[TimeSignature(0, 3, 4)],
        track_names=("a", "b", "c"),
    )


def names(representation: TokenRepresentation, notes: NoteSequence) -> list[str]:
    return [representation.tokens[token] for token in representation.encode(notes)]


def ids(representation: TokenRepresentation, text: str) -> list[int]:
    return [representation.tokens.index(name) for name in text.split()]


def rows(notes: NoteSequence) -> list[tuple[int, ...]]:
    """(start, end, pitch) of each note."""
    return list(zip(notes.start_tick.tolist(), notes.end_tick.tolist(), notes.pitch.tolist(), strict=True))


@every_variant
def test_decoding_gives_back_what_was_quantised(representation: TokenRepresentation) -> None:
    @given(pieces())
    @settings(max_examples=60)
    def check(notes: NoteSequence) -> None:
        quantised = representation.quantise(notes)
        encoded = representation.encode(notes)
        assert encoded.dtype == np.int64
        assert representation.decode(encoded) == quantised
        assert representation.decode([BOS, *encoded, EOS]) == quantised
        assert representation.quantise(quantised) == quantised
        np.testing.assert_array_equal(representation.encode(quantised), encoded)

    check()


@every_variant
def test_every_encoded_stream_obeys_the_grammar(representation: TokenRepresentation) -> None:
    @given(pieces())
    @settings(max_examples=30)
    def check(notes: NoteSequence) -> None:
        grammar = representation.grammar()
        for token in [*representation.encode(notes).tolist(), EOS]:
            assert grammar.legal()[token]
            grammar.push(token)
        assert not grammar.legal().any()

    check()


@every_variant
@pytest.mark.parametrize("seed", range(12))
def test_every_legal_stream_is_the_encoding_of_its_notes(representation: TokenRepresentation, seed: int) -> None:
    """Random walks through the grammar, of every length down to none, decode and encode to themselves."""
    draw = np.random.default_rng(seed)
    room = int(draw.integers(0, 120))
    grammar = representation.grammar()
    stream: list[int] = []
    while True:
        assert grammar.shortest_end() <= room - len(stream)
        legal = grammar.legal(room - len(stream))
        assert not (legal & ~grammar.legal()).any()
        token = int(draw.choice(np.flatnonzero(legal)))
        grammar.push(token)
        if token == EOS:
            break
        stream.append(token)
    assert representation.encode(representation.decode(stream)).tolist() == stream


@every_variant
def test_legal_tokens_are_those_that_can_be_pushed(representation: TokenRepresentation) -> None:
    draw = np.random.default_rng(7)
    stream: list[int] = []
    for _ in range(25):
        grammar = representation.grammar()
        for token in stream:
            grammar.push(token)
        legal, ends = grammar.legal(), grammar.shortest_end()
        nearest, refusing = [], copy.deepcopy(grammar)
        for token in range(len(representation.tokens)):
            if legal[token]:
                attempt = copy.deepcopy(grammar)
                attempt.push(token)
                nearest.append(attempt.shortest_end() + (token != EOS))
                assert grammar.legal(nearest[-1])[token]
                assert token == EOS or not grammar.legal(nearest[-1] - 1)[token]
            else:
                with pytest.raises(ValueError, match=r"\w"):
                    refusing.push(token)
        np.testing.assert_array_equal(refusing.legal(), legal)  # what was refused has changed nothing
        assert min(nearest) == ends
        stream.append(int(draw.choice(np.flatnonzero(legal & (np.arange(len(legal)) != EOS)))))


@every_variant
def test_settings_pass_through_json(representation: TokenRepresentation) -> None:
    stored = json.loads(json.dumps(representation.settings()))
    assert build_representation(representation.name, stored) == representation


@every_variant
def test_tokens_are_a_vocabulary(representation: TokenRepresentation) -> None:
    assert len(Vocabulary(representation.tokens)) == len(representation.grammar().legal())
    assert representation.tokens[: EOS + 1] == ("<pad>", "<bos>", "<eos>")


@every_variant
def test_nothing_and_drums_alone_are_the_empty_stream(representation: TokenRepresentation) -> None:
    drums = NoteSequence.from_columns([0], [480], [36], is_drum=True)
    assert representation.encode(drums).tolist() == []
    assert len(representation.decode([])) == 0
    assert len(representation.decode([BOS, EOS])) == 0


@every_variant
@pytest.mark.parametrize(
    ("stream", "message"),
    [
        ([PAD], "position 0: <pad> is illegal: <pad> must not be inside a stream"),
        ([BOS, BOS], "position 1: <bos> is illegal"),
        ([EOS, EOS], "position 1: <eos> is illegal: nothing follows <eos>"),
        ([BOS, EOS, 3], "position 2: .* is illegal: nothing follows <eos>"),
        ([10**6], "position 0: id 1000000 is illegal: expected ids in 0.."),
        ([-1], "position 0: id -1 is illegal"),
    ],
)
def test_misplaced_marks_and_strange_ids_are_refused(
    representation: TokenRepresentation, stream: list[int], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        representation.decode(stream)


def test_fractions_are_no_ids() -> None:
    with pytest.raises(TypeError):
        MelodyRepresentation().decode([5.5])  # type: ignore[list-item]


def test_names_lead_to_representations() -> None:
    assert {"chorale", "chorale_grid", "melody", "miditok", "performance", "roll"} <= set(REPRESENTATIONS)
    assert build_representation("performance") == PerformanceRepresentation()
    assert build_representation("miditok:TSD") == MidiTokRepresentation("TSD")
    assert build_representation("melody", {"steps_per_quarter": 8}) == MelodyRepresentation(steps_per_quarter=8)


@pytest.mark.parametrize(
    ("name", "given_settings", "message"),
    [
        ("melodie", {}, "no representation is called 'melodie'; did you mean melody"),
        ("melody", {"clock": "beat"}, "melody has no setting 'clock'"),
        ("melody", {"step_per_quarter": 4}, "did you mean steps_per_quarter"),
        ("melody", {"steps_per_quarter": "4"}, "steps_per_quarter is '4', expected int"),
        ("melody", {"steps_per_quarter": 0}, "0 steps per quarter"),
        ("melody", {"track": "last"}, "melody track 'last'"),
        ("melody", {"velocity": 0}, "velocity 0"),
        ("performance", {"clock": "bar"}, "clock 'bar'"),
        ("performance", {"velocity_bins": 128}, "128 velocity bins, expected a power of two in 1..64"),
        ("performance", {"velocity_bins": 5}, "5 velocity bins"),
        ("performance", {"steps_per_second": 0}, "0 per second"),
        ("performance", {"tempo": 0}, "tempo 0"),
        ("performance", {"clock": "second", "tempo": 600_001}, "do not give a whole number of steps per quarter"),
    ],
)
def test_settings_that_make_no_sense_are_refused(name: str, given_settings: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        build_representation(name, given_settings)


# melody


def test_a_melody_in_literal_tokens() -> None:
    notes = NoteSequence.from_columns([120, 360, 600, 1200], [360, 600, 960, 1320], [0, 60, 60, 127])
    expected = "rest note_0 hold note_60 hold note_60 hold hold rest rest note_127"
    assert names(MelodyRepresentation(), notes) == expected.split()


def test_melody_ids_are_those_of_the_table() -> None:
    tokens = MelodyRepresentation().tokens
    assert (tokens.index("rest"), tokens.index("hold")) == (3, 4)
    assert (tokens.index("note_0"), tokens.index("note_127"), len(tokens)) == (5, 132, 133)


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        ("hold", "position 0: hold is illegal: there is no sounding note to hold"),
        ("note_60 rest hold", "position 2: hold is illegal"),
        ("note_60 rest", "the stream stops at position 2: a melody must not end with a rest"),
        ("rest", "the stream stops at position 1"),
        ("note_60 rest <eos>", "position 2: <eos> is illegal: a melody must not end with a rest"),
    ],
)
def test_illegal_melodies_are_refused(stream: str, message: str) -> None:
    melody = MelodyRepresentation()
    with pytest.raises(ValueError, match=message):
        melody.decode(ids(melody, stream))


def test_a_melody_is_the_skyline_of_its_track() -> None:
    # a lower note under a higher one is left out; a higher note cuts a lower one; a chord keeps its top
    notes = NoteSequence.from_columns(
        [0, 120, 480, 600, 960, 960], [480, 240, 960, 720, 1080, 1200], [72, 60, 50, 62, 55, 48]
    )
    assert rows(MelodyRepresentation().quantise(notes)) == [(0, 4, 72), (4, 5, 50), (5, 6, 62), (8, 9, 55)]


def test_the_melody_is_in_the_highest_track_or_in_the_first() -> None:
    notes = NoteSequence.from_columns(
        [0, 0, 0], [120, 120, 120], [48, 72, 100], track=[0, 1, 2], is_drum=[False, False, True]
    )
    assert rows(MelodyRepresentation().quantise(notes)) == [(0, 1, 72)]
    assert rows(MelodyRepresentation(track="first").quantise(notes)) == [(0, 1, 48)]


def test_a_long_melody_passes_whole() -> None:
    start = np.arange(0, 120 * 50_000, 240)
    notes = NoteSequence.from_columns(start, start + 120, 40 + start // 240 % 50)
    melody = MelodyRepresentation()
    assert len(melody.encode(notes)) == 49_999
    assert len(melody.decode(melody.encode(notes))) == 25_000


def test_decoded_melodies_have_the_tempo_and_velocity_of_the_settings() -> None:
    melody = MelodyRepresentation(velocity=33, tempo=400_000)
    notes = melody.decode(ids(melody, "note_60 hold hold hold"))
    assert notes.velocity.tolist() == [33]
    assert notes.duration == 0.4


# performance


def test_a_performance_in_literal_tokens() -> None:
    notes = NoteSequence.from_columns(
        [480, 480, 720, 960], [720, 960, 960, 1200], [64, 0, 64, 127], velocity=[80, 80, 80, 127]
    )
    expected = (
        "shift_12 velocity_20 on_0 on_64 shift_6 off_64 on_64 shift_6 off_0 off_64 velocity_31 on_127 shift_6 off_127"
    )
    assert names(PerformanceRepresentation(), notes) == expected.split()


def test_performance_ids_are_those_of_the_table() -> None:
    tokens = PerformanceRepresentation().tokens
    assert [tokens.index(name) for name in ("on_0", "on_127", "off_0", "off_127")] == [3, 130, 131, 258]
    assert [tokens.index(name) for name in ("shift_1", "shift_48", "velocity_0", "velocity_31")] == [259, 306, 307, 338]
    assert len(tokens) == 339
    assert PerformanceRepresentation(clock="second").tokens.index("shift_100") == 358


@pytest.mark.parametrize(
    ("gap", "shifts"), [(1, "shift_1"), (48, "shift_48"), (49, "shift_48 shift_1"), (96, "shift_48 shift_48")]
)
def test_time_passes_in_the_longest_shifts_first(gap: int, shifts: str) -> None:
    notes = NoteSequence.from_columns([gap], [gap + 1], [60], ticks_per_quarter=12)
    assert names(PerformanceRepresentation(), notes) == f"{shifts} velocity_16 on_60 shift_1 off_60".split()


def test_the_clock_of_seconds_follows_the_tempo_map_in_hundredths() -> None:
    notes = NoteSequence.from_columns([0, 960], [480, 1440], [60, 62], tempos=[(0, 250_000), (960, 1_000_000)])
    performance = PerformanceRepresentation(clock="second")
    expected = "velocity_16 on_60 shift_25 off_60 shift_25 on_62 shift_100 off_62"
    assert names(performance, notes) == expected.split()
    assert performance.decode(performance.encode(notes)).end.tolist() == [0.25, 1.5]


@pytest.mark.parametrize(
    ("velocity", "index", "decoded"), [(1, 0, 2), (3, 0, 2), (4, 1, 6), (64, 16, 66), (127, 31, 126)]
)
def test_velocities_fall_into_bins_and_come_back_as_their_middle(velocity: int, index: int, decoded: int) -> None:
    notes = NoteSequence.from_columns([0], [480], [60], velocity=velocity)
    performance = PerformanceRepresentation()
    assert names(performance, notes)[0] == f"velocity_{index}"
    assert performance.decode(performance.encode(notes)).velocity.tolist() == [decoded]


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        ("on_60", "position 0: on_60 is illegal: a velocity must come before the first note"),
        ("velocity_3 velocity_4", "position 1: velocity_4 is illegal: a note must follow a velocity"),
        ("velocity_3 shift_1", "position 1: shift_1 is illegal: a note must follow a velocity"),
        ("velocity_3 on_60 velocity_3", "position 2: velocity_3 is illegal: the velocity is 3 already"),
        ("velocity_3 on_60 on_60", "pitch 60 sounds already"),
        ("velocity_3 on_60 on_59", "within a step notes begin by rising pitch, the previous one was 60"),
        ("velocity_3 on_127 velocity_4", "no note could follow it in this step"),
        ("velocity_3 on_60 off_60", "position 2: off_60 is illegal: within a step notes end before others begin"),
        ("off_60", "pitch 60 does not sound"),
        (
            "velocity_3 on_60 on_61 shift_1 off_61 off_60",
            "within a step notes end by rising pitch, the previous one was 61",
        ),
        (
            "shift_1 shift_1",
            "position 1: shift_1 is illegal: only a shift of 48, the longest, may be followed by a shift",
        ),
        ("shift_1", "the stream stops at position 1: a piece must end with the end of a note"),
        ("velocity_3 on_60", "the stream stops at position 2: 1 notes still sound"),
        ("velocity_3", "the stream stops at position 1: a note must follow a velocity"),
        ("velocity_3 on_60 shift_1 off_60 shift_1 <eos>", "position 5: <eos> is illegal: a piece must end with"),
    ],
)
def test_illegal_performances_are_refused(stream: str, message: str) -> None:
    performance = PerformanceRepresentation()
    with pytest.raises(ValueError, match=message):
        performance.decode(ids(performance, stream))


def test_all_parts_become_one_piano_and_drums_are_left_out() -> None:
    notes = NoteSequence.from_columns(
        [0, 0, 0],
        [480, 480, 480],
        [60, 64, 36],
        program=[40, 73, 0],
        track=[0, 1, 2],
        is_drum=[False, False, True],
    )
    quantised = PerformanceRepresentation().quantise(notes)
    assert rows(quantised) == [(0, 12, 60), (0, 12, 64)]
    assert quantised.program.tolist() == [0, 0]
    assert quantised.track_names == ("",)


def test_unisons_of_two_parts_become_one_note() -> None:
    notes = NoteSequence.from_columns([0, 240], [480, 960], [60, 60], track=[0, 1])
    assert rows(PerformanceRepresentation().quantise(notes)) == [(0, 6, 60), (6, 24, 60)]
