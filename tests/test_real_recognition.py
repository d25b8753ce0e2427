"""Recognition of recordings that are longer than the clips that a model has learned from."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from cases import case_file
from conftest import RATE, Command, spoken
from seqaudio.audio.segments import segments
from seqaudio.decoding.keywords import KeywordRecognizer
from seqaudio.decoding.segments import ClipSeconds, windows
from seqaudio.run_folder import RunFolder

WORDS = ("one", "two", "three")


def quiet(seconds: float, decibels: float, seed: int = 0) -> np.ndarray:
    """Faint noise at a level relative to full scale."""
    draw = np.random.default_rng(seed)
    return 10 ** (decibels / 20) * draw.standard_normal(int(seconds * RATE))


@pytest.fixture(scope="module")
def recognizer(word_run: Path) -> KeywordRecognizer:
    return KeywordRecognizer(RunFolder(word_run))


def heard(recognizer: KeywordRecognizer, file: Path, *parts: np.ndarray) -> str:
    soundfile.write(file, np.concatenate(parts), RATE)
    return recognizer.recognize(file)[0].label


@pytest.mark.parametrize("decibels", [-90.0, -60.0, -45.0])
@pytest.mark.parametrize("seconds", [0.5, 2.0, 5.0])
def test_quiet_around_a_word_does_not_hide_it(
    recognizer: KeywordRecognizer, tmp_path: Path, seconds: float, decibels: float
) -> None:
    right = 0
    for word, label in enumerate(WORDS):
        for take in range(3):
            sound, faint = spoken(word, 1, take), quiet(seconds, decibels, take)
            for parts in ((faint, sound), (sound, faint), (faint, sound, faint)):
                right += heard(recognizer, tmp_path / "a.wav", *parts) == label
    assert right >= 25  # of 27


def test_each_word_of_a_long_recording_is_told(command: Command, word_run: Path, tmp_path: Path) -> None:
    pause = quiet(0.8, -60.0)
    samples = np.concatenate([pause, *(part for word in (2, 0, 1) for part in (spoken(word, 2, 1), pause))])
    soundfile.write(tmp_path / "a.wav", samples, RATE)
    done = command("seqaudio", "recognize", word_run, tmp_path / "a.wav", "--csv")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1].split(",")[1] in WORDS
    told = done.stderr
    assert "longer than the clips of the training" in told
    assert told.index("three at") < told.index("one at") < told.index("two at")


def test_a_clip_as_long_as_those_of_the_training_is_taken_whole(
    recognizer: KeywordRecognizer, word_folder: Path
) -> None:
    for file in sorted((word_folder / "two").iterdir())[:5]:
        (whole,) = recognizer.recognize(file)
        assert (whole.start, whole.end) == (0.0, soundfile.info(file).duration)


def test_a_run_keeps_how_long_its_clips_are(word_run: Path) -> None:
    told = json.loads((word_run / "config.json").read_text())["input"]["clip_seconds"]
    assert 0.25 < told["usual"] < told["longest"] < 0.41


def test_a_run_of_an_older_version_asks_its_store_or_takes_a_second(
    recognizer: KeywordRecognizer, word_run: Path, tmp_path: Path
) -> None:
    run = RunFolder(word_run)
    known = recognizer.clip
    del run.input["clip_seconds"]
    assert KeywordRecognizer(run).clip == known
    run.settings["store"] = str(tmp_path / "none")
    assert KeywordRecognizer(run).clip == ClipSeconds(1.0, 1.0)


def test_segments_are_where_it_sounds_and_clicks_are_none() -> None:
    sound = spoken(0, 0, 0)
    click = np.full(80, 0.5)
    samples = np.concatenate([quiet(1, -60), click, quiet(1, -60), sound, quiet(2, -60)])
    ((first, last),) = segments(samples, RATE)
    assert first == pytest.approx(2 * RATE + 80, abs=160)
    assert last == pytest.approx(2 * RATE + 80 + len(sound), abs=160)
    assert segments(samples[:0], RATE) == []
    assert segments(np.zeros(RATE), RATE) == [(0, RATE)]


def test_a_long_stretch_is_walked_to_its_end() -> None:
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 10 * RATE)
    (parts,) = windows(samples, RATE, ClipSeconds(0.5, 1.0))
    assert {last - first for first, last in parts} == {RATE}
    assert parts[0][0] == 0
    assert parts[-1][1] == len(samples)
    assert all(after[0] - before[0] <= RATE / 4 for before, after in itertools.pairwise(parts))


@pytest.mark.slow
@pytest.mark.data
def test_a_word_after_two_seconds_of_quiet_is_the_word(command: Command, data_folder: Path, tmp_path: Path) -> None:
    alone, after = case_file("audio", "word_alone.wav"), case_file("audio", "word_after_2s.wav")
    source = tmp_path / "words"
    table = data_folder / "speech" / "speech_commands" / "index.tsv"
    rows = [line.split("\t") for line in table.read_text(encoding="utf-8").splitlines()]
    place, word = rows[0].index("file"), rows[0].index("word")
    for number, row in enumerate(rows[1:]):
        if row[word] in ("go", "bed", "happy"):
            (source / row[word]).mkdir(parents=True, exist_ok=True)
            copies = 12 if row[word] == "go" else 1  # there are ten of it
            for copy in range(copies if row[word] == "go" or number % 8 == 0 else 0):
                target = source / row[word] / f"{copy}_{Path(row[place]).name}"
                target.write_bytes((table.parent / row[place]).read_bytes())
    options = ("--source", source, "--out", tmp_path / "store", "--features", "keywords")
    assert command("seqaudio", "prepare", "audio_folder", *options).returncode == 0
    options = ("--store", tmp_path / "store", "--run", tmp_path / "run", "--epochs", "12", "--hidden-size", "48")
    done = command("recipes/keyword_recognition/train.py", *options, "--layers", "1", "--learning-rate", "1e-2")
    assert done.returncode == 0, done.stderr
    done = command("seqaudio", "recognize", tmp_path / "run", alone, after)
    assert [line.split("\t")[1] for line in done.stdout.splitlines()] == ["go", "go"]
