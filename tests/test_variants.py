"""Versions of a piece are told from other pieces by their windows of sonorities."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from seqaudio.notes import NoteSequence
from seqaudio.prepare.music.variants import SILENT, Windows, clusters, similarity, sounding, windows


def harmony(seed: int, chords: int = 60) -> np.ndarray:
    """[chords, 4] pitches of four voices, each chord other than the one before."""
    draw = np.random.default_rng(seed)
    voices = draw.integers(0, 12, size=(chords, 4)) + np.array([60, 55, 48, 40])
    voices[:, 3] += np.arange(chords) % 2 * 12
    return voices


def of(pitches: np.ndarray, width: int = 4) -> Windows:
    return windows(pitches, width)


def test_what_sounds_is_the_pitch_of_each_track_at_each_step() -> None:
    notes = NoteSequence.from_columns(
        [0, 240, 0, 0], [240, 360, 120, 480], [72, 74, 50, 48], track=[0, 0, 1, 2], track_names=("a", "b", "c", "d")
    )
    expected = [[72, 50, 48, SILENT], [72, SILENT, 48, SILENT], [74, SILENT, 48, SILENT], [SILENT, SILENT, 48, SILENT]]
    assert sounding(notes).tolist() == expected
    assert sounding(notes.select(notes.pitch > 100)).shape == (0, 4)


def test_the_highest_of_a_chord_sounds() -> None:
    notes = NoteSequence.from_columns([0, 0, 120], [480, 240, 240], [60, 64, 62])
    assert sounding(notes)[:, 0].tolist() == [64, 64, 60, 60]


def test_a_window_in_literal_intervals() -> None:
    pitches = np.array([[72, 48], [72, 48], [74, 48], [SILENT, SILENT], [SILENT, 47], [60, 47]])
    # four sonorities 72 48, 74 48, - 47, 60 47; the first window counts from 48
    expected = np.array([[0, 0], [2, 0], [SILENT, 11]], dtype=np.int8).tobytes()
    assert expected in windows(pitches, 3)
    assert len(windows(pitches, 3)) == 2
    assert len(windows(pitches, 4)) == 1
    assert windows(pitches, 5) == frozenset()


@pytest.mark.parametrize(
    "version",
    [
        pytest.param(lambda piece: piece + 5, id="another key"),
        pytest.param(lambda piece: piece - [12, 0, 0, 12], id="octaves"),
        pytest.param(lambda piece: np.repeat(piece, 2, axis=0), id="note values doubled"),
        pytest.param(lambda piece: np.concatenate([np.full((5, 4), SILENT), piece]), id="a rest before"),
    ],
)
def test_key_octave_note_values_and_upbeat_change_no_window(version: Callable[[np.ndarray], np.ndarray]) -> None:
    assert of(version(harmony(1))) == of(harmony(1))


def test_a_played_repeat_and_a_few_other_notes_leave_a_version_of_the_piece() -> None:
    piece = harmony(2)
    repeated = np.concatenate([piece[:25], piece])
    assert similarity(of(piece), of(repeated)) == 1.0
    changed = piece.copy()
    changed[[10, 30, 50], 1] += 1
    assert 0.7 < similarity(of(piece), of(changed)) < 0.9


def test_other_pieces_share_nothing() -> None:
    assert similarity(of(harmony(3)), of(harmony(4))) == 0.0


def test_similarity_is_the_share_of_the_smaller_piece() -> None:
    short, long = frozenset({b"a", b"b"}), frozenset({b"b", b"c", b"d", b"e"})
    assert similarity(short, long) == similarity(long, short) == 0.5
    assert similarity(frozenset(), long) == similarity(frozenset(), frozenset()) == 0.0


def test_clusters_are_chains_of_versions() -> None:
    def marks(text: str) -> Windows:
        return frozenset(mark.encode() for mark in text)

    # the third joins the first two, which share nothing; the last stands alone
    pieces = [marks("abcd"), marks("mnop"), marks("xyzu"), marks("cdmn"), marks("rst")]
    assert clusters(pieces, 0.5) == [0, 0, 2, 0, 4]
    assert clusters(pieces, 0.6) == [0, 1, 2, 3, 4]
    assert clusters([], 0.5) == []
