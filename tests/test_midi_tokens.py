"""Tokens through MidiTok: its own ids, exact both ways by all of its tokenisers, with a mask of what may follow."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import miditok
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from symusic import Note, Score, Tempo, Track
from symusic import TimeSignature as Metre
from test_representations import ids, names, pieces, rows

from seqaudio.errors import OptionError
from seqaudio.midi import midi_bytes
from seqaudio.notes import NoteSequence, TimeSignature
from seqaudio.tokens import MidiTokRepresentation, build_representation
from seqaudio.tokens.miditok.quarter_signatures import quarter_signatures
from seqaudio.tokens.miditok.tokeniser import ANY_LENGTH, TOKENISERS, tokeniser
from seqaudio.vocabulary import EOS

EXACT = ("REMI", "TSD")
LEARNED = tuple(name for name in TOKENISERS if name not in EXACT)
SMALL = {"steps_per_quarter": 4, "velocities": 4}


@st.composite
def ensembles(draw: st.DrawFn) -> NoteSequence:
    """Pieces of several programs, in metres of all kinds."""
    notes = draw(pieces())
    programs = draw(st.lists(st.sampled_from([0, 0, 40, 127]), min_size=len(notes), max_size=len(notes)))
    metres = draw(
        st.lists(st.tuples(st.integers(0, 4000), st.integers(1, 15), st.sampled_from([1, 2, 4, 8, 16])), max_size=4)
    )
    return NoteSequence.from_columns(
        notes.start_tick,
        notes.end_tick,
        notes.pitch,
        notes.velocity,
        np.array(programs, dtype=np.int64),
        notes.track,
        notes.is_drum,
        ticks_per_quarter=notes.ticks_per_quarter,
        time_signatures=[TimeSignature(*metre) for metre in metres],
        track_names=notes.track_names,
    )


@pytest.mark.parametrize("programs", [False, True], ids=["piano", "programs"])
@pytest.mark.parametrize("name", TOKENISERS)
def test_every_tokeniser_gives_back_what_was_quantised(name: str, programs: bool) -> None:
    representation = MidiTokRepresentation(name, programs=programs, **SMALL)

    @given(ensembles())
    @settings(max_examples=12)
    def check(notes: NoteSequence) -> None:
        quantised, encoded = representation.quantise(notes), representation.encode(notes)
        assert representation.decode(encoded) == quantised
        assert representation.quantise(quantised) == quantised
        np.testing.assert_array_equal(representation.encode(quantised), encoded)

    check()


def on_grid(seed: int) -> NoteSequence:
    """A made-up piece on a grid of twelfths, of velocities that MidiTok has."""
    draw = np.random.default_rng(seed)
    start = np.sort(draw.integers(0, 400, size=60))
    velocities = np.linspace(0, 127, 33, dtype=int)[1:]
    return NoteSequence.from_columns(
        start,
        start + draw.integers(1, 96, size=60),
        draw.permutation(128)[:60],
        draw.choice(velocities, size=60),
        ticks_per_quarter=12,
        time_signatures=[TimeSignature(0, 3, 4), TimeSignature(36 * 4, 4, 4)],
    )


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("seed", range(3))
def test_tokens_are_those_that_miditok_writes_by_itself(name: str, seed: int) -> None:
    notes = on_grid(seed)
    own = getattr(miditok, name)(
        miditok.TokenizerConfig(
            pitch_range=(0, 127),
            drums_pitch_range=(0, 127),
            beat_res={(0, 8): 12},
            num_velocities=32,
            special_tokens=["PAD"],
            use_time_signatures=True,
            time_signature_range={4: list(range(1, 13))},
        )
    )
    score = Score(12)
    score.tempos.append(Tempo(0, 120))
    score.time_signatures.extend([Metre(0, 3, 4), Metre(36 * 4, 4, 4)])
    track = Track(program=0)
    columns = (notes.start_tick, notes.end_tick - notes.start_tick, notes.pitch, notes.velocity)
    track.notes.extend([Note(*map(int, row)) for row in zip(*columns, strict=True)])
    score.tracks.append(track)
    (written,) = own.encode(score)
    representation = MidiTokRepresentation(name)
    assert names(representation, notes) == written.tokens
    assert representation.encode(notes).tolist() == [token + 2 for token in written.ids]


def test_remi_in_literal_tokens() -> None:
    notes = NoteSequence.from_columns(
        [0, 480, 960, 1440], [480, 960, 1440, 1920], [60, 60, 62, 0], time_signatures=[TimeSignature(0, 3, 4)]
    )
    note = "Velocity_63 Duration_1.0.12"
    expected = f"""
        Bar_None TimeSig_3/4 Position_0 Pitch_60 {note} Position_12 Pitch_60 {note} Position_24 Pitch_62 {note}
        Bar_None TimeSig_3/4 Position_0 Pitch_0 {note}
    """
    assert names(MidiTokRepresentation("REMI"), notes) == expected.split()


def test_tsd_in_literal_tokens() -> None:
    notes = NoteSequence.from_columns([480, 480, 6240], [720, 720, 6480], [60, 64, 60])
    note = "Velocity_63 Duration_0.6.12"
    expected = f"""
        TimeSig_4/4 TimeShift_1.0.12 Pitch_60 {note} Pitch_64 {note}
        TimeShift_8.0.12 TimeShift_4.0.12 Pitch_60 {note}
    """
    assert names(MidiTokRepresentation("TSD"), notes) == expected.split()


def test_programs_are_parts_and_drums_are_one_of_them() -> None:
    notes = NoteSequence.from_columns(
        [0] * 4, [120] * 4, [60, 60, 36, 64], program=[40, 0, 9, 40], track=[0, 1, 2, 3],
        is_drum=[False, False, True, False],
    )  # fmt: skip
    representation = MidiTokRepresentation("TSD", programs=True)
    programs = [name for name in names(representation, notes) if name.startswith("Program")]
    assert programs == ["Program_0", "Program_40", "Program_40", "Program_-1"]
    back = representation.decode(representation.encode(notes))
    assert back.track_names == ("Acoustic Grand Piano", "Violin", "Drums")
    assert back.is_drum.tolist() == [True, False, False, False]


@pytest.mark.parametrize("kind", [{}, {"programs": True, "longest": 2}, {"longest": 1, "velocities": 1}], ids=str)
@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("seed", range(6))
def test_every_legal_stream_is_the_encoding_of_its_notes(name: str, kind: dict[str, Any], seed: int) -> None:
    representation = MidiTokRepresentation(name, **({"steps_per_quarter": 2} | kind))
    stream = walk(representation, np.random.default_rng(seed))
    assert representation.encode(representation.decode(stream)).tolist() == stream


@pytest.mark.parametrize("name", LEARNED)
@pytest.mark.parametrize("seed", range(4))
def test_every_stream_of_a_learned_grammar_can_be_decoded_and_written(name: str, seed: int) -> None:
    representation = MidiTokRepresentation(name, programs=bool(seed % 2), **SMALL)
    notes = representation.decode(walk(representation, np.random.default_rng(seed)))
    assert midi_bytes(notes)[:4] == b"MThd"


def walk(representation: MidiTokRepresentation, draw: np.random.Generator) -> list[int]:
    """A legal stream, of any length down to none; of each kind of token about as many."""
    room = int(draw.integers(0, 150))
    kinds = np.array([token.split("_")[0] for token in representation.tokens])
    grammar = representation.grammar()
    stream: list[int] = []
    while True:
        assert grammar.shortest_end() <= room - len(stream)
        legal = grammar.legal(room - len(stream))
        assert not (legal & ~grammar.legal()).any()
        found = sorted(set(kinds[legal]) - {"<eos>"})
        if not found or (legal[EOS] and draw.random() < 0.03):
            grammar.push(EOS)
            return stream
        token = int(draw.choice(np.flatnonzero(legal & (kinds == found[draw.integers(len(found))]))))
        grammar.push(token)
        stream.append(token)


@pytest.mark.parametrize("name", [*EXACT, "MIDILike", "Structured"])
def test_what_may_follow_follows_in_miditoks_own_graph(name: str) -> None:
    representation = MidiTokRepresentation(name, **SMALL)
    graph = representation.library.library.tokens_types_graph
    for seed in range(5):
        stream = walk(representation, np.random.default_rng(seed))
        for token, after in pairwise(representation.tokens[token].partition("_")[0] for token in stream):
            assert after in graph[token]


@pytest.mark.parametrize(
    ("name", "stream", "message"),
    [
        ("REMI", "Pitch_60", "position 0: Pitch_60 is illegal: expected <eos> or Bar"),
        ("REMI", "Bar_None Position_0", "position 1: Position_0 is illegal: expected TimeSig"),
        ("REMI", "Bar_None TimeSig_3/4", "the stream stops at position 2: expected Bar or Position"),
        ("REMI", "Bar_None TimeSig_3/4 Position_12", "position 2: Position_12 is illegal: positions rise within a bar"),
        ("REMI", "Bar_None TimeSig_3/4 Position_0 Pitch_60 Pitch_61", "position 4: Pitch_61 .* expected Velocity"),
        ("TSD", "TimeShift_1.0.4", "position 0: TimeShift_1.0.4 is illegal: expected <eos> or TimeSig"),
        ("TSD", "TimeSig_4/4 TimeShift_1.0.4 TimeShift_1.0.4", "position 2: .* is illegal: expected Pitch"),
        (
            "TSD",
            "TimeSig_4/4 TimeShift_4.0.4 TimeSig_4/4",
            "position 2: .*: a time signature changes at a bar line",
        ),
        ("TSD", "TimeSig_4/4 TimeShift_4.0.4", "the stream stops at position 2: expected Pitch or TimeSig"),
    ],
)
def test_illegal_streams_are_refused(name: str, stream: str, message: str) -> None:
    representation = MidiTokRepresentation(name, **SMALL)
    with pytest.raises(ValueError, match=message):
        representation.decode(ids(representation, stream))


@pytest.mark.parametrize("name", EXACT)
def test_within_a_time_pitches_rise_and_none_begins_that_sounds(name: str) -> None:
    representation = MidiTokRepresentation(name, **SMALL)
    begin = "Bar_None TimeSig_4/4 Position_0" if name == "REMI" else "TimeSig_4/4"
    note = "Pitch_60 Velocity_63 Duration_2.0.4"
    later = "Position_4" if name == "REMI" else "TimeShift_1.0.4"
    for more in (note, "Pitch_59", f"{later} {note}"):
        with pytest.raises(ValueError, match="it sounds already, or is not above the previous pitch"):
            representation.decode(ids(representation, f"{begin} {note} {more}"))


@pytest.mark.parametrize(
    ("metres", "expected"),
    [
        ([], [(0, 4)]),
        ([(0, 3, 4)], [(0, 3)]),
        ([(0, 6, 8)], [(0, 3)]),
        ([(0, 3, 2)], [(0, 6)]),
        ([(0, 3, 8)], [(0, 3)]),
        ([(0, 7, 8)], [(0, 7)]),
        ([(0, 15, 16)], [(0, 4)]),  # a bar of 15 quarters is more than twelve
        ([(0, 3, 4), (12, 2, 4)], [(0, 3), (12, 2)]),
        ([(0, 3, 4), (13, 2, 4)], [(0, 3), (24, 2)]),
        ([(0, 3, 4), (12, 3, 4), (24, 4, 4)], [(0, 3), (24, 4)]),
        ([(0, 3, 4), (13, 2, 4), (14, 4, 4)], [(0, 3), (24, 4)]),
        ([(0, 3, 4), (13, 2, 4), (14, 3, 4)], [(0, 3)]),
        ([(8, 3, 4)], [(0, 4), (16, 3)]),
        ([(0, 4, 4), (10_000, 3, 4)], [(0, 4)]),
    ],
)
def test_metres_become_whole_quarters_and_begin_with_bars(
    metres: list[tuple[int, int, int]], expected: list[tuple[int, int]]
) -> None:
    notes = NoteSequence.from_columns(
        [0], [1], [60], ticks_per_quarter=4, time_signatures=[TimeSignature(*metre) for metre in metres]
    )
    found = quarter_signatures(notes, 4, last=1000)
    assert [(metre.tick, metre.numerator) for metre in found] == expected
    assert {metre.denominator for metre in found} == {4}


def test_notes_longer_than_the_longest_are_cut() -> None:
    notes = NoteSequence.from_columns([0], [48 * 20], [60], ticks_per_quarter=48)
    assert rows(MidiTokRepresentation("TSD").quantise(notes)) == [(0, 96, 60)]
    assert rows(MidiTokRepresentation("PerTok").quantise(notes)) == [(0, 96, 60)]
    assert rows(MidiTokRepresentation("PerTok", longest=12).quantise(notes)) == [(0, 143, 60)]
    assert rows(MidiTokRepresentation("MIDILike").quantise(notes)) == [(0, 240, 60)]


@pytest.mark.parametrize(
    ("name", "longest"),
    [(name, longest) for name in TOKENISERS for longest in ((8,) if name in ANY_LENGTH else (1, 2, 8, 12))],
)
def test_a_note_may_come_late_in_a_long_bar(name: str, longest: int) -> None:
    late = [quarter * 12 for quarter in range(4, 12)]
    representation = MidiTokRepresentation(name, longest=longest)
    for tick in (*late, 11 * 12 + 11):
        notes = NoteSequence.from_columns(
            [0, tick], [1, tick + 2], [60, 0], ticks_per_quarter=12, time_signatures=[TimeSignature(0, 12, 4)]
        )
        quantised = representation.quantise(notes)
        assert representation.decode(representation.encode(notes)) == quantised
        if name not in ("Structured", "BEAT"):
            assert quantised.start_tick.tolist() == [0, tick]


def test_structured_shortens_long_pauses() -> None:
    notes = NoteSequence.from_columns([0, 12, 300, 312], [12, 24, 312, 324], [60, 61, 62, 63], ticks_per_quarter=12)
    assert MidiTokRepresentation("Structured").quantise(notes).start_tick.tolist() == [0, 12, 108, 120]


@pytest.mark.parametrize("name", ["Octuple", "MuMIDI"])
def test_what_lies_behind_the_numbered_bars_is_left_out(name: str) -> None:
    start = 48 * np.arange(6)
    notes = NoteSequence.from_columns(start, start + 60, [60, 61, 62, 63, 64, 65], ticks_per_quarter=12)
    representation = MidiTokRepresentation(name, bars=4)
    assert representation.decode(representation.encode(notes)).pitch.tolist() == [60, 61, 62, 63]


@pytest.mark.parametrize(
    ("name", "given_settings", "message"),
    [
        ("miditok:remi", {}, "MidiTok has no tokeniser 'remi'; did you mean REMI"),
        ("miditok:Octupel", {}, "did you mean Octuple"),
        ("miditok", {"longest": 13}, "notes of 13 quarters, expected 1..48 and 1..12"),
        ("miditok", {"velocities": 0}, "0 velocities"),
        ("miditok", {"programs": 1}, "programs is 1, expected bool"),
        ("miditok", {"tempo": 0}, "tempo 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(name: str, given_settings: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        build_representation(name, given_settings)


def test_without_miditok_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    tokeniser.cache_clear()
    monkeypatch.setattr("seqaudio.tokens.miditok.tokeniser.find_spec", lambda name: None)
    with pytest.raises(OptionError, match=r'pip install "\.\[miditok\]"'):
        MidiTokRepresentation().encode(on_grid(0))
