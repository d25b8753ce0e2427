"""Feature extraction against independent libraries, against numbers a person can check, and at the borders."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.fft
import torch
from hypothesis import given
from hypothesis import strategies as st

from seqaudio.audio import read_audio
from seqaudio.errors import AudioError, OptionError
from seqaudio.features import PRESETS, FeatureExtractor, FeatureSettings, feature_settings
from seqaudio.features.mel import hertz_to_mel, mel_edges, mel_filters, mel_to_hertz
from seqaudio.features.mfcc import dct_matrix
from seqaudio.features.preparation import ExtractFeatures
from seqaudio.ledger import Reason
from seqaudio.prepare import Item

VARIANTS = {
    "default": FeatureSettings(),
    "telephone": FeatureSettings(sample_rate=8000),
    "log_mel": FeatureSettings(kind="log_mel", mels=30),
    "slaney": FeatureSettings(scale="slaney", mels=26, low=0.0, high=6000.0),
    "symmetric": FeatureSettings(window="hann_symmetric", frame_length=0.032, frame_shift=0.016),
    "long": FeatureSettings(sample_rate=22050, frame_length=0.1, frame_shift=0.02, mels=64, coefficients=20, floor=1e-6),
}


def made_up_sound(samples: int, seed: int = 1) -> np.ndarray:
    """Noise under a changing level, with a stretch of digital silence so that the floor matters; [N] float64."""
    draw = np.random.default_rng(seed)
    level = 10 ** np.interp(np.arange(samples), [0, samples / 2, samples], [-0.5, -4, -1])
    sound = level * draw.standard_normal(samples)
    sound[samples // 3 : samples // 2] = 0
    return sound


def extract(settings: FeatureSettings, sound: np.ndarray, dtype: torch.dtype = torch.float64) -> np.ndarray:
    return FeatureExtractor(settings, dtype)(torch.from_numpy(sound).to(dtype)).numpy()


# oracles


def centred_in_fft(settings: FeatureSettings, sound: np.ndarray) -> np.ndarray:
    """Both libraries centre a short window within the FFT frame; zeros around the sound make their frames ours.

    The power spectrum does not depend on where within the FFT the window lies.
    """
    spare = settings.fft_size - settings.window_samples
    return np.pad(sound, (spare // 2, spare - spare // 2))


def librosa_features(settings: FeatureSettings, sound: np.ndarray) -> np.ndarray:
    import librosa

    window = "hann" if settings.window == "hann" else np.hanning(settings.window_samples)
    mel = librosa.feature.melspectrogram(
        y=centred_in_fft(settings, sound),
        sr=settings.sample_rate,
        n_fft=settings.fft_size,
        win_length=settings.window_samples,
        hop_length=settings.hop_samples,
        window=window,
        center=False,
        power=2.0,
        n_mels=settings.mels,
        fmin=settings.low,
        fmax=settings.top,
        htk=settings.scale == "htk",
        norm=None,
        dtype=np.float64,
    )
    log_mel = np.log(np.maximum(mel, settings.floor))
    if settings.kind == "log_mel":
        return log_mel.T
    return librosa.feature.mfcc(S=log_mel, n_mfcc=settings.coefficients, dct_type=2, norm="ortho").T


def torchaudio_features(settings: FeatureSettings, sound: np.ndarray) -> np.ndarray:
    import torchaudio

    transform = torchaudio.transforms.MelSpectrogram(
        sample_rate=settings.sample_rate,
        n_fft=settings.fft_size,
        win_length=settings.window_samples,
        hop_length=settings.hop_samples,
        f_min=settings.low,
        f_max=settings.top,
        n_mels=settings.mels,
        window_fn=torch.hann_window,
        wkwargs={"periodic": settings.window == "hann", "dtype": torch.float64},
        center=False,
        power=2.0,
        norm=None,
        mel_scale=settings.scale,
    )
    # its filters are float32; the same made in float64 would agree further, but only this is its public result
    log_mel = transform.double()(torch.from_numpy(centred_in_fft(settings, sound))).clamp(min=settings.floor).log()
    if settings.kind == "log_mel":
        return log_mel.T.numpy()
    dct = torchaudio.functional.create_dct(settings.coefficients, settings.mels, norm="ortho").double()
    return (log_mel.T @ dct).numpy()


@pytest.mark.parametrize("settings", VARIANTS.values(), ids=VARIANTS)
def test_librosa_agrees_in_double_precision(settings: FeatureSettings) -> None:
    sound = made_up_sound(settings.sample_rate)
    np.testing.assert_allclose(extract(settings, sound), librosa_features(settings, sound), rtol=0, atol=1e-9)


@pytest.mark.parametrize("settings", VARIANTS.values(), ids=VARIANTS)
def test_librosa_agrees_in_single_precision(settings: FeatureSettings) -> None:
    sound = made_up_sound(settings.sample_rate)
    ours = extract(settings, sound, torch.float32)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, librosa_features(settings, sound), rtol=0, atol=1e-3)


@pytest.mark.parametrize("settings", VARIANTS.values(), ids=VARIANTS)
def test_torchaudio_agrees(settings: FeatureSettings) -> None:
    sound = made_up_sound(settings.sample_rate)
    np.testing.assert_allclose(extract(settings, sound), torchaudio_features(settings, sound), rtol=0, atol=1e-3)
