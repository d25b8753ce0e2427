"""Noise as users have it: a folder beside the words, recordings that are mostly silence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from cases import case_file
from conftest import RATE, Command, spoken
from seqaudio.augmentation.sound_folder import SoundFolder
from seqaudio.augmentation.waveforms import WaveformAugmentation, WaveformAugmenter
from seqaudio.store import Store

CLIP = spoken(0, 0, 0)


def share_with_noise(folder: Path, rate: int, clips: int = 60) -> float:
    """The share of clips that a training with `--noisy 1` gives noise from the folder."""
    augmentation = WaveformAugmentation(
        speed=0.0, time_shift=0.0, room=0.0, noise=1.0, noise_folder=folder, telephone=0.0, gain=0.0
    )
    augmenter = WaveformAugmenter(augmentation, rate, seed=1)
    return float(np.mean([np.any(augmenter(CLIP, 0, f"row{row}") != CLIP) for row in range(clips)]))


def test_noise_that_ends_in_silence_is_noise_in_every_clip(capsys: pytest.CaptureFixture[str]) -> None:
    assert share_with_noise(case_file("audio", "noise_ends_in_silence"), 16000) == 1.0
    told = capsys.readouterr().err
    assert "n.wav: 85 % of it is silence" in told
    assert told.count("n.wav") == 1


@pytest.mark.parametrize("place", [0.0, 0.5, 0.99])
def test_noise_is_taken_where_it_sounds(tmp_path: Path, place: float) -> None:
    samples = np.zeros(20 * RATE)
    start = int(place * len(samples))
    samples[start : start + 1000] = 0.1 * np.random.default_rng(0).standard_normal(len(samples[start : start + 1000]))
    soundfile.write(tmp_path / "a.wav", samples, RATE)
    assert share_with_noise(tmp_path, RATE) == 1.0


def test_a_silent_recording_gives_way_to_the_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(RATE), RATE)
    soundfile.write(tmp_path / "b.wav", 0.1 * np.random.default_rng(0).standard_normal(RATE), RATE)
    assert share_with_noise(tmp_path, RATE) == 1.0
    assert "a.wav: 100 % of it is silence" in capsys.readouterr().err


def test_parts_of_noise_that_sounds_are_those_of_before(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.random.default_rng(0).uniform(-0.5, 0.5, 5000), RATE, subtype="FLOAT")
    sound = SoundFolder(tmp_path, RATE)
    whole = sound.draw(np.random.default_rng(0))
    draw = np.random.default_rng(3)
    draw.integers(1)
    start = int(draw.integers(5000 - 700 + 1))
    np.testing.assert_array_equal(sound.cut(700, np.random.default_rng(3)), whole[start : start + 700])


@pytest.mark.parametrize("place", ["", "train/"])
def test_background_noise_is_no_word(command: Command, word_folder: Path, tmp_path: Path, place: str) -> None:
    for label in ("one", "two"):
        folder = tmp_path / "words" / place / label
        folder.mkdir(parents=True)
        for file in sorted((word_folder / label).iterdir())[:6]:
            (folder / file.name).write_bytes(file.read_bytes())
    noise = tmp_path / "words" / "_background_noise_"
    noise.mkdir()
    soundfile.write(noise / "hum.wav", 0.1 * np.random.default_rng(0).standard_normal(RATE), RATE)
    done = command(
        "seqaudio", "prepare", "audio_folder", "--source", tmp_path / "words", "--out", tmp_path / "store",
        "--sample-rate", RATE,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert set(Store(tmp_path / "store").names.names) == {"one", "two"}
    assert "1 recordings in _background_noise_ left out" in done.stdout
    assert f"--noise-folder {noise}" in done.stdout
