"""Scores become notes, then rows: parts, ties, upbeats and metres, against MusicXML and Humdrum written by hand."""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

import pytest

from seqaudio.errors import InputFileError, SourceError, how_to_install
from seqaudio.ledger import Reason
from seqaudio.midi.score import music21_corpus, read_score
from seqaudio.notes import NoteSequence, TimeSignature
from seqaudio.prepare.engine import Item
from seqaudio.prepare.music.score_rows import ScorePreparation
from seqaudio.tokens.chorale import ChoraleRepresentation

music21 = pytest.importorskip("music21", reason='needs music21: pip install ".[chorales]"')

DIVISIONS = 4  # of a quarter: durations below are sixteenths
STEPS = {60: ("C", 4), 62: ("D", 4), 64: ("E", 4), 65: ("F", 4), 67: ("G", 4), 48: ("C", 3), 72: ("C", 5)}


def note(pitch: int | None, length: int, ties: str = "", extra: str = "") -> str:
    """A MusicXML note of `length` sixteenths, or a rest; `ties` are `start`, `stop` or both."""
    what = "<rest/>"
    if pitch is not None:
        step, octave = STEPS[pitch]
        what = f"<pitch><step>{step}</step><octave>{octave}</octave></pitch>"
    tied = "".join(f'<tie type="{tie}"/>' for tie in ties.split())
    return f"<note>{extra}{what}<duration>{length}</duration>{tied}</note>"


def metre(text: str) -> str:
    beats, kind = text.split("/")
    time = f"<time><beats>{beats}</beats><beat-type>{kind}</beat-type></time>"
    return f"<attributes><divisions>{DIVISIONS}</divisions>{time}</attributes>"


def score(folder: Path, parts: dict[str, list[str]]) -> Path:
    """A MusicXML file; each part a list of the contents of its measures."""
    names = "".join(
        f'<score-part id="P{number}"><part-name>{name}</part-name></score-part>' for number, name in enumerate(parts)
    )
    contents = ""
    for number, measures in enumerate(parts.values()):
        inside = "".join(f'<measure number="{place}">{content}</measure>' for place, content in enumerate(measures, 1))
        contents += f'<part id="P{number}">{inside}</part>'
    path = folder / "score.musicxml"
    path.write_text(f'<score-partwise version="3.0"><part-list>{names}</part-list>{contents}</score-partwise>')
    return path


def rows(notes: NoteSequence) -> list[tuple[float, ...]]:
    """(track, start, end, pitch), times in sixteenths."""
    assert notes.ticks_per_quarter == 480
    columns = (notes.track, notes.start_tick / 120, notes.end_tick / 120, notes.pitch)
    return sorted(zip(*(column.tolist() for column in columns), strict=True))


def test_parts_become_tracks_of_their_names(tmp_path: Path) -> None:
    path = score(tmp_path, {"Soprano": [metre("4/4") + note(72, 16)], "Bass": [metre("4/4") + note(48, 16)]})
    notes = read_score(path)
    assert notes.track_names == ("Soprano", "Bass")
    assert notes.time_signatures == (TimeSignature(0, 4, 4),)
    assert rows(notes) == [(0, 0, 16, 72), (1, 0, 16, 48)]


def test_rests_and_lengths_place_the_notes(tmp_path: Path) -> None:
    first = metre("3/4") + note(60, 3) + note(62, 1) + note(None, 4) + note(64, 4)
    notes = read_score(score(tmp_path, {"": [first, note(None, 2) + note(65, 10)]}))
    assert rows(notes) == [(0, 0, 3, 60), (0, 3, 4, 62), (0, 8, 12, 64), (0, 14, 24, 65)]
    assert notes.time_signatures == (TimeSignature(0, 3, 4),)


def test_tied_notes_are_one_across_a_bar_line(tmp_path: Path) -> None:
    measures = [metre("4/4") + note(60, 16, "start"), note(60, 16, "stop start"), note(60, 4, "stop") + note(60, 12)]
    assert rows(read_score(score(tmp_path, {"": measures}))) == [(0, 0, 36, 60), (0, 36, 48, 60)]


@pytest.mark.parametrize("between", [note(62, 4), note(None, 4)])
def test_a_tie_joins_nothing_that_is_not_next_to_it(tmp_path: Path, between: str) -> None:
    path = score(tmp_path, {"": [metre("4/4") + note(60, 4, "start") + between + note(60, 8, "stop")]})
    assert [row for row in rows(read_score(path)) if row[3] == 60] == [(0, 0, 4, 60), (0, 8, 16, 60)]


def test_an_upbeat_gets_the_rest_of_its_bar_before_it(tmp_path: Path) -> None:
    high, low = [metre("4/4") + note(60, 4), note(62, 16)], [metre("4/4") + note(None, 4), note(48, 16)]
    notes = read_score(score(tmp_path, {"high": high, "low": low}))
    assert rows(notes) == [(0, 12, 16, 60), (0, 16, 32, 62), (1, 16, 32, 48)]
    assert notes.time_signatures == (TimeSignature(0, 4, 4),)


def test_a_change_of_metre_keeps_its_place_behind_an_upbeat(tmp_path: Path) -> None:
    measures = [metre("4/4") + note(60, 4), note(62, 16), metre("3/4") + note(64, 12)]
    assert read_score(score(tmp_path, {"": measures})).time_signatures == (
        TimeSignature(0, 4, 4),
        TimeSignature(2 * 4 * 480, 3, 4),
    )


def test_on_request_repeats_are_played_with_their_endings(tmp_path: Path) -> None:
    path = tmp_path / "tune.abc"
    path.write_text("X:1\nT:Tune\nM:4/4\nL:1/4\nK:C\n|: C C C C |1 D D D D :|2 E E E E |]\n")
    pitches = [pitch for _, _, _, pitch in rows(read_score(path, repeats=True))]
    assert pitches == [60] * 4 + [62] * 4 + [60] * 4 + [64] * 4
    assert [pitch for _, _, _, pitch in rows(read_score(path))] == [60] * 4 + [62] * 4 + [64] * 4


def test_repeats_are_not_played(tmp_path: Path) -> None:
    repeat = '<barline location="right"><repeat direction="backward"/></barline>'
    path = score(tmp_path, {"": [metre("4/4") + note(60, 16) + repeat, note(62, 16)]})
    assert rows(read_score(path)) == [(0, 0, 16, 60), (0, 16, 32, 62)]


def test_grace_notes_are_left_out_and_chords_kept(tmp_path: Path) -> None:
    grace = note(67, 4, extra="<grace/>").replace("<duration>4</duration>", "")
    path = score(tmp_path, {"": [metre("4/4") + grace + note(60, 16) + note(64, 16, extra="<chord/>")]})
    assert rows(read_score(path)) == [(0, 0, 16, 60), (0, 0, 16, 64)]


def test_humdrum_is_read_from_the_highest_part_down(tmp_path: Path) -> None:
    lines = ["**kern\t**kern", "*M3/4\t*M3/4", "=1\t=1", "2.C\t4cc", ".\t8.dd", ".\t16ee", ".\t4cc", "==\t==", "*-\t*-"]
    path = tmp_path / "score.krn"
    path.write_text("\n".join(lines) + "\n")
    assert rows(read_score(path)) == [(0, 0, 4, 72), (0, 4, 7, 74), (0, 7, 8, 76), (0, 8, 12, 72), (1, 0, 12, 48)]


WRONG = '<part id="P0"><measure number="1"><note><rest/><duration>long</duration></note></measure></part>'


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("score.xml", b"", Reason.DAMAGED),
        ("score.xml", b"Dear Sir", Reason.DAMAGED),
        ("score.xml", b"<note/>", Reason.DAMAGED),
        ("score.mxl", b"PK\x03\x04 and no more", Reason.DAMAGED),
        ("score.krn", b"x", Reason.DAMAGED),
        ("score.xml", b"<score-partwise><part-list/></score-partwise>", Reason.NO_NOTES),
        (
            "score.xml",
            f'<score-partwise><part-list><score-part id="P0"/></part-list>{WRONG}</score-partwise>'.encode(),
            Reason.DAMAGED,
        ),
    ],
)
def test_files_that_are_no_scores_are_refused(tmp_path: Path, name: str, content: bytes, reason: Reason) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputFileError) as caught:
        read_score(path)
    assert caught.value.reason is reason


def test_nothing_is_left_behind_for_a_later_run_to_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    before = music21.environment.Environment()["directoryScratch"]
    path = score(tmp_path, {"": [metre("4/4") + note(60, 16)]})
    read_score(path)
    assert list(scratch.iterdir()) == []
    assert sorted(file.name for file in tmp_path.iterdir()) == ["score.musicxml", "scratch"]
    assert music21.environment.Environment()["directoryScratch"] == before


def test_without_music21_one_line_tells_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # None in sys.modules is how Python itself marks a module that is not to be had
    monkeypatch.setitem(sys.modules, "music21", None)
    for action in (music21_corpus, lambda: read_score(tmp_path / "score.xml")):
        with pytest.raises(SourceError, match=re.escape(how_to_install("chorales"))):
            action()


# --- preparation ---

FOUR = {name: [metre("4/4") + note(60, 16)] for name in ("Soprano", "Alto", "Tenor", "Bass")}
CHORALE = ChoraleRepresentation()


def test_a_score_in_four_parts_becomes_a_row_of_its_split(tmp_path: Path) -> None:
    path = score(tmp_path, FOUR)
    (row,) = ScorePreparation(CHORALE)(Item("a", path, "a", split="valid"))
    assert row.id == "a"
    assert CHORALE.decode(row.sequence.tolist()) == CHORALE.quantise(read_score(path))
    assert row.duration == 4 * 0.75


@pytest.mark.parametrize(
    ("parts", "split", "copies", "reason", "detail"),
    [
        (
            {"Horn": FOUR["Bass"], **FOUR},
            "train",
            {},
            Reason.OTHER_PARTS,
            r"5 parts \(Horn, Soprano, .*, expected 4",
        ),
        (
            {"Duo\r": FOUR["Bass"], "": FOUR["Bass"]},
            "train",
            {},
            Reason.OTHER_PARTS,
            r"2 parts \(Duo, \), expected",
        ),
        (FOUR, "", {}, Reason.UNEXPECTED_NAME, "no split is known for this name"),
        (FOUR, "train", {"a": "b"}, Reason.DUPLICATE, "has the same notes as b"),
    ],
)
def test_other_scores_are_refused_with_their_reason(
    tmp_path: Path, parts: dict[str, list[str]], split: str, copies: dict[str, str], reason: Reason, detail: str
) -> None:
    item = Item("a", score(tmp_path, parts), "a", split=split)
    with pytest.raises(InputFileError, match=detail) as caught:
        ScorePreparation(CHORALE, copies)(item)
    assert caught.value.reason is reason
