"""Before and after an augmentation as a picture: `seqaudio show --augment`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

from conftest import Command, assert_refused
from legibility import assert_legible, words
from seqaudio.audio import Recording
from seqaudio.cli import show
from seqaudio.errors import AudioError, OptionError, SourceError
from seqaudio.features import feature_settings
from seqaudio.features.drawing import augmentation_figure, recording_features

RATE = 16000


def recording(seconds: float = 0.5, gain: float = 0.3) -> Recording:
    time = np.arange(round(seconds * RATE)) / RATE
    samples = gain * np.sin(2 * np.pi * 440 * time) + 1e-3 * np.random.default_rng(0).standard_normal(len(time))
    return Recording(samples.astype(np.float32), RATE)


@pytest.fixture
def word(tmp_path: Path) -> Path:
    path = tmp_path / "word.wav"
    soundfile.write(path, recording().samples, RATE)
    return path


@pytest.mark.parametrize("spec", ["default", "log_mel", "default+deltas=2", "librosa", "default+normalise=utterance"])
@pytest.mark.parametrize("seconds", [0.3, 0.5, 4.0])
def test_before_and_after_are_legible_and_share_their_scales(spec: str, seconds: float) -> None:
    settings = feature_settings(spec, RATE)
    before, after = recording_features(recording(), settings), recording_features(recording(seconds, 0.6), settings)
    figure = augmentation_figure(before, after, settings, "word.wav", "speed 1.05, babble noise at 8 dB, telephone")
    assert_legible(figure)
    assert {"before", "after", "speed 1.05, babble noise at 8 dB, telephone"} <= set(words(figure))
    upper, lower, upper_after, lower_after = figure.axes[:4]
    assert upper.get_xlim() == lower_after.get_xlim() == pytest.approx((0, max(0.5, seconds)))
    assert upper.get_ylim() == upper_after.get_ylim()
    assert lower.get_ylim() == lower_after.get_ylim()
    assert lower.images[0].get_clim() == lower_after.images[0].get_clim()


def test_a_louder_cepstrum_is_drawn_against_the_mean_of_the_first() -> None:
    settings = feature_settings("default")
    figure = augmentation_figure(
        recording_features(recording(), settings), recording_features(recording(gain=0.9), settings), settings
    )
    before, after = (np.asarray(figure.axes[place].images[0].get_array())[0].mean() for place in (1, 3))
    assert before == pytest.approx(0, abs=1e-6)
    assert after > 1


def test_the_command_draws_what_was_asked_and_says_what_was_drawn(word: Path, command: Command) -> None:
    png = word.with_suffix(".png")
    done = command("seqaudio", "show", word, "--augment", "speed,noise,room,masks", "--seed", "3", "--png", png)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{png}: speed ")
    for name in ("room of", "noise at", "masks over time and frequency"):
        assert name in done.stdout
    assert "telephone" not in done.stdout
    with Image.open(png) as image:
        assert image.width == 1500
    assert_refused(command("seqaudio", "show", word, "--augment", "sped", "--png", png), "exists")
    assert_refused(command("seqaudio", "show", word, "--augment", "sped", "--png", png, "--force"), "mean speed")


def test_what_is_told_is_what_was_done(word: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def told(file: Path, augment: str, **options: Any) -> str:
        capsys.readouterr()
        show.main(show.Config(file, tmp_path / "x.png", augment=augment, force=True, **options))
        return capsys.readouterr().out.strip().removeprefix(f"{tmp_path / 'x.png'}: ")

    soundfile.write(tmp_path / "short.wav", recording(0.1).samples, RATE)
    shifts = {told(tmp_path / "short.wav", "shift", seed=seed) for seed in range(6)}
    assert shifts & {"shift +25 ms", "shift -25 ms"}
    assert all(abs(float(shift.split()[1])) <= 25 for shift in shifts)
    (tmp_path / "silent").mkdir()
    soundfile.write(tmp_path / "silent" / "a.wav", np.zeros(RATE), RATE)
    assert told(tmp_path / "silent" / "a.wav", "noise,gain") == "no change"
    with pytest.raises(SourceError, match="all 1 recordings are silent"):
        told(word, "noise", noise_folder=tmp_path / "silent")
    with pytest.raises(AudioError, match=r"a\.wav: empty: .* silence, expected an impulse response"):
        told(word, "room", room_folder=tmp_path / "silent")
    with pytest.raises(OptionError, match="--seed -1, expected 0 or more"):
        told(word, "noise", seed=-1)


def test_the_seed_decides_the_picture(word: Path) -> None:
    pictures = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        png = word.with_name(f"{name}.png")
        show.main(show.Config(word, png, augment="noise, gain", seed=seed))
        pictures.append(png.read_bytes())
    assert pictures[0] == pictures[1] != pictures[2]


def test_changes_without_a_name_are_refused(word: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="--augment ' , ' names no augmentation; expected some of speed, shift"):
        show.main(show.Config(word, tmp_path / "x.png", augment=" , "))


def test_a_folder_without_its_change_is_refused(word: Path, tmp_path: Path) -> None:
    config = show.Config(word, tmp_path / "x.png", augment="speed", noise_folder=tmp_path)
    with pytest.raises(OptionError, match=r"--noise-folder .* needs --augment noise"):
        show.main(config)


def test_a_recording_that_speed_makes_too_short_is_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "short.wav", recording(0.025).samples, RATE)
    seeds = range(1, 20)
    with pytest.raises(AudioError, match="less than one frame is left"):
        for seed in seeds:
            show.main(show.Config(tmp_path / "short.wav", tmp_path / f"{seed}.png", augment="speed", seed=seed))
