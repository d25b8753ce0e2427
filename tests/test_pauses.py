"""Cuts at pauses: where the quiet is, the same for any blocks, and nothing that sounds is lost."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
import pytest

from seqaudio.decoding.pauses import MARGIN, PauseCutter

RATE = 8000


class Found(NamedTuple):
    start: float
    end: float
    sounds: bool


def noise(seconds: float, level: float) -> np.ndarray:
    draw = np.random.default_rng(round(1000 * seconds))
    return (level * draw.standard_normal(round(seconds * RATE))).astype(np.float32)


def speech(*pauses: float) -> np.ndarray:
    """Two seconds of sound before each pause, which is not digital silence."""
    return np.concatenate([part for pause in pauses for part in (noise(2.0, 0.1), noise(pause, 1e-4))])


def segments(sound: np.ndarray, block: int, least: float, most: float | None = None) -> list[Found]:
    """The segments of the sound in blocks; their pieces are checked to be the sound, without gaps."""
    cutter = PauseCutter(RATE, least, most)
    pushed = (cutter.push(sound[start : start + block]) for start in range(0, len(sound), block))
    found: list[Found] = []
    first = at = None
    for piece in [*itertools.chain.from_iterable(pushed), *cutter.finish()]:
        if first is None:
            first = at = piece.start
        assert piece.start == at
        at += len(piece.samples)
        assert np.array_equal(piece.samples, sound[piece.start : at])
        if piece.ends:
            found.append(Found(first / RATE, at / RATE, piece.sounds))
            first = None
    assert first is None, "the last piece ends a segment"
    return found


@pytest.mark.parametrize(("least", "most"), [(1.0, None), (3.0, None), (3.0, 6.0), (1.0, 1.5)])
def test_blocks_do_not_matter(least: float, most: float | None) -> None:
    sound = speech(0.4, 0.2, 1.5, 0.5, 0.1)[:-33]
    whole = segments(sound, len(sound), least, most)
    assert len(whole) > 1
    for block in (80, 777, RATE):
        assert segments(sound, block, least, most) == whole


def test_a_segment_ends_in_the_first_pause_that_is_long_enough() -> None:
    cuts = segments(speech(0.2, 0.6, 0.5, 0.4), RATE, least=3.0)
    assert [round(found.end, 1) for found in cuts[:-1]] == [4.5, 9.6]
    assert all(found.sounds for found in cuts[:2])


def test_quiet_before_a_later_segment_is_dropped_but_for_a_margin() -> None:
    cuts = segments(np.concatenate([speech(5.0), speech(0.5)]), RATE, least=1.0)
    assert cuts[0].end == pytest.approx(2.3, abs=0.02)
    assert cuts[1].start == pytest.approx(7.0 - MARGIN, abs=0.03)


def test_a_segment_without_a_pause_is_cut_at_its_quietest_place() -> None:
    sound = np.concatenate([noise(2.5, 0.1), noise(0.1, 0.01), noise(3.0, 0.1)])
    cuts = segments(sound, RATE, least=1.0, most=3.0)
    assert 2.5 <= cuts[0].end <= 2.6


def test_silence_is_a_segment_that_does_not_sound() -> None:
    assert segments(np.zeros(2 * RATE, dtype=np.float32), 1000, least=5.0) == [Found(0.0, 2.0, False)]
    assert segments(np.zeros(0, dtype=np.float32), 1000, least=5.0) == []


def test_a_long_silence_does_not_grow_in_memory() -> None:
    cutter = PauseCutter(RATE, least=1.0)
    for _ in range(120):
        for _piece in cutter.push(np.zeros(RATE, dtype=np.float32)):
            pass
    assert sum(map(len, cutter._held)) <= (MARGIN + 0.1) * RATE
