"""Four voices as tokens: exact both ways, canonical, bars always full, and never repaired."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqaudio.errors import OptionError
from seqaudio.midi import read_midi, write_midi
from seqaudio.notes import NoteSequence, TimeSignature
from seqaudio.tokens.chorale import TIME_SIGNATURES, VOICES, ChoraleRepresentation
from seqaudio.tokens.representation import Grammar
from seqaudio.vocabulary import BOS, EOS, Vocabulary

CHORALE = ChoraleRepresentation()
VARIANTS = [CHORALE, ChoraleRepresentation(steps_per_quarter=1, program=52, velocity=1, tempo=400_000)]
every_variant = pytest.mark.parametrize("representation", VARIANTS, ids=["sixteenths", "quarters"])


@st.composite
def pieces(draw: st.DrawFn) -> NoteSequence:
    """Any notes in up to six tracks, some with the names of voices, drums among them, in metres known and unknown."""
    note = st.tuples(
        st.integers(0, 4000),
        st.integers(0, 900),
        st.sampled_from([0, 60, 127]) | st.integers(0, 127),
        st.integers(0, 5),
        st.booleans(),
    )
    start, length, pitch, track, drum = np.array(draw(st.lists(note, max_size=25)), dtype=np.int64).reshape(-1, 5).T
    names = draw(st.permutations(["Bass", "soprano", "Tenor", "ALTO", "", "Oboe"]) | st.just([""] * 6))
    metres = draw(st.lists(st.tuples(st.integers(0, 500), st.sampled_from([2, 3, 4]), st.sampled_from([2, 4, 8]))))
    return NoteSequence.from_columns(
        start,
        start + length,
        pitch,
        track=track,
        is_drum=drum.astype(bool),
        ticks_per_quarter=draw(st.sampled_from([96, 220, 480])),
        tempos=draw(st.lists(st.tuples(st.integers(0, 3000), st.integers(200_000, 2_000_000)), max_size=2)),
        time_signatures=[TimeSignature(*metre) for metre in metres],
        track_names=names,
    )


def voices(*lines: list[tuple[int, int, int]], metre: str = "4/4", **more: Any) -> NoteSequence:
    """(start, end, pitch) of each voice, in sixteenths."""
    rows = [(*note, track) for track, line in enumerate(lines) for note in line]
    start, end, pitch, track = np.array(rows, dtype=np.int64).reshape(-1, 4).T
    numerator, denominator = map(int, metre.split("/"))
    signature = [TimeSignature(0, numerator, denominator)]
    columns: dict[str, Any] = {"ticks_per_quarter": 4, "time_signatures": signature, "track_names": VOICES, **more}
    return NoteSequence.from_columns(start, end, pitch, track=track, **columns)


def ids(text: str, representation: ChoraleRepresentation = CHORALE) -> list[int]:
    return [representation.tokens.index(name) for name in text.split()]


def names(notes: NoteSequence) -> list[str]:
    return [CHORALE.tokens[token] for token in CHORALE.encode(notes)]


def rows(notes: NoteSequence) -> list[tuple[int, ...]]:
    """(track, start, end, pitch) of each note, voice by voice."""
    columns = (notes.track, notes.start_tick, notes.end_tick, notes.pitch)
    return sorted(zip(*(column.tolist() for column in columns), strict=True))


@every_variant
def test_decoding_gives_back_what_was_quantised(representation: ChoraleRepresentation) -> None:
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
def test_every_encoded_stream_obeys_the_grammar(representation: ChoraleRepresentation) -> None:
    @given(pieces())
    @settings(max_examples=20)
    def check(notes: NoteSequence) -> None:
        grammar = representation.grammar()
        for token in [*representation.encode(notes).tolist(), EOS]:
            assert grammar.legal()[token]
            grammar.push(token)
        assert not grammar.legal().any()
        assert grammar.shortest_end() == 0

    check()


@every_variant
@pytest.mark.parametrize("seed", range(16))
def test_every_legal_stream_is_the_encoding_of_its_notes(representation: ChoraleRepresentation, seed: int) -> None:
    """Walks through the grammar, of every length down to none, with many rests and holds."""
    draw = np.random.default_rng(seed)
    room = int(draw.integers(0, 150))
    grammar = representation.grammar()
    stream: list[int] = []
    while True:
        assert grammar.shortest_end() <= room - len(stream)
        legal = grammar.legal(room - len(stream))
        assert not (legal & ~grammar.legal()).any()
        token = drawn(draw, representation, legal)
        grammar.push(token)
        if token == EOS:
            break
        stream.append(token)
    assert representation.encode(representation.decode(stream)).tolist() == stream


def drawn(draw: np.random.Generator, representation: ChoraleRepresentation, legal: np.ndarray) -> int:
    """A legal token: of each kind about as often, or nearly only notes would come."""
    names = [name.split("_")[0] for name in representation.tokens]
    kinds = sorted({names[token] for token in np.flatnonzero(legal)} - {"<eos>"})
    if not kinds or (legal[EOS] and draw.random() < 0.03):
        return EOS
    kind = kinds[draw.integers(len(kinds))]
    return int(draw.choice([token for token in np.flatnonzero(legal) if names[token] == kind]))


@pytest.mark.parametrize("seed", range(3))
def test_legal_tokens_are_those_that_can_be_pushed(seed: int) -> None:
    representation = VARIANTS[1]
    draw = np.random.default_rng(seed)
    stream: list[int] = []
    for _ in range(60):
        grammar = after(representation, stream)
        legal, ends = grammar.legal(), grammar.shortest_end()
        nearest = []
        for token in range(len(representation.tokens)):
            attempt = after(representation, stream)
            if legal[token]:
                attempt.push(token)
                nearest.append(attempt.shortest_end() + (token != EOS))
                assert grammar.legal(nearest[-1])[token]
                assert token == EOS or not grammar.legal(nearest[-1] - 1)[token]
            else:
                with pytest.raises(ValueError, match=r"\w"):
                    attempt.push(token)
                np.testing.assert_array_equal(attempt.legal(), legal)
        assert min(nearest) == ends
        legal[EOS] = False
        stream.append(drawn(draw, representation, legal))


def after(representation: ChoraleRepresentation, stream: list[int]) -> Grammar:
    grammar = representation.grammar()
    for token in stream:
        grammar.push(token)
    return grammar


def test_ids_are_those_of_the_table() -> None:
    tokens = CHORALE.tokens
    assert [tokens.index(name) for name in ("rest", "hold", "note_0", "note_127")] == [3, 4, 5, 132]
    assert tokens[133:138] == ("metre_4/4", "metre_3/4", "metre_3/2", "bar", "step_0")
    assert tokens.index("step_23") == len(tokens) - 1 == 160
    for representation in VARIANTS:
        assert len(Vocabulary(representation.tokens)) == len(representation.grammar().legal())


def test_a_chorale_in_literal_tokens() -> None:
    soprano, alto, tenor, bass = [(0, 2, 72), (2, 4, 72), (12, 36, 74)], [(0, 4, 64)], [(1, 3, 64)], [(0, 1, 48)]
    notes = voices(soprano, alto, tenor, bass, metre="3/4")
    stream = """
        metre_3/4
        bar
        step_0  note_72 note_64 rest    note_48
        step_1  hold    hold    note_64 rest
        step_2  note_72 hold    hold    rest
        step_3  hold    hold    rest    rest
        step_4  rest    rest    rest    rest
        bar
        step_0  note_74 rest    rest    rest
        bar
    """
    assert names(notes) == stream.split()
    assert CHORALE.decode(ids(stream)) == CHORALE.quantise(notes)


@pytest.mark.parametrize(("metre", "steps"), [("4/4", 16), ("3/4", 12), ("3/2", 24)])
def test_what_sounds_at_the_end_sounds_to_the_end_of_the_bar(metre: str, steps: int) -> None:
    begin = f"metre_{metre} bar step_{steps - 2} note_60 rest rest rest"
    for end, more in [
        (steps - 1, f"step_{steps - 1} rest rest rest rest"),
        (steps, ""),
        (steps + 1, "bar step_1 rest rest rest rest"),
        (3 * steps, "bar bar"),
    ]:
        notes = voices([(steps - 2, end, 60)], metre=metre)
        assert names(notes) == f"{begin} {more}".split()
        assert rows(CHORALE.decode(CHORALE.encode(notes))) == rows(notes)


def test_an_upbeat_begins_at_a_later_step() -> None:
    notes = voices([(12, 16, 60), (16, 32, 62)])
    assert names(notes)[:4] == ["metre_4/4", "bar", "step_12", "note_60"]
    assert CHORALE.quantise(notes).start_tick.tolist() == [12, 16]


def test_decoded_voices_are_named_tracks_with_the_sound_of_the_settings() -> None:
    chorale = ChoraleRepresentation(program=52, velocity=33, tempo=600_000)
    notes = chorale.decode(CHORALE.encode(voices(*[[(0, 16, pitch)] for pitch in (72, 67, 60, 48)], metre="3/2")))
    assert notes.track_names == ("Soprano", "Alto", "Tenor", "Bass")
    assert rows(notes) == [(0, 0, 16, 72), (1, 0, 16, 67), (2, 0, 16, 60), (3, 0, 16, 48)]
    assert set(notes.program.tolist()) == {52}
    assert set(notes.velocity.tolist()) == {33}
    assert notes.time_signatures == (TimeSignature(0, 3, 2),)
    assert notes.duration == 4 * 0.6


def test_voices_may_cross_and_meet() -> None:
    notes = voices([(0, 4, 60), (4, 16, 62)], [(0, 4, 60), (4, 16, 65)], [(0, 16, 48)], [(0, 16, 50)])
    assert rows(CHORALE.decode(CHORALE.encode(notes))) == rows(notes)


def test_a_written_chorale_is_read_back_as_it_was(tmp_path: Path) -> None:
    notes = CHORALE.quantise(
        voices([(0, 3, 60), (3, 16, 62)], [(0, 16, 60)], [(4, 16, 55)], [(0, 16, 48)], metre="3/4")
    )
    write_midi(notes, tmp_path / "chorale.mid")
    assert CHORALE.quantise(read_midi(tmp_path / "chorale.mid")) == notes


def test_tracks_with_the_names_of_the_voices_are_the_voices() -> None:
    notes = NoteSequence.from_columns(
        [0] * 5, [16] * 5, [90, 48, 72, 60, 67], track=range(5), ticks_per_quarter=4,
        track_names=("Oboe", "bass", "SOPRANO ", "Tenor", "Alto"),
    )  # fmt: skip
    assert rows(CHORALE.quantise(notes)) == [(0, 0, 16, 72), (1, 0, 16, 67), (2, 0, 16, 60), (3, 0, 16, 48)]


def test_without_those_names_the_first_four_tracks_with_notes_are_the_voices() -> None:
    notes = NoteSequence.from_columns(
        [0] * 6, [16] * 6, [36, 72, 67, 60, 48, 40], track=[0, 1, 3, 4, 5, 6], ticks_per_quarter=4,
        is_drum=[True] + [False] * 5,
    )  # fmt: skip
    assert rows(CHORALE.quantise(notes)) == [(0, 0, 16, 72), (1, 0, 16, 67), (2, 0, 16, 60), (3, 0, 16, 48)]


def test_a_voice_is_the_skyline_of_its_track() -> None:
    notes = voices([(0, 8, 60), (0, 8, 64), (4, 8, 67)])
    assert rows(CHORALE.quantise(notes)) == [(0, 0, 4, 64), (0, 4, 8, 67)]


@pytest.mark.parametrize(
    ("signatures", "metre"),
    [
        ([], "4/4"),
        ([(0, 5, 8)], "4/4"),
        ([(0, 6, 8)], "3/4"),  # the bars are as long
        ([(0, 12, 8)], "3/2"),
        ([(0, 3, 8)], "3/4"),  # two bars in one
        ([(0, 2, 4)], "4/4"),
        ([(0, 3, 4), (48, 4, 4)], "3/4"),
        ([(0, 3, 2)], "3/2"),
    ],
)
def test_the_first_metre_holds_and_an_unknown_one_becomes_one_with_its_bar_lines_or_common_time(
    signatures: list[tuple[int, int, int]], metre: str
) -> None:
    notes = voices([(0, 4, 60)], time_signatures=[TimeSignature(*signature) for signature in signatures])
    assert names(notes)[0] == f"metre_{metre}"


def test_nothing_and_drums_alone_are_the_empty_stream() -> None:
    drums = NoteSequence.from_columns([0], [480], [36], is_drum=True, time_signatures=[TimeSignature(0, 3, 4)])
    assert CHORALE.encode(drums).tolist() == []
    for nothing in ([], [BOS], [BOS, EOS]):
        assert CHORALE.decode(nothing) == CHORALE.quantise(drums)


CHORD = "metre_4/4 bar step_0 note_72 note_67 note_60 note_48 "


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        ("<pad>", "position 0: <pad> is illegal: <pad> must not be inside a stream"),
        ("<bos> <bos>", "position 1: <bos> is illegal"),
        ("<eos> <eos>", "position 1: <eos> is illegal: nothing follows <eos>"),
        ("bar", "position 0: bar is illegal: a time signature must come first"),
        ("note_60", "position 0: note_60 is illegal: a time signature must come first"),
        ("metre_4/4 metre_4/4", "position 1: metre_4/4 is illegal: the time signature comes first, and only once"),
        (f"{CHORD} metre_3/4", "position 7: metre_3/4 is illegal: the time signature comes first, and only once"),
        ("metre_4/4", "the stream stops at position 1: a bar must begin first"),
        ("metre_4/4 step_0", "position 1: step_0 is illegal: a bar must begin first"),
        ("metre_4/4 bar note_60", "position 2: note_60 is illegal: a step must come before the tokens of its voices"),
        (f"{CHORD} hold", "position 7: hold is illegal: a step must come before"),
        ("metre_4/4 bar step_3 note_60 bar", "position 4: bar is illegal: the alto of this step must come first"),
        ("metre_4/4 bar step_3 note_60 rest rest", "the stream stops at position 6: the bass of this step must come"),
        ("metre_4/4 bar step_16", "position 2: step_16 is illegal: a bar has 16 steps, counted from 0"),
        (f"{CHORD} step_0", "position 7: step_0 is illegal: within a bar steps rise, the previous one was 0"),
        ("metre_4/4 bar step_0 hold", "position 3: hold is illegal: the soprano has no sounding note to hold"),
        (f"{CHORD} step_4 hold rest hold hold step_8 hold hold", "position 14: hold is illegal: the alto has no"),
        (f"{CHORD} step_4 hold hold hold hold", "position 11: hold is illegal: at a step at least one voice must"),
        ("metre_4/4 bar step_0 rest rest rest rest", "position 6: rest is illegal: at a step at least one voice must"),
        ("metre_4/4 bar", "the stream stops at position 2: a piece must not end with a silent bar"),
        (f"{CHORD} bar step_0 rest rest rest rest", "the stream stops at position 13: .* with a silent bar"),
        (f"{CHORD} step_1 rest rest rest rest bar", "the stream stops at position 13: .* with a silent bar"),
    ],
)
def test_illegal_streams_are_refused(stream: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CHORALE.decode(ids(stream))


@pytest.mark.parametrize("token", [-1, 161, 10**6])
def test_ids_outside_the_vocabulary_are_refused(token: int) -> None:
    with pytest.raises(ValueError, match=r"position 0: id -?\d+ is illegal: expected ids in 0..160"):
        CHORALE.decode([token])


def test_silent_bars_are_written_within_a_piece() -> None:
    notes = voices([(0, 16, 60), (64, 80, 62)])
    voice = "rest rest rest"
    expected = f"metre_4/4 bar step_0 note_60 {voice} bar step_0 rest {voice} bar bar bar step_0 note_62 {voice}"
    assert names(notes) == expected.split()


SILENCED = f"{CHORD} bar step_0 rest rest rest"


@pytest.mark.parametrize(
    ("stream", "room", "kinds"),
    [
        ("", 6, "<eos>"),
        ("", 7, "<eos> metre"),
        ("metre_4/4", 5, ""),
        ("metre_4/4", 6, "bar"),
        ("metre_4/4 bar", 4, ""),
        ("metre_4/4 bar", 5, "step"),
        ("metre_4/4 bar", 6, "bar step"),
        ("metre_4/4 bar step_0 rest", 2, ""),
        ("metre_4/4 bar step_0 rest", 3, "note rest"),
        (CHORD, 0, "<eos>"),
        (CHORD, 1, "<eos> bar"),
        (CHORD, 4, "<eos> bar"),
        (CHORD, 5, "<eos> bar step"),
        (SILENCED, 1, "hold note"),
        (SILENCED, 5, "hold note"),
        (SILENCED, 6, "hold note rest"),
        (SILENCED.replace("step_0 rest", "step_15 rest"), 1, "hold note rest"),
        (f"{SILENCED} rest step_15 note_60 rest rest", 1, "note rest"),
        (f"{SILENCED} rest", 5, "step"),
        (f"{SILENCED} rest", 6, "bar step"),
        (f"{SILENCED} rest", None, "bar step"),
    ],
)
def test_only_kinds_of_tokens_are_legal_that_leave_room_for_the_end(stream: str, room: int | None, kinds: str) -> None:
    legal = after(CHORALE, ids(stream)).legal(room)
    assert {CHORALE.tokens[token].split("_")[0] for token in np.flatnonzero(legal)} == set(kinds.split())


def test_settings_pass_through_json() -> None:
    for representation in VARIANTS:
        assert ChoraleRepresentation(**json.loads(json.dumps(representation.settings()))) == representation


@pytest.mark.parametrize(
    ("given_settings", "message"),
    [
        ({"steps_per_quarter": 0}, "0 steps per quarter, expected 1..48"),
        ({"steps_per_quarter": 49}, "49 steps per quarter"),
        ({"program": 128}, "program 128 and velocity 80, expected 0..127 and 1..127"),
        ({"velocity": 0}, "velocity 0"),
        ({"tempo": 0}, "tempo 0, expected 1..16777215"),
        ({"tempo": 2**24}, "tempo 16777216"),
    ],
)
def test_settings_that_make_no_sense_are_refused(given_settings: dict[str, int], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        ChoraleRepresentation(**given_settings)


def test_every_metre_has_a_bar_of_its_length() -> None:
    quarters = [4 * int(metre.split("/")[0]) / int(metre.split("/")[1]) for metre in TIME_SIGNATURES]
    assert [steps / CHORALE.steps_per_quarter for steps in CHORALE.ids.bar_steps] == quarters


@pytest.mark.data
def test_chorales_written_as_midi_pass_both_ways(data_folder: Path) -> None:
    for file in sorted((data_folder / "music" / "js_fakes").glob("*.mid"))[::25]:
        notes = read_midi(file)
        assert CHORALE.decode(CHORALE.encode(notes)) == CHORALE.quantise(notes)
        assert set(CHORALE.quantise(notes).track.tolist()) == {0, 1, 2, 3}
