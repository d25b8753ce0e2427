"""Comments of a written file are found again, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seqaudio.midi.comments import read_comments
from seqaudio.midi.writing import midi_bytes, write_midi
from seqaudio.notes import NoteSequence

NOTES = NoteSequence.from_columns([0, 480], [480, 960], [60, 62], tempos=[(0, 400_000)])


@pytest.mark.parametrize("comments", [[], ["one"], ["first; seed 1", "Türkçe \u266b", "x" * 300]])
def test_comments_are_read_as_they_were_written(tmp_path: Path, comments: list[str]) -> None:
    write_midi(NOTES, tmp_path / "x.mid", comments)
    assert read_comments(tmp_path / "x.mid") == tuple(comments)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(cut=st.integers(0, 120), place=st.integers(0, 120), value=st.integers(0, 255))
def test_a_damaged_file_never_raises(tmp_path: Path, cut: int, place: int, value: int) -> None:
    data = bytearray(midi_bytes(NOTES, ["a comment"])[:cut])
    if place < len(data):
        data[place] = value
    (tmp_path / "x.mid").write_bytes(data)
    assert all(isinstance(comment, str) for comment in read_comments(tmp_path / "x.mid"))
