"""Band limits: what is cut is found, what is not is left alone, and labels that differ are told."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import soundfile

from made_up_speech import prepare, script
from seqaudio.audio import band_limit, band_limit_of, resample, tell_bands
from seqaudio.audio.recording import from_int16, to_int16
from seqaudio.checking import Level, check_store
from seqaudio.errors import AudioError
from seqaudio.features import feature_settings
from seqaudio.prepare.speech.bands import differing_bands

RATE = 16000  # hertz


def babble(seconds: float = 1.5, seed: int = 0, tilt: float = 0.9) -> np.ndarray:
    """Syllables of noise that falls towards high frequencies, with pauses between them, [N] float32."""
    draw = np.random.default_rng(seed)
    white = draw.standard_normal(round(seconds * RATE))
    noise = np.zeros_like(white)
    for n in range(1, len(white)):
        noise[n] = tilt * noise[n - 1] + white[n]
    syllables = np.clip(np.sin(2 * np.pi * 3 * np.arange(len(white)) / RATE), 0.003, 1)
    return (0.05 * noise * syllables).astype(np.float32)


def cut(samples: np.ndarray, limit: float) -> np.ndarray:
    """The samples without what is above `limit` hertz, to rounding, as a codec or a resampler leaves them."""
    low = resample(samples, RATE, 2 * limit)
    return from_int16(to_int16(resample(low, 2 * limit, RATE)))[: len(samples)]


@pytest.mark.parametrize("limit", [3000, 4000, 6000, 7000])
@pytest.mark.parametrize("gain", [1.0, 0.1])
def test_the_limit_of_a_cut_recording_is_found(limit: int, gain: float) -> None:
    # the resampler's own filter begins at 0.91 of its limit
    assert 0.9 * limit <= band_limit(gain * cut(babble(), limit), RATE) <= 1.01 * limit


@pytest.mark.parametrize("tilt", [0.0, 0.7, 0.97])
def test_sound_that_only_falls_towards_high_frequencies_is_not_cut(tilt: float) -> None:
    assert band_limit(babble(tilt=tilt), RATE) == RATE / 2
    assert band_limit(from_int16(to_int16(0.05 * babble(tilt=tilt))), RATE) == RATE / 2


def test_neither_a_click_nor_a_pause_nor_a_hum_is_taken_for_the_band() -> None:
    limited = cut(babble(3.0), 6000)
    expected = band_limit(limited, RATE)
    clicked = limited.copy()
    clicked[[9000, 30000]] += 0.5
    paused = np.concatenate([np.zeros(5 * RATE, np.float32), limited, np.zeros(5 * RATE, np.float32)])
    assert band_limit(clicked, RATE) == pytest.approx(expected, abs=100)
    assert band_limit(paused, RATE) == pytest.approx(expected, abs=100)
    hum = 0.9 * np.sin(2 * np.pi * 60 * np.arange(3 * RATE) / RATE)
    assert band_limit(1e-3 * babble(3.0) + hum.astype(np.float32), RATE) == RATE / 2


def test_noise_over_the_whole_band_hides_a_cut() -> None:
    """What the data's own notes propose: a model hears no edge any more, and none is told."""
    limited = cut(babble(), 6000)
    noise = 0.01 * np.random.default_rng(1).standard_normal(len(limited)).astype(np.float32)
    assert band_limit(limited + noise, RATE) == RATE / 2


@pytest.mark.parametrize("samples", [np.zeros(RATE, np.float32), np.ones(500, np.float32), np.zeros(0, np.float32)])
def test_silence_and_scraps_have_no_limit(samples: np.ndarray) -> None:
    assert math.isnan(band_limit(samples, RATE))


def test_files_give_the_median_of_their_limits(tmp_path: Path) -> None:
    paths = [tmp_path / f"{n}.wav" for n in range(4)]
    for path, samples in zip(paths, (cut(babble(), 4000), cut(babble(), 6000), babble(), np.zeros(RATE)), strict=True):
        soundfile.write(path, samples, RATE)
    assert band_limit_of(paths) == band_limit_of(paths[1]) == band_limit_of(str(paths[1])) < 6100
    assert band_limit_of(paths[2]) == 8000
    assert math.isnan(band_limit_of(paths[3:]))
    with pytest.raises(AudioError, match="no such file"):
        band_limit_of(tmp_path / "none.wav")


def test_groups_that_are_cut_are_told_with_their_share() -> None:
    wide, narrow = [8000.0] * 12, [6000.0] * 12
    line = tell_bands({"background": narrow, "yes": wide, "no": wide})
    assert line.startswith("background is cut at 6.0 kHz, the others reach 8.0 kHz")
    assert "--features ...+high=5900" in line
    assert "background (50 % of its recordings) is" in tell_bands({"background": narrow[:6] + wide[:6], "yes": wide})
    several = tell_bands({"a": [4000.0] * 5, "b": [3000.0] * 5, "yes": wide})
    assert several.startswith("b, a are cut at 3.0 to 4.0 kHz")


@pytest.mark.parametrize(
    "groups",
    [
        {"a": [6000.0] * 9, "b": [6100.0] * 9},
        {"a": [6000.0, 8000.0] * 9, "b": [8000.0, 6000.0] * 9},  # the same mixture
        {"a": [6000.0, 6000.0, *[8000.0] * 5], "b": [8000.0] * 9},  # two recordings may be chance
        {"a": [math.nan] * 9, "b": [8000.0] * 9},
        {"a": [6000.0] * 9},
        {},
    ],
)
def test_groups_that_do_not_differ_are_not_told(groups: dict[str, list[float]]) -> None:
    assert tell_bands(groups) == ""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two labels, one of them cut at 6 kHz."""
    place = tmp_path_factory.mktemp("bands")
    for number in range(8):
        for label, samples in (("word", babble(0.5, number)), ("background", cut(babble(0.5, 50 + number), 6000))):
            (place / label).mkdir(exist_ok=True)
            soundfile.write(place / label / f"{number}.wav", samples, RATE)
    return place


@pytest.mark.parametrize("keep", ["features", "samples"])
def test_a_preparation_warns_and_features_below_the_cut_silence_it(
    folder: Path, tmp_path: Path, keep: str, capsys: pytest.CaptureFixture[str]
) -> None:
    audio_folder = script("audio_folder")
    store = prepare(audio_folder, folder, tmp_path / "a", sample_rate=RATE, keep=keep)
    assert "warning: background is cut at 5." in capsys.readouterr().err
    findings = {finding.subject: finding for finding in check_store(store).findings}
    if keep == "samples":
        assert findings["band"].level is Level.WARNING
        assert findings["band"].verdict.startswith("background is cut at 5.")
    else:
        assert "band" not in findings
    below = prepare(audio_folder, folder, tmp_path / "b", sample_rate=RATE, keep=keep, features="default+high=5000")
    assert "is cut at" not in capsys.readouterr().err
    if keep == "samples":
        assert {finding.subject: finding.level for finding in check_store(below).findings}["band"] is Level.GOOD


# real recordings


@pytest.mark.data
def test_the_background_of_mp3_is_cut_at_6_khz_and_real_words_are_not(data_folder: Path) -> None:
    speech = data_folder / "speech"
    background = sorted((speech / "background" / "librispeech").glob("*/*.mp3"))[::40]
    words = sorted((speech / "wake_benchmark").glob("*/*.flac"))[::40]
    if not (background and words):
        pytest.skip(f"no background or wake words in {speech}")
    assert band_limit_of(background) == pytest.approx(5900, abs=100)
    assert band_limit_of(words) > 7600


@pytest.mark.data
@pytest.mark.parametrize("name", ["fsdd", "speech_commands"])
def test_nothing_is_said_against_real_labels(data_folder: Path, name: str) -> None:
    items = (
        script("fsdd").list_items(data_folder / "speech" / "fsdd", "")
        if name == "fsdd"
        else script("speech_commands").list_recordings(data_folder / "speech" / "speech_commands", "0.01")
    )
    assert differing_bands(items, feature_settings("default"), 60.0) == ""
