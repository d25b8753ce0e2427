"""Spotting in a stream: the same averages, peaks and hits whatever the chunks, and what a run keeps for it."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import RATE, Command, assert_refused, spoken
from seqaudio.decoding.spotting import (
    MOST_ODDS,
    SPOTTING_FILE,
    Averages,
    Peaks,
    Smoother,
    Spotter,
    clip_probabilities,
    spotting_of,
)
from seqaudio.errors import OptionError, RunError
from seqaudio.run_folder import RunFolder
from seqaudio.vocabulary import Vocabulary

WORDS = ("one", "two", "three")
probabilities = st.lists(st.sampled_from([0.0, 0.2, 0.4, 0.5, 0.6, 0.8, 0.9, 1.0]), min_size=1, max_size=60)
cuts = st.lists(st.integers(0, 60), max_size=6)


def pieces(values: np.ndarray, places: list[int]) -> list[np.ndarray]:
    """Values cut at places, some of the pieces empty."""
    return np.split(values, sorted(min(place, len(values)) for place in places))


# --- averages ---


@given(st.integers(1, 40), st.integers(1, 8), cuts, st.integers(0, 99))
@settings(max_examples=50)
def test_averages_are_those_over_the_last_frames_whatever_the_chunks(
    count: int, frames: int, places: list[int], seed: int
) -> None:
    values = np.random.default_rng(seed).random((count, 3))
    smoother = Smoother(frames, 3)
    averages = np.concatenate([smoother.push(part) for part in pieces(values, places)])
    odds = np.clip(np.log(values / (1 - values)), -MOST_ODDS, MOST_ODDS)
    padded = np.concatenate([np.full((frames - 1, 3), -MOST_ODDS), odds])
    expected = [padded[step : step + frames].mean(axis=0) for step in range(count)]
    np.testing.assert_allclose(averages, 1 / (1 + np.exp(-np.array(expected))), atol=1e-12)


@given(st.integers(1, 90), cuts)
@settings(max_examples=20)
def test_other_speech_has_to_go_on(count: int, places: list[int]) -> None:
    labels = Vocabulary.from_labels(["unknown", "yes"])
    values = np.random.default_rng(count).random((count, 2))
    both = Averages(0.02, labels)
    averages = np.concatenate([both.push(part) for part in pieces(values, places)])
    padded = np.concatenate([np.zeros(39), values[:, labels.index("unknown")]])
    expected = [padded[step : step + 40].mean() for step in range(count)]
    np.testing.assert_allclose(averages[:, labels.index("unknown")], expected, atol=1e-12)
    word = labels.index("yes")
    np.testing.assert_array_equal(averages[:, word], Smoother(12, 2).push(values)[:, word])


# --- peaks ---


def found(
    values: list[float] | np.ndarray, places: list[int], *, threshold: float, refractory: int, hold: int = 10
) -> list[tuple[int, float, int]]:
    """The hits in values that come in pieces."""
    peaks = Peaks(threshold, refractory, hold)
    return [hit for part in pieces(np.array(values), places) for hit in peaks.push(part)] + peaks.finish()


def test_a_rise_is_one_hit_at_its_peak() -> None:
    rise = [0.1, 0.6, 0.9, 0.8, 0.7, 0.1, 0.1, 0.6, 0.1]
    assert found(rise, [], threshold=0.5, refractory=5) == [(2, 0.9, 3), (7, 0.6, 8)]
    assert found(rise, [], threshold=0.5, refractory=6) == [(2, 0.9, 3)], "deaf for six frames from the peak on"
    assert found(rise, [], threshold=0.7, refractory=1) == [(2, 0.9, 3), (4, 0.7, 5)]
    assert found([0.1, 0.6, 0.7], [], threshold=0.5, refractory=5) == [(2, 0.7, 2)], "at the end of the stream"


def test_a_level_that_stays_high_is_told_within_the_hold() -> None:
    assert found([0.8] * 50, [], threshold=0.5, refractory=30, hold=10)[0] == (0, 0.8, 10)
    ever_higher = np.linspace(0.5, 0.9, 50)
    assert found(ever_higher, [], threshold=0.5, refractory=100, hold=10)[0][2] == 10


@given(probabilities, cuts, st.integers(1, 20), st.integers(1, 12), st.sampled_from([0.3, 0.5, 0.75]))
@settings(max_examples=150)
def test_hits_are_those_of_the_whole_above_the_threshold_and_apart(
    values: list[float], places: list[int], refractory: int, hold: int, threshold: float
) -> None:
    chosen = {"threshold": threshold, "refractory": refractory, "hold": hold}
    hits = found(values, [], **chosen)
    assert found(values, places, **chosen) == hits
    assert bool(hits) == (max(values) >= threshold)
    for peak, confidence, frame in hits:
        assert confidence == values[peak] >= threshold
        assert peak <= frame <= peak + hold
    assert all(after[0] - before[0] >= refractory for before, after in itertools.pairwise(hits))


# --- a clip ---


@given(st.integers(0, 999), st.sets(st.sampled_from(["unknown", "silence"])), st.integers(1, 4))
@settings(max_examples=60)
def test_probabilities_of_a_clip_are_some(seed: int, reject: set[str], words: int) -> None:
    labels = Vocabulary.from_labels({*"abcd"[:words], *reject})
    draw = np.random.default_rng(seed)
    averages = draw.dirichlet(np.full(len(labels), 0.3), size=12) * draw.uniform(0.1, 1)
    told = clip_probabilities(averages, labels)
    assert told.sum() == pytest.approx(1)
    assert (told >= 0).all()
    keywords = [place for place, name in enumerate(labels) if name in "abcd"]
    highest = averages.max(axis=0)[keywords]
    assert told[keywords].argmax() == highest.argmax()


def test_a_clip_is_its_surest_keyword_else_other_speech_else_silence() -> None:
    labels = Vocabulary(("go", "stop", "unknown", "silence"))

    def told(*frames: list[float]) -> str:
        return labels[int(clip_probabilities(np.array(frames), labels).argmax())]

    quiet = [0.0, 0.0, 0.0, 1.0]
    assert told(quiet, [0.8, 0.1, 0.1, 0.0], quiet, quiet) == "go", "for however short a time"
    assert told([0.3, 0.6, 0.1, 0.0], [0.7, 0.2, 0.1, 0.0]) == "go"
    assert told(quiet, [0.1, 0.1, 0.8, 0.0], quiet) == "unknown"
    assert told(quiet, [0.1, 0.1, 0.2, 0.6], quiet) == "silence"


# --- a run ---


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    """Three words in faint noise, two seconds apart, [N] float32."""
    noise = 1e-3 * np.random.default_rng(0).standard_normal(7 * RATE)
    for place, word in enumerate((1, 0, 2)):
        part = spoken(word, 1, 2)
        noise[(1 + 2 * place) * RATE :][: len(part)] += part
    return noise.astype(np.float32)


def test_words_of_a_stream_are_heard_where_they_are(spotting_run: Path, sound: np.ndarray) -> None:
    spotter = Spotter(RunFolder(spotting_run))
    hits = spotter.push(sound) + spotter.finish()
    assert [hit.keyword for hit in hits] == ["two", "one", "three"]
    for place, hit in enumerate(hits):
        assert hit.start == pytest.approx(1 + 2 * place, abs=0.2)
        assert 0.2 < hit.end - hit.start < 0.45
        assert hit.end - 0.2 < hit.at < hit.end + 1


@pytest.mark.parametrize("sizes", [(640,), (1, 7, 3000), (317,)])
def test_hits_do_not_depend_on_the_blocks(spotting_run: Path, sound: np.ndarray, sizes: tuple[int, ...]) -> None:
    spotter = Spotter(RunFolder(spotting_run))
    whole = spotter.push(sound) + spotter.finish()
    highest, hits, place, turn = spotter.highest, [], 0, 0
    while place < len(sound):
        hits += spotter.push(sound[place : place + sizes[turn % len(sizes)]])
        place, turn = place + sizes[turn % len(sizes)], turn + 1
    hits += spotter.finish()
    assert [(hit.keyword, hit.at) for hit in hits] == [(hit.keyword, hit.at) for hit in whole]
    np.testing.assert_allclose([hit[1:] for hit in hits], [hit[1:] for hit in whole], atol=1e-4)
    np.testing.assert_allclose(spotter.highest, highest, atol=1e-4)


def test_a_word_at_the_very_end_is_heard_when_the_stream_ends(spotting_run: Path) -> None:
    spotter = Spotter(RunFolder(spotting_run))
    before = spotter.push(np.pad(spoken(1, 1, 2), (RATE, 0)))
    assert [hit.keyword for hit in before + spotter.finish()] == ["two"]
    assert spotter.push(np.zeros(RATE, np.float32)) + spotter.finish() == [], "a new stream"


def test_a_threshold_of_a_word_is_its_own(spotting_run: Path, sound: np.ndarray) -> None:
    spotter = Spotter(RunFolder(spotting_run), {"one": 1.0})
    assert [hit.keyword for hit in spotter.push(sound) + spotter.finish()] == ["two", "three"]
    with pytest.raises(OptionError, match="a threshold for 'four', expected one of the keywords one, three, two"):
        Spotter(RunFolder(spotting_run), {"four": 0.5})


def test_a_run_of_whole_clips_does_not_spot(word_run: Path) -> None:
    with pytest.raises(RunError, match="was trained on whole clips, spotting needs --examples streams"):
        Spotter(RunFolder(word_run))


def test_a_run_keeps_how_long_its_words_are(spotting_run: Path) -> None:
    about = spotting_of(RunFolder(spotting_run))
    assert set(about.seconds) == set(WORDS)
    assert all(0.2 < seconds < 0.45 for seconds in about.seconds.values())
    assert about.added == ["silence"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "line 1"),
        (json.dumps({"thresholds": {"one": 7}}), "thresholds.one is 7, expected 0 to 1"),
        (json.dumps({"seconds": {"one": "long"}}), "seconds.one"),
        (json.dumps({"added": "silence"}), "added"),
    ],
)
def test_what_a_run_keeps_may_be_damaged(
    command: Command, spotting_run: Path, word_folder: Path, tmp_path: Path, content: str, words: str
) -> None:
    run = Path(shutil.copytree(spotting_run, tmp_path / "run"))
    (run / SPOTTING_FILE).write_text(content, encoding="utf-8")
    file = word_folder / "one" / "s1_2.wav"
    assert_refused(command("seqaudio", "recognize", run, file), f"{SPOTTING_FILE}: damaged", words, "remove it")
    (run / SPOTTING_FILE).unlink()
    assert command("seqaudio", "recognize", run, file).stdout.startswith(f"{file}\tone\t")


def test_weights_that_do_not_fit_the_features_are_told(spotting_run: Path, tmp_path: Path) -> None:
    run = RunFolder(spotting_run)
    run.input["settings"]["features"]["mels"] = 20
    with pytest.raises(RunError, match="its model reads 40 values a frame and tells 4 labels"):
        Spotter(run)
