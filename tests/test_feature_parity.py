"""Every setting against librosa and torchaudio: equal in double precision, near in single precision."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from seqaudio.features import FeatureExtractor, FeatureSettings, feature_settings
from seqaudio.features.deltas import with_deltas

EPSILON = 1.1920928955078125e-07  # least energy in Kaldi


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@contextmanager
def double_by_default() -> Iterator[None]:
    """torchaudio makes its filters and its DCT in torch's default type."""
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


def sound(samples: int, seed: int = 1) -> np.ndarray:
    """Noise and two tones under a changing level, [N] float64 within -1..1."""
    draw = np.random.default_rng(seed)
    time = np.arange(samples) / 16000
    level = 10 ** np.interp(np.arange(samples), [0, samples / 2, samples], [-0.7, -3, -1])
    tones = np.sin(2 * np.pi * 440 * time) + 0.3 * np.sin(2 * np.pi * 2100 * time)
    return level * (0.2 * draw.standard_normal(samples) + 0.3 * tones)


def ours(settings: FeatureSettings, samples: np.ndarray, dtype: torch.dtype = torch.float64) -> np.ndarray:
    return FeatureExtractor(settings, dtype)(torch.from_numpy(samples).to(dtype)).numpy()


def assert_near(settings: FeatureSettings, samples: np.ndarray, expected: np.ndarray) -> None:
    """Within 1e-9 in double and 1e-3 in single precision."""
    np.testing.assert_allclose(ours(settings, samples), expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(ours(settings, samples, torch.float32), expected, rtol=0, atol=1e-3)


# presets against the functions whose defaults they are; librosa makes its filters in single precision unless told


@pytest.mark.parametrize("samples", [2048, 16000, 22050 + 77])
def test_the_preset_librosa_is_librosas_default(samples: int) -> None:
    import librosa

    x = sound(samples)
    assert_near(feature_settings("librosa"), x, librosa.feature.mfcc(y=x, sr=22050, dtype=np.float64).T)


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_the_preset_librosa_follows_the_sample_rate_as_librosa_does(rate: int) -> None:
    import librosa

    x = sound(9000)
    assert_near(feature_settings("librosa", rate), x, librosa.feature.mfcc(y=x, sr=rate, dtype=np.float64).T)


@pytest.mark.filterwarnings("ignore:At least one mel filterbank has all zero values")
@pytest.mark.parametrize("samples", [201, 16000, 16000 + 99])
def test_the_preset_torchaudio_is_torchaudios_default(samples: int) -> None:
    import torchaudio

    x = sound(samples)
    with double_by_default():
        expected = torchaudio.transforms.MFCC(sample_rate=16000)(torch.from_numpy(x)).T.numpy()
    assert_near(feature_settings("torchaudio"), x, expected)


def kaldi(samples: np.ndarray, function: str = "mfcc", **options: Any) -> np.ndarray:
    import torchaudio.compliance.kaldi

    with double_by_default():
        waveform = torch.from_numpy(samples)[None] * 32768
        result: np.ndarray = getattr(torchaudio.compliance.kaldi, function)(waveform, **options).numpy()
    return result


@pytest.mark.parametrize("samples", [400, 16000, 16000 + 81])
def test_the_preset_kaldi_is_kaldis_mfcc_with_frames_over_the_edges(samples: int) -> None:
    x = sound(samples)
    expected = kaldi(x, snip_edges=False)
    assert_near(feature_settings("kaldi"), x, expected)


@pytest.mark.parametrize("rate", [11025, 22050, 44100])
@pytest.mark.parametrize("snip", [False, True])
def test_frames_that_are_no_whole_samples_are_those_of_kaldi(rate: int, snip: bool) -> None:
    x = sound(16000 + 81)
    expected = kaldi(x, snip_edges=snip, sample_frequency=float(rate))
    assert_near(feature_settings("kaldi+edges=none" if snip else "kaldi", rate), x, expected)


@pytest.mark.parametrize(
    ("changes", "options"),
    [
        ("", {}),
        ("+energy=true", {"use_energy": True, "energy_floor": 0.0}),
        ("+lifter=0+coefficients=20", {"cepstral_lifter": 0.0, "num_ceps": 20}),
        ("+pre_emphasis=0", {"preemphasis_coefficient": 0.0}),
        ("+remove_mean=false", {"remove_dc_offset": False}),
        ("+window=hamming_symmetric", {"window_type": "hamming"}),
        ("+window=hann_symmetric", {"window_type": "hanning"}),
        ("+window=rectangular", {"window_type": "rectangular"}),
        ("+window=blackman", {"window_type": "blackman"}),
        ("+fft_points=400", {"round_to_power_of_two": False}),
        ("+low=100+high=7000+mels=30", {"low_freq": 100.0, "high_freq": 7000.0, "num_mel_bins": 30}),
    ],
)
def test_kaldis_options_have_their_settings(changes: str, options: dict[str, Any]) -> None:
    x = sound(8000)
    assert_near(feature_settings("kaldi+edges=none" + changes), x, kaldi(x, snip_edges=True, **options))


@pytest.mark.parametrize(
    ("changes", "options"),
    [("", {}), ("+spectrum=magnitude", {"use_power": False}), ("+mels=80", {"num_mel_bins": 80})],
)
def test_kaldis_filterbanks_are_log_mels(changes: str, options: dict[str, Any]) -> None:
    x = sound(8000)
    settings = feature_settings("kaldi+kind=log_mel+lifter=0" + changes)
    assert_near(settings, x, kaldi(x, "fbank", snip_edges=False, **{"num_mel_bins": 23, **options}))


# single settings against librosa

BASE = FeatureSettings(kind="log_mel", mels=26)
WINDOWS = {"hann": "hann", "hamming": "hamming", "rectangular": "boxcar", "blackman": np.blackman(400)}


def librosa_log_mel(settings: FeatureSettings, x: np.ndarray, **options: Any) -> np.ndarray:
    import librosa

    spare = settings.fft_size - settings.window_samples  # librosa centres a short window within the points
    mel = librosa.feature.melspectrogram(
        y=np.pad(x, (spare // 2, spare - spare // 2)),
        sr=settings.sample_rate,
        n_fft=settings.fft_size,
        win_length=settings.window_samples,
        hop_length=settings.hop_samples,
        center=False,
        n_mels=settings.mels,
        fmin=settings.low,
        fmax=settings.top,
        dtype=np.float64,
        **{"htk": True, "norm": None, **options},
    )
    return np.log(np.maximum(mel, settings.floor)).T


@pytest.mark.parametrize("scale", ["htk", "slaney"])
@pytest.mark.parametrize("equal_area", [False, True])
@pytest.mark.parametrize("spectrum", ["power", "magnitude"])
def test_filters_and_spectra_equal_librosas(scale: str, equal_area: bool, spectrum: str) -> None:
    settings = replace(BASE, scale=scale, equal_area=equal_area, spectrum=spectrum)
    options = {
        "htk": scale == "htk",
        "norm": "slaney" if equal_area else None,
        "power": 2.0 if spectrum == "power" else 1.0,
    }
    x = sound(6000)
    assert_near(settings, x, librosa_log_mel(settings, x, **options))


@pytest.mark.parametrize("window", list(WINDOWS))
def test_windows_equal_those_of_scipy(window: str) -> None:
    settings = replace(BASE, window=window)
    x = sound(6000)
    assert_near(settings, x, librosa_log_mel(settings, x, window=WINDOWS[window]))


@pytest.mark.parametrize("fft_points", [400, 512, 640, 1024])
def test_spectra_of_any_size_equal_librosas(fft_points: int) -> None:
    settings = replace(BASE, fft_points=fft_points, low=60.0)
    x = sound(6000)
    assert_near(settings, x, librosa_log_mel(settings, x))


@pytest.mark.parametrize("edges", ["zeros", "reflect"])
def test_frames_over_the_ends_equal_librosas(edges: str) -> None:
    import librosa

    settings = replace(BASE, edges=edges, fft_points=512)
    x = sound(6000)
    spectrum = librosa.stft(
        x, n_fft=512, hop_length=160, win_length=400, pad_mode="constant" if edges == "zeros" else "reflect"
    )
    filters = librosa.filters.mel(
        sr=16000, n_fft=512, n_mels=26, fmin=20.0, fmax=8000.0, htk=True, norm=None, dtype=np.float64
    )
    expected = np.log(np.maximum(filters @ np.abs(spectrum) ** 2, settings.floor)).T
    assert len(expected) == settings.frames(6000)
    assert_near(settings, x, expected)


# deltas


@pytest.mark.parametrize("width", [1, 2, 4])
def test_deltas_equal_torchaudios(width: int) -> None:
    import torchaudio

    static = torch.from_numpy(np.random.default_rng(0).normal(size=(23, 5)))
    first = torchaudio.functional.compute_deltas(static.T, win_length=2 * width + 1).T
    second = torchaudio.functional.compute_deltas(first.T, win_length=2 * width + 1).T
    expected = torch.cat([static, first, second], dim=1)
    torch.testing.assert_close(with_deltas(static, 2, width), expected, rtol=0, atol=1e-12)


def test_the_delta_of_a_line_is_its_slope() -> None:
    static = torch.arange(20, dtype=torch.float64)[:, None] * torch.tensor([3.0, -0.5])
    deltas = with_deltas(static, 1, 3)[:, 2:]
    torch.testing.assert_close(deltas[3:-3], torch.tensor([[3.0, -0.5]]).double().expand(14, 2))


# what the libraries do not have


def test_the_energy_of_a_frame_takes_the_place_of_the_first_cepstrum() -> None:
    x = sound(2000)
    plain, with_energy = (ours(feature_settings(f"default+lifter=22+energy={flag}"), x) for flag in ("false", "true"))
    np.testing.assert_allclose(with_energy[:, 1:], plain[:, 1:], atol=1e-10)
    expected = [math.log((x[start : start + 400] ** 2).sum()) for start in range(0, 1601, 160)]
    np.testing.assert_allclose(with_energy[:, 0], expected, atol=1e-10)


def test_silence_has_the_energy_of_the_floor() -> None:
    settings = feature_settings("default+energy=true")
    np.testing.assert_allclose(ours(settings, np.zeros(1000))[:, 0], math.log(settings.floor))


def test_decibels_are_ten_times_the_logarithm_to_ten() -> None:
    x = sound(2000)
    nepers, decibels = (ours(feature_settings(f"log_mel+decibels={flag}"), x) for flag in ("false", "true"))
    np.testing.assert_allclose(decibels, 10 * np.log10(np.exp(nepers)), atol=1e-9)


def test_the_limit_below_the_loudest_value_is_of_each_recording_alone() -> None:
    settings = feature_settings("log_mel+decibels=true+top_db=30")
    quiet, loud = sound(3000, 1) * 1e-3, sound(3000, 2)
    batch = FeatureExtractor(settings, torch.float64)(torch.from_numpy(np.stack([quiet, loud]))).numpy()
    for column, x in enumerate((quiet, loud)):
        np.testing.assert_array_equal(batch[:, column], ours(settings, x))
        assert batch[:, column].max() - batch[:, column].min() == pytest.approx(30)
