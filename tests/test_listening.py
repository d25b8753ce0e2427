"""Figures of what a listener notices first, and the script that prints them beside the training pieces."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conftest import Command, assert_refused
from seqaudio.evaluation.listening import Heard, against, most_at_once, repeated_patterns, summary
from seqaudio.midi import write_midi
from seqaudio.notes import NoteSequence, TimeSignature

SCRIPT = "recipes/music_generation/listen.py"
LINE = [60, 62, 64, 65, 67, 65, 64, 69, 71, 60]  # nine intervals: two patterns of eight


def line(pitches: list[int], **more: object) -> NoteSequence:
    starts = [240 * place for place in range(len(pitches))]
    return NoteSequence.from_columns(starts, [start + 240 for start in starts], pitches, **more)  # type: ignore[arg-type]


def test_patterns_that_return_are_counted_in_any_key() -> None:
    assert repeated_patterns(line(LINE)) == 0
    twice = line(LINE + [pitch + 3 for pitch in LINE])
    # twelve patterns: two of the line twice, and eight across the border, once each
    assert repeated_patterns(twice) == pytest.approx(4 / 12)
    assert repeated_patterns(line([60, 62] * 20)) == 1
    assert repeated_patterns(line([60, 62, 64])) == 0


def test_notes_that_follow_each_other_do_not_sound_at_once() -> None:
    assert most_at_once(line(LINE)) == 1
    assert most_at_once(NoteSequence.from_columns([0, 0, 480], [480, 960, 960], [60, 64, 67])) == 2


def test_a_piece_is_heard() -> None:
    notes = NoteSequence.from_columns(
        [0, 1440],
        [1440, 3 * 1440],
        [60, 64],
        program=40,
        tempos=[(0, 400_000)],
        time_signatures=[TimeSignature(0, 6, 8)],
    )
    assert Heard.of(notes) == Heard(6.0, 1, 3, "6/8", 150.0, 40, 0.0, ends_on_bar_line=True)
    short = notes.with_columns(end_tick=[1440, 4000])
    found = Heard.of(short)
    assert found is not None and not found.ends_on_bar_line
    assert Heard.of(NoteSequence.from_columns([0], [480], [36], is_drum=True)) is None


def test_pieces_are_summed_up_and_compared() -> None:
    one = Heard(1.0, 2, 8, "4/4", 120.0, 0, 0.5, ends_on_bar_line=True)
    other = Heard(9.0, 4, 40, "3/4", 90.0, 0, 0.0, ends_on_bar_line=False)
    found = summary([one, one, other])
    assert found["bars"] == {"least": 8, "median": 8, "most": 40}
    assert found["metres"] == {"4/4": 2, "3/4": 1}
    assert found["ending_on_bar_line"] == pytest.approx(2 / 3)
    assert against([one, other], [one]) == {"longer_note": 1, "other_length": 1, "other_metre": 1}


def test_the_script_prints_pieces_beside_training_pieces(command: Command, tune_store: Path, tmp_path: Path) -> None:
    write_midi(line(LINE), tmp_path / "a.mid")
    done = command(SCRIPT, tmp_path, "--store", tune_store)
    assert done.returncode == 0, done.stderr
    assert "repeated patterns" in done.stdout and "ending on bar line" in done.stdout
    found = json.loads(command(SCRIPT, tmp_path, "--store", tune_store, "--json").stdout)
    assert found["pieces"]["pieces"] == 1 and found["training"]["pieces"] > 1
    assert set(found) == {"pieces", "training", "outside"}


def test_folders_without_music_are_refused(command: Command, tune_store: Path, tmp_path: Path) -> None:
    assert_refused(command(SCRIPT, tmp_path / "none", "--store", tune_store), "no such folder")
    write_midi(NoteSequence.from_columns([0], [480], [36], is_drum=True), tmp_path / "drums.mid")
    assert_refused(command(SCRIPT, tmp_path, "--store", tune_store), "has no pitched notes")
    assert_refused(command(SCRIPT, tmp_path, "--store", tmp_path), "not a store")
