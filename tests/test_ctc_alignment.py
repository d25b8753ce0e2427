"""Forced alignment: times built into a matrix, enumeration of all paths, torchaudio's."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from seqaudio.decoding import ctc_alignment
from seqaudio.decoding.ctc_alignment import Word, align, frames_needed, word_times
from seqaudio.decoding.ctc_models import Units
from seqaudio.errors import AlignmentError

UNITS = Units(("<blank>", " ", *"abcdefg"))


def noise(length: int, V: int, seed: int) -> np.ndarray:
    logits = np.random.default_rng(seed).normal(0, 2, size=(length, V))
    result: np.ndarray = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    return result


def ids_of(text: str) -> list[int]:
    return [UNITS.names.index(character) for character in text]


def test_times_built_into_a_matrix_are_found() -> None:
    draw = np.random.default_rng(1)
    for _ in range(20):
        units = draw.integers(1, 9, size=12)
        lengths, pauses = draw.integers(1, 6, size=12), draw.integers(1, 6, size=13)
        start = np.cumsum(np.concatenate([[0], lengths[:-1]])) + np.cumsum(pauses[:-1])
        frames = np.full((lengths.sum() + pauses.sum(), 9), np.log(0.01 / 8))
        path = np.zeros(len(frames), dtype=np.int64)
        for unit, first, length in zip(units, start, lengths, strict=True):
            path[first : first + length] = unit
        frames[np.arange(len(frames)), path] = np.log(0.99)
        found = align(frames, units.tolist())
        np.testing.assert_array_equal(found.path, path)
        np.testing.assert_array_equal(found.start, start)
        np.testing.assert_array_equal(found.end, start + lengths)
        assert found.log_probability == pytest.approx(len(frames) * np.log(0.99))


def test_words_have_the_times_of_their_units() -> None:
    text = "ab a  gg"
    path = [0, 2, 2, 3, 0, 1, 2, 0, 1, 0, 1, 0, 0, 8, 0, 8, 8, 0]
    frames = np.full((len(path), 9), np.log(0.01 / 8))
    frames[np.arange(len(path)), path] = np.log(0.99)
    words = word_times(align(frames, ids_of(text)), ids_of(text), UNITS, frame_shift=0.04)
    expected = [Word("ab", 0.04, 0.16), Word("a", 0.24, 0.28), Word("gg", 0.52, 0.68)]
    assert [word.text for word in words] == [word.text for word in expected]
    np.testing.assert_allclose([(w.start, w.end) for w in words], [(w.start, w.end) for w in expected])


def test_units_without_a_space_are_words() -> None:
    digits = Units(("<blank>", "one", "two"))
    frames = np.log(np.array([[0.1, 0.8, 0.1], [0.8, 0.1, 0.1], [0.1, 0.1, 0.8], [0.1, 0.1, 0.8]]))
    assert word_times(align(frames, [1, 2]), [1, 2], digits, 0.5) == [Word("one", 0.0, 0.5), Word("two", 1.0, 2.0)]


@pytest.mark.parametrize("units", [[], [1], [1, 1], [1, 2, 1], [2, 2, 1]])
def test_the_path_is_the_best_of_all(units: list[int]) -> None:
    frames = noise(6, 3, seed=sum(units))
    scores = {
        path: frames[np.arange(6), path].sum()
        for path in itertools.product(range(3), repeat=6)
        if [unit for unit, _ in itertools.groupby(path) if unit] == units
    }
    found = align(frames, units)
    best = max(scores, key=lambda path: scores[path])
    assert tuple(found.path) == best
    assert found.log_probability == pytest.approx(scores[best])


def test_frames_that_just_suffice_leave_one_path() -> None:
    found = align(noise(4, 4, 2), [2, 2, 3])
    assert found.path.tolist() == [2, 0, 2, 3]
    assert frames_needed([2, 2, 3]) == 4


def test_a_long_text_is_aligned() -> None:
    units = np.random.default_rng(3).integers(1, 9, size=400).tolist()
    found = align(noise(1500, 9, 3), units)
    assert [unit for unit, _ in itertools.groupby(found.path) if unit] == [
        unit for k, unit in enumerate(found.path) if unit and (k == 0 or found.path[k - 1] != unit)
    ]
    assert [int(found.path[first]) for first in found.start] == units
    assert (found.start[1:] >= found.end[:-1]).all()


def test_a_text_that_is_longer_than_the_sound_is_refused() -> None:
    with pytest.raises(AlignmentError, match="3 units need at least 4 frames, got 3; the text is longer"):
        align(noise(3, 4, 0), [2, 2, 3])
    with pytest.raises(AlignmentError, match="1 units need at least 1 frames, got 0"):
        align(np.zeros((0, 4)), [2])


def test_an_impossible_text_is_refused() -> None:
    frames = noise(5, 4, 0)
    frames[:, 3] = -np.inf
    with pytest.raises(AlignmentError, match="probability 0"):
        align(frames, [3])
    assert align(frames, [1, 2]).path.max() == 2


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctc_alignment, "MAX_CELLS", 100)
    with pytest.raises(AlignmentError, match="6 units in 20 frames are too many; cut the recording at pauses"):
        align(noise(20, 4, 0), [1, 2, 3, 1, 2, 3])


@pytest.mark.parametrize("units", [[0], [4], [-1]])
def test_ids_out_of_range_are_refused(units: list[int]) -> None:
    with pytest.raises(ValueError, match=r"expected \[T, V\] and ids 1\.\.V - 1"):
        align(noise(5, 4, 0), units)


def test_torchaudio_finds_the_same_path() -> None:
    torch, functional = pytest.importorskip("torch"), pytest.importorskip("torchaudio.functional")
    draw = np.random.default_rng(4)
    for seed in range(50):
        units = draw.integers(1, 7, size=draw.integers(1, 9)).tolist()
        frames = noise(frames_needed(units) + int(draw.integers(0, 20)), 7, seed)
        [path], [scores] = functional.forced_align(torch.from_numpy(frames)[None], torch.tensor([units]), blank=0)
        found = align(frames, units)
        assert found.path.tolist() == path.tolist()
        assert found.log_probability == pytest.approx(float(scores.sum()))
