"""Four voices step by step: literal tokens, and the same notes as the event form of the same chorale."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_chorale import ids as ids_of
from test_chorale import rows, voices

from seqaudio.errors import OptionError
from seqaudio.midi import read_midi
from seqaudio.notes import NoteSequence
from seqaudio.tokens import ChoraleGridRepresentation, ChoraleRepresentation, build_representation

GRID = ChoraleGridRepresentation()


def ids(text: str) -> list[int]:
    return [GRID.tokens.index(name) for name in text.split()]


def test_ids_are_those_of_the_table() -> None:
    tokens = GRID.tokens
    assert [tokens.index(name) for name in ("rest", "hold", "note_0", "note_127")] == [3, 4, 5, 132]
    assert len(tokens) == 133


def test_four_voices_in_literal_tokens() -> None:
    soprano, alto, tenor, bass = [(0, 2, 72), (2, 4, 72)], [(0, 4, 64)], [(1, 3, 0)], [(0, 1, 48)]
    stream = """
        note_72 note_64 rest    note_48
        hold    hold    note_0  rest
        note_72 hold    hold    rest
        hold    hold    rest    rest
    """
    notes = voices(soprano, alto, tenor, bass)
    assert [GRID.tokens[token] for token in GRID.encode(notes)] == stream.split()
    assert rows(GRID.decode(ids(stream))) == rows(notes)


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        ("note_60", "the stream stops at position 1: the alto of this step must come first"),
        ("rest rest rest rest", "the stream stops at position 4: a piece must not end with a silent step"),
        ("hold", "position 0: hold is illegal: the soprano has no sounding note to hold"),
        ("note_60 rest rest rest hold hold", "position 5: hold is illegal: the alto has no sounding note"),
        ("note_60 rest <eos>", "position 2: <eos> is illegal: the tenor of this step must come first"),
    ],
)
def test_illegal_streams_are_refused(stream: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GRID.decode(ids(stream))


def test_it_tells_the_notes_of_the_event_form() -> None:
    chorale = ChoraleRepresentation()
    stream = "metre_4/4 bar step_0 note_72 note_67 note_60 note_48 step_8 note_74 hold rest hold"
    notes = chorale.decode(ids_of(stream))
    assert rows(GRID.quantise(notes)) == rows(notes)
    assert len(GRID.encode(notes)) == 4 * 16


@pytest.mark.parametrize(
    ("given_settings", "message"),
    [({"steps_per_quarter": 49}, "49 steps"), ({"program": 128}, "program 128"), ({"tempo": 0}, "tempo 0")],
)
def test_settings_that_make_no_sense_are_refused(given_settings: dict[str, int], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        build_representation("chorale_grid", given_settings)


@pytest.mark.data
def test_chorales_written_as_midi_say_the_same_in_both_forms(data_folder: Path) -> None:
    for file in sorted((data_folder / "music" / "js_fakes").glob("*.mid"))[::50]:
        notes: NoteSequence = read_midi(file)
        assert rows(GRID.decode(GRID.encode(notes))) == rows(ChoraleRepresentation().quantise(notes))
