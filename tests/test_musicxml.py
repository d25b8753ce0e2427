"""Scores that are written are read back note for note: by music21, in any metre, with chords, ties and tuplets."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import Command, assert_refused
from seqaudio.errors import OptionError
from seqaudio.midi import musicxml as written
from seqaudio.midi.musicxml import musicxml, on_grid, spelt
from seqaudio.midi.score import read_score
from seqaudio.notes import NoteSequence, TimeSignature
from seqaudio.notes.keys import key_name, key_named
from seqaudio.notes.quantise import resolve_overlaps
from seqaudio.notes.sequence import KeySignature
from seqaudio.rendering import engraving

METRES = ((4, 4), (3, 4), (2, 4), (6, 8), (9, 8), (12, 8), (3, 8), (2, 2), (5, 4), (7, 8), (1, 4), (3, 16))
PER_TICK = 480 // written.STEPS  # of read_score


def piece(seed: int, metre: tuple[int, int] = (4, 4), wide: bool = True) -> NoteSequence:
    """Two parts in 32nds, triplets and anything between, with chords and overlaps; keys and metres change at times."""
    draw = np.random.default_rng(seed)
    rows = []
    for track in range(2):
        at = 0
        for _ in range(int(draw.integers(1, 25))):
            at += int(draw.choice([0, 3, 4, 6, 8, 12, 24, 1]))
            length = int(draw.choice([3, 6, 8, 12, 16, 24, 36, 60, 100, 1]))
            rows.append((at, at + length, int(draw.integers(36, 84) if wide else draw.integers(60, 80)), track))
    start, end, pitch, track_of = np.array(sorted(set(rows))).T
    bar = 96 * metre[0] // metre[1]
    metres = [TimeSignature(0, *metre), *([TimeSignature(2 * bar, 2, 4)] if draw.random() < 0.3 else [])]
    key = KeySignature(0, int(draw.integers(-7, 8)), bool(draw.random() < 0.5))
    return resolve_overlaps(
        NoteSequence.from_columns(
            start, end, pitch, track=track_of, program=np.where(track_of == 1, 40, 0), ticks_per_quarter=24,
            time_signatures=metres, key_signatures=[key], track_names=("Right", "Violin"),
        )
    )  # fmt: skip


def rows(notes: NoteSequence, times: int = 1) -> set[tuple[int, ...]]:
    columns = (notes.start_tick * times, notes.end_tick * times, notes.pitch)
    return set(zip(*(column.tolist() for column in columns), strict=True))


def read(folder: Path, content: bytes) -> NoteSequence:
    path = folder / "score.musicxml"
    path.write_bytes(content)
    return read_score(path)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 100_000), st.sampled_from(METRES))
def test_a_score_is_read_back_note_for_note(tmp_path: Path, seed: int, metre: tuple[int, int]) -> None:
    pytest.importorskip("music21")
    notes = piece(seed, metre)
    made = read(tmp_path, musicxml(notes))
    assert rows(made) == rows(notes, PER_TICK)
    assert [one.name for one in made.time_signatures][:1] == [notes.time_signatures[0].name]


def test_parts_keep_their_names_tracks_and_notes(tmp_path: Path) -> None:
    pytest.importorskip("music21")
    notes = piece(1, wide=False)
    made = read(tmp_path, musicxml(notes))
    assert made.track_names == ("Right", "Violin")
    for track in (0, 1):
        assert rows(made.select(made.track == track)) == rows(notes.select(notes.track == track), PER_TICK)


@settings(max_examples=40)
@given(st.integers(0, 100_000), st.sampled_from(METRES))
def test_voices_fill_their_bars_with_note_values_that_last_as_long(seed: int, metre: tuple[int, int]) -> None:
    values = {"whole": 96, "half": 48, "quarter": 24, "eighth": 12, "16th": 6, "32nd": 3, "64th": 1.5}
    root = ElementTree.fromstring(musicxml(piece(seed, metre)))
    for measure in root.iter("measure"):
        at, furthest = 0, 0
        for one in measure:
            length = int(one.findtext("duration", "0"))
            if one.tag == "note":
                kind = one.findtext("type")
                if kind is not None:
                    worth = values[kind] * (1.5 if one.find("dot") is not None else 1)
                    assert length == worth * (2 / 3 if one.find("time-modification") is not None else 1)
                at += 0 if one.find("chord") is not None else length
            elif one.tag in ("backup", "forward"):
                assert one.tag == "forward" or length == at  # each voice fills the bar
                at += length if one.tag == "forward" else -length
            furthest = max(furthest, at)
        assert at == furthest
        beams = [one.text for one in measure.iter("beam") if one.get("number") == "1"]
        assert beams.count("begin") == beams.count("end")


def test_key_metre_tempo_and_instrument_are_written() -> None:
    notes = NoteSequence.from_columns(
        [0, 480], [480, 960], [62, 66], program=73, time_signatures=[TimeSignature(0, 6, 8)],
        key_signatures=[key_named("D major")], tempos=[(0, 750_000)],
    )  # fmt: skip
    root = ElementTree.fromstring(musicxml(notes, "A tune", ["made by hand"]))
    assert root.findtext("work/work-title") == "A tune"
    assert root.findtext("identification/miscellaneous/miscellaneous-field") == "made by hand"
    assert root.findtext("part-list/score-part/part-name") == "Flute"
    assert root.findtext("part-list/score-part/midi-instrument/midi-program") == "74"
    assert (root.findtext(".//key/fifths"), root.findtext(".//key/mode")) == ("2", "major")
    assert (root.findtext(".//time/beats"), root.findtext(".//time/beat-type")) == ("6", "8")
    sound = root.find(".//sound")
    assert sound is not None and sound.get("tempo") == "80"
    assert root.find(".//accidental") is None, "F sharp is in the key signature"
    assert musicxml(notes) == musicxml(notes)


@pytest.mark.parametrize(("pitch", "key", "name"), [
    (61, "D major", ("C", 1, 4)), (61, "Ab major", ("D", -1, 4)), (58, "C major", ("B", -1, 3)),
    (68, "A minor", ("G", 1, 4)), (60, "C# major", ("B", 1, 3)), (59, "Cb major", ("C", -1, 4)),
    (127, "C major", ("G", 0, 9)),
])  # fmt: skip
def test_names_of_notes_follow_the_key(pitch: int, key: str, name: tuple[str, int, int]) -> None:
    assert spelt(pitch, key_named(key)) == name


def test_every_name_sounds_its_pitch() -> None:
    sounds = dict(zip("CDEFGAB", (0, 2, 4, 5, 7, 9, 11), strict=True))
    for pitch, sharps in product(range(128), range(-7, 8)):
        letter, alter, octave = spelt(pitch, KeySignature(0, sharps, False))
        assert 12 * (octave + 1) + sounds[letter] + alter == pitch
        assert abs(alter) <= 2, key_name(KeySignature(0, sharps, False))


def test_times_that_are_on_no_grid_are_moved_to_twelfths() -> None:
    notes = NoteSequence.from_columns([7, 481], [470, 483], [60, 62])
    moved = on_grid(notes)
    assert (moved.start_tick.tolist(), moved.end_tick.tolist()) == ([0, 24], [24, 26])


def test_drums_have_lines_and_their_own_sounds() -> None:
    notes = NoteSequence.from_columns([0, 480], [480, 960], [36, 42], is_drum=True)
    root = ElementTree.fromstring(musicxml(notes))
    assert root.findtext(".//clef/sign") == "percussion"
    assert [one.text for one in root.iter("midi-unpitched")] == ["37", "43"]
    places = [(one.findtext("display-step"), one.findtext("display-octave")) for one in root.iter("unpitched")]
    assert places == [("F", "4"), ("G", "5")]


def test_a_time_signature_of_64ths_is_refused() -> None:
    notes = NoteSequence.from_columns([0], [480], [60], time_signatures=[TimeSignature(0, 3, 64)])
    with pytest.raises(OptionError, match="3/64"):
        musicxml(notes)


def test_scores_are_written_beside_a_piece(command: Command, tune_run: Path, tmp_path: Path) -> None:
    done = command("seqaudio", "generate", tune_run, "--out", tmp_path / "a.mid", "--bars", "4", "--musicxml")
    assert done.returncode == 0, done.stderr
    assert "also" in done.stdout and "a.musicxml" in done.stdout
    assert b"<score-partwise" in (tmp_path / "a.musicxml").read_bytes()
    again = command("seqaudio", "generate", tune_run, "--out", tmp_path / "b.mid", "--musicxml")
    assert again.returncode == 0, again.stderr
    (tmp_path / "b.mid").unlink()
    assert_refused(command("seqaudio", "generate", tune_run, "--out", tmp_path / "b.mid", "--musicxml"), "exists")


def test_a_missing_engraver_is_one_line(
    command: Command, tune_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engraving, "find_spec", lambda name: None)
    with pytest.raises(OptionError, match=re.escape("pip install verovio")):
        engraving.require_engraver("svg")


def test_a_score_is_engraved(tmp_path: Path) -> None:
    pytest.importorskip("verovio", reason='needs verovio: pip install ".[scores]"')
    for name in ("a.score.svg", "b.score.svg"):
        engraving.engrave(musicxml(piece(3)), tmp_path / name)
    picture = (tmp_path / "a.score.svg").read_bytes()
    assert picture.startswith((b"<?xml", b"<svg"))
    assert picture == (tmp_path / "b.score.svg").read_bytes()
    with pytest.raises(OptionError, match="cannot read the score"):
        engraving.engrave(b"no score", tmp_path / "c.score.svg")
