"""Intervals against tables; hits, alarms, thresholds and delays from known scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from seqaudio.evaluation.alarms.detectors import Recorded
from seqaudio.evaluation.alarms.material import Clip
from seqaudio.evaluation.alarms.scoring import Alarms, alarms, chosen_threshold, delays, words
from seqaudio.evaluation.alarms.track import Place
from seqaudio.evaluation.intervals import poisson

STEP = 0.1  # seconds, of made-up scores

# --- intervals ---


@pytest.mark.parametrize(
    ("count", "low", "high"),  # Garwood's table; for none the one-sided bound
    [
        (0, 0, 2.996),
        (1, 0.0253, 5.572),
        (2, 0.242, 7.225),
        (5, 1.623, 11.668),
        (10, 4.795, 18.390),
        (100, 81.36, 121.63),
    ],
)
def test_interval_of_a_count_is_that_of_the_table(count: int, low: float, high: float) -> None:
    assert poisson(count, 1.0) == pytest.approx((low, high), abs=6e-3)
    assert poisson(count, 4.0) == pytest.approx((low / 4, high / 4), abs=2e-3)


@given(st.integers(1, 30_000), st.floats(0.01, 1000))
@settings(max_examples=40)
def test_interval_of_a_count_is_the_exact_one(count: int, hours: float) -> None:
    low, high = stats.chi2.ppf([0.025, 0.975], [2 * count, 2 * count + 2]) / 2 / hours
    assert poisson(count, hours) == pytest.approx((low, high), rel=1e-7)


def test_no_time_has_no_rate() -> None:
    with pytest.raises(ValueError, match="expected 0 or more in a positive time"):
        poisson(3, 0.0)


# --- hits and alarms ---


def recorded(scores: Sequence[float]) -> Recorded:
    return Recorded(np.array(scores, dtype=np.float64), STEP, lead=STEP)


def test_alarms_are_at_least_a_second_apart() -> None:
    scores = np.zeros(100)
    scores[[10, 15, 20, 50, 59, 70]] = [0.5, 0.9, 0.6, 0.8, 0.7, 0.4]
    found = alarms(recorded(scores))
    assert found.scores[:3] == pytest.approx([0.9, 0.8, 0.4]), "the others are less than 1 s from a higher one"
    assert found.times[:3] == pytest.approx([1.6, 5.1, 7.1])
    assert [found.above(threshold) for threshold in (0.3, 0.4, 0.41, 0.85, 0.91)] == [3, 3, 2, 1, 0]


def test_a_detector_that_always_sounds_alarms_each_second() -> None:
    assert alarms(recorded([1.0] * 600)).above(1.0) == 60


made_up_scores = st.lists(st.integers(0, 20).map(lambda value: value / 20), min_size=1, max_size=120)


@given(made_up_scores)
def test_each_score_is_an_alarm_or_near_to_a_higher_one(values: list[float]) -> None:
    found = alarms(recorded(values))
    places = np.rint((found.times - STEP) / STEP).astype(int)
    assert np.array_equal(np.array(values)[places], found.scores)
    assert np.all(np.diff(found.scores) <= 0)
    assert np.all(np.diff(np.sort(places)) >= 10)
    for place, value in enumerate(values):
        assert found.scores[np.abs(places - place) < 10].max(initial=-1) >= value


@given(made_up_scores, st.integers(0, 20), st.integers(0, 20))
def test_a_higher_threshold_never_gives_more_hits_or_alarms(values: list[float], one: int, other: int) -> None:
    low, high = sorted((one / 20, other / 20))
    found = alarms(recorded(values))
    assert found.above(high) <= found.above(low)
    places = [
        Place(Clip(Path()), start, start + 0.5, start) for start in np.arange(0, len(values) * STEP, 2.0).tolist()
    ]
    heard = words(recorded(values), places, wait=0.4)
    assert np.all(heard.hits(low) >= heard.hits(high))
    assert len(delays(heard, low, STEP, 0.4)) == heard.hits(low).sum()


def test_a_hit_lies_between_the_start_of_the_word_and_a_second_after_its_end() -> None:
    for time, hit in ((1.9, False), (2.0, True), (2.5, True), (3.5, True), (3.6, False)):
        scores = np.zeros(60)
        scores[round((time - STEP) / STEP)] = 0.9
        heard = words(recorded(scores), [Place(Clip(Path()), 2.0, 2.5, 1.0)], wait=0.0)
        assert heard.hits(0.5).tolist() == [hit], time
        if hit:
            assert delays(heard, 0.5, STEP, 0.0) == pytest.approx([time - 2.5])
    near = np.zeros(60)
    near[round((1.2 - STEP) / STEP)] = 0.9
    other = words(recorded(near), [Place(Clip(Path()), 2.0, 2.5, 1.0)], wait=0.0, whole=True)
    assert other.hits(0.5).all(), "a clip without the word counts from its beginning"


def test_a_detector_that_waits_for_the_peak_reports_behind_it() -> None:
    scores = np.zeros(60)
    scores[20:26] = [0.6, 0.7, 0.7, 0.9, 0.8, 0.2]
    heard = words(recorded(scores), [Place(Clip(Path()), 1.5, 2.3, 1.5)], wait=0.4)
    assert delays(heard, 0.5, STEP, 0.0) == pytest.approx([2.1 - 2.3])
    assert delays(heard, 0.5, STEP, 0.4) == pytest.approx([2.5 - 2.3]), "the first fall"
    assert delays(heard, 0.5, STEP, 0.2) == pytest.approx([2.3 - 2.3]), "it waits no longer than that"
    assert delays(heard, 0.95, STEP, 0.4).shape == (0,)


def test_the_chosen_threshold_is_the_lowest_that_is_allowed() -> None:
    found = Alarms(np.array([0.9, 0.8, 0.8, 0.5, 0.1]), np.arange(5.0))
    assert found.above(chosen_threshold(found, hours=4.0, per_hour=0.5, bottom=0.0, top=1.0)) == 1, (
        "2 allowed, but 3 are alike"
    )
    threshold = chosen_threshold(found, hours=6.0, per_hour=0.5, bottom=0.0, top=1.0)
    assert 0.5 < threshold < 0.5001
    alone = chosen_threshold(found, hours=1.0, per_hour=0.5, bottom=0.0, top=1.0)
    assert alone == pytest.approx(0.9 + 0.05 * 0.8), "none is allowed, so it lies above the highest by a margin"
    close = Alarms(np.array([0.99, 0.0]), np.arange(2.0))
    assert chosen_threshold(close, 1.0, 0.5, bottom=0.0, top=1.0) == pytest.approx(0.995), "words can still pass"
    certain = Alarms(np.array([1.0, 0.0]), np.arange(2.0))
    assert chosen_threshold(certain, 1.0, 0.5, bottom=0.0, top=1.0) > 1.0, "no threshold is high enough"
    nothing = alarms(recorded([-math.inf] * 50))
    assert len(nothing.scores) == 0, "there is nothing to report"
    assert chosen_threshold(nothing, 1.0, 0.5, bottom=-50.0, top=math.inf) == -50.0
