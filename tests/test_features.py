"""Feature extraction against independent libraries, against numbers a person can check, and at the borders."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.fft
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from seqaudio.audio import read_audio
from seqaudio.errors import AudioError, OptionError
from seqaudio.features import PRESETS, FeatureExtractor, FeatureSettings, feature_settings
from seqaudio.features.compiled.energies import Bands
from seqaudio.features.extraction import extract_frames
from seqaudio.features.extractor import compiled_is_there
from seqaudio.features.framing import cut_frames
from seqaudio.features.mfcc import dct_matrix, hertz_to_mel, mel_edges, mel_filters, mel_to_hertz
from seqaudio.features.settings import Scale, Spectrum
from seqaudio.ledger import Reason
from seqaudio.prepare.engine import Item
from seqaudio.prepare.speech.recordings import ExtractFeatures

Oracle = Callable[[FeatureSettings, np.ndarray], np.ndarray]

VARIANTS = {
    "default": FeatureSettings(),
    "telephone": FeatureSettings(sample_rate=8000),
    "log_mel": FeatureSettings(kind="log_mel", mels=30),
    "slaney": FeatureSettings(scale="slaney", mels=26, low=0.0, high=6000.0),
    "symmetric": FeatureSettings(window="hann_symmetric", frame_length=0.032, frame_shift=0.016),
    "long": FeatureSettings(
        sample_rate=22050, frame_length=0.1, frame_shift=0.02, mels=64, coefficients=20, floor=1e-6
    ),
}


def made_up_sound(samples: int, seed: int = 1) -> np.ndarray:
    """Noise under a changing level, with a stretch of digital silence so that the floor matters; [N] float64."""
    draw = np.random.default_rng(seed)
    level = 10 ** np.interp(np.arange(samples), [0, samples / 2, samples], [-0.5, -4, -1])
    sound = level * draw.standard_normal(samples)
    sound[samples // 3 : samples // 2] = 0
    return sound


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


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


@contextmanager
def double_by_default() -> Iterator[None]:
    """torchaudio makes its filters and its DCT in torch's default type."""
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


def torchaudio_features(settings: FeatureSettings, sound: np.ndarray) -> np.ndarray:
    import torchaudio

    with double_by_default():
        transform = torchaudio.transforms.MelSpectrogram(
            sample_rate=settings.sample_rate,
            n_fft=settings.fft_size,
            win_length=settings.window_samples,
            hop_length=settings.hop_samples,
            f_min=settings.low,
            f_max=settings.top,
            n_mels=settings.mels,
            window_fn=torch.hann_window,
            wkwargs={"periodic": settings.window == "hann"},
            center=False,
            power=2.0,
            norm=None,
            mel_scale=settings.scale,
        )
        dct = torchaudio.functional.create_dct(settings.coefficients, settings.mels, norm="ortho")
        mel = transform(torch.from_numpy(centred_in_fft(settings, sound)))
    log_mel = mel.clamp(min=settings.floor).log().T
    return (log_mel @ dct if settings.kind == "mfcc" else log_mel).numpy()


ORACLES = {"librosa": librosa_features, "torchaudio": torchaudio_features}


@pytest.mark.parametrize("oracle", ORACLES.values(), ids=ORACLES)
@pytest.mark.parametrize("settings", VARIANTS.values(), ids=VARIANTS)
def test_libraries_agree_in_double_precision(settings: FeatureSettings, oracle: Oracle) -> None:
    sound = made_up_sound(settings.sample_rate)
    np.testing.assert_allclose(extract(settings, sound), oracle(settings, sound), rtol=0, atol=1e-9)


@pytest.mark.parametrize("settings", VARIANTS.values(), ids=VARIANTS)
def test_single_precision_stays_near(settings: FeatureSettings) -> None:
    sound = made_up_sound(settings.sample_rate)
    ours = extract(settings, sound, torch.float32)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, librosa_features(settings, sound), rtol=0, atol=1e-3)


def test_dct_equals_scipy() -> None:
    values = np.random.default_rng(0).normal(size=(7, 23))
    expected = scipy.fft.dct(values, type=2, norm="ortho")[:, :9]
    np.testing.assert_allclose(values @ dct_matrix(23, 9), expected, atol=1e-12)


@pytest.mark.parametrize("scale", ["htk", "slaney"])
def test_mel_scales_equal_librosa_and_invert(scale: Scale) -> None:
    import librosa

    hertz = np.array([0.0, 20.0, 300.0, 999.9, 1000.0, 1000.1, 4000.0, 16000.0])
    mels = hertz_to_mel(hertz, scale)
    np.testing.assert_allclose(mels, librosa.hz_to_mel(hertz, htk=scale == "htk"), rtol=1e-12)
    np.testing.assert_allclose(mel_to_hertz(mels, scale), hertz, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("settings", VARIANTS.values(), ids=VARIANTS)
def test_mel_filters_equal_librosa(settings: FeatureSettings) -> None:
    import librosa

    expected = librosa.filters.mel(
        sr=settings.sample_rate,
        n_fft=settings.fft_size,
        n_mels=settings.mels,
        fmin=settings.low,
        fmax=settings.top,
        htk=settings.scale == "htk",
        norm=None,
        dtype=np.float64,
    )
    np.testing.assert_allclose(mel_filters(settings).T, expected, atol=1e-12)


# numbers a person can check

TINY = FeatureSettings(kind="log_mel", sample_rate=1000, frame_length=0.004, frame_shift=0.002, mels=1, low=0.0)


@pytest.mark.parametrize(
    ("samples", "frames"),
    [(0, 0), (3, 0), (4, 1), (5, 1), (6, 2), (7, 2), (8, 3), (1000, 499)],
)
def test_only_whole_frames_count(samples: int, frames: int) -> None:
    assert TINY.frames(samples) == frames
    if frames:
        assert extract(TINY, np.zeros(samples)).shape == (frames, 1)


def test_the_default_makes_98_frames_of_a_second() -> None:
    settings = FeatureSettings()
    assert (settings.window_samples, settings.hop_samples, settings.fft_size) == (400, 160, 512)
    assert extract(settings, np.zeros(16000)).shape == (98, 13)
    assert settings.frames(16000 + 79) == 98
    assert settings.frames(16000 + 80) == 99


def test_a_tiny_frame_by_hand() -> None:
    """Window 0, 1/2, 1, 1/2 over 1, 2, 3, 4 gives 0, 1, 3, 2: its spectrum at 0, 250, 500 Hz is 6, -3 + i, 0.

    One filter from 0 to 500 Hz peaks at mel(500) / 2 = 303.7 mel, which is 216.5 Hz, so that at 250 Hz it has
    (500 - 250) / (500 - 216.5) = 0.8819.
    """
    value = extract(TINY, np.array([1.0, 2.0, 3.0, 4.0]))
    peak = 700 * (np.sqrt(1 + 500 / 700) - 1)
    assert peak == pytest.approx(216.5, abs=0.05)
    np.testing.assert_allclose(np.exp(value), [[10 * 250 / (500 - peak)]], rtol=1e-12)


def test_a_sample_reaches_only_the_frames_that_hold_it() -> None:
    sound = made_up_sound(4000)
    changed = sound.copy()
    changed[1000] += 1
    differs = np.flatnonzero(np.any(extract(FeatureSettings(), sound) != extract(FeatureSettings(), changed), axis=1))
    assert differs.tolist() == [4, 5, 6]  # frame t holds samples 160 t to 160 t + 399; its first weighs nothing


def test_silence_is_the_floor() -> None:
    settings = FeatureSettings(kind="log_mel", floor=1e-7)
    np.testing.assert_allclose(extract(settings, np.zeros(1000)), np.log(1e-7))


def test_silence_has_one_cepstrum_that_is_not_zero() -> None:
    cepstra = extract(FeatureSettings(), np.zeros(1000))
    np.testing.assert_allclose(cepstra[:, 0], np.sqrt(40) * np.log(1e-10))
    np.testing.assert_allclose(cepstra[:, 1:], 0, atol=1e-10)


@pytest.mark.parametrize("hertz", [300.0, 1000.0, 3500.0, 7000.0])
def test_a_tone_is_loudest_in_the_filter_around_it(hertz: float) -> None:
    settings = FeatureSettings(kind="log_mel")
    log_mel = extract(settings, np.sin(2 * np.pi * hertz * np.arange(16000) / 16000))
    loudest = np.unique(log_mel.argmax(axis=1))
    peaks = mel_edges(settings)[1:-1]
    assert loudest.tolist() == [np.abs(hertz_to_mel(peaks, "htk") - hertz_to_mel(hertz, "htk")).argmin()]


def test_twice_the_amplitude_adds_log_four_to_every_mel() -> None:
    settings = replace(FeatureSettings(kind="log_mel"), floor=1e-37)
    sound = np.random.default_rng(0).normal(size=2000)
    np.testing.assert_allclose(extract(settings, 2 * sound) - extract(settings, sound), np.log(4), rtol=1e-9)


# batches


def test_a_recording_is_the_same_alone_and_in_a_batch() -> None:
    extractor = FeatureExtractor(FeatureSettings(), torch.float64)
    quiet, loud = made_up_sound(3000, 1) * 1e-3, made_up_sound(3000, 2) * 1e3
    batch = extractor(torch.from_numpy(np.stack([quiet, loud])))
    assert batch.shape == (17, 2, 13)
    torch.testing.assert_close(batch[:, 0], extractor(torch.from_numpy(quiet)), rtol=0, atol=1e-10)
    torch.testing.assert_close(batch[:, 1], extractor(torch.from_numpy(loud)), rtol=0, atol=1e-10)


def test_padding_never_reaches_the_frames_of_the_recording() -> None:
    extractor = FeatureExtractor(FeatureSettings(), torch.float64)
    sound = torch.from_numpy(made_up_sound(3000))
    padded = torch.cat([sound, torch.full((1000,), torch.nan)])
    frames = extractor.settings.frames(3000)
    torch.testing.assert_close(extractor(padded[None])[:frames, 0], extractor(sound), rtol=0, atol=1e-10)


@pytest.mark.parametrize("shape", [(399,), (3, 399), (0,)])
def test_less_than_a_frame_is_refused_with_both_lengths(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=rf"{shape[-1]} samples are fewer than one frame of 400"):
        FeatureExtractor(FeatureSettings())(torch.zeros(shape))


def test_other_types_and_shapes_are_refused() -> None:
    extractor = FeatureExtractor(FeatureSettings())
    with pytest.raises(ValueError, match=r"samples are torch.float64, the extractor computes in torch.float32"):
        extractor(torch.zeros(1000, dtype=torch.float64))
    with pytest.raises(ValueError, match=r"shape \[1, 2, 1000\], expected \[N\] or \[B, N\]"):
        extractor(torch.zeros(1, 2, 1000))


@pytest.mark.parametrize("spec", ["default", "default+deltas=2", "default+normalise=utterance", "kaldi"])
def test_a_padded_row_with_its_length_is_the_recording_alone(spec: str) -> None:
    settings = feature_settings(spec)
    extractor = FeatureExtractor(settings)
    lengths = [3000, 401, 2222]
    rows = [torch.from_numpy(made_up_sound(length, length)).float() for length in lengths]
    padded = torch.full((3, 3000), torch.nan)
    for row, samples in zip(padded, rows, strict=True):
        row[: len(samples)] = samples
    batch = extractor(padded, torch.tensor(lengths))
    for column, samples in enumerate(rows):
        frames = settings.frames(len(samples))
        assert torch.equal(batch[:frames, column], extractor(samples))
        assert not batch[frames:, column].any()


SHAPES = ((2, 16000), (5, 8273), (23, 3001), (64, 2500), (3, 90000))  # recordings of a batch, and samples of each
ADDS_UP = (
    "mm",
    "bmm",
    "addmm",
    "sum",
    "mean",
    "_fft_r2c",
)  # operations that may round by the shape


@pytest.fixture
def torch_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Features without compiled code, as where numba is missing."""
    monkeypatch.setattr("seqaudio.features.extractor.compiled_serves", lambda samples: False)


def check_bits(spec: str, dtype: torch.dtype) -> None:
    """Compare recordings in batches, side by side and sample after sample in memory, with each alone."""
    extractor = FeatureExtractor(feature_settings(spec), dtype)
    for rows, samples in SHAPES:
        batch = torch.from_numpy(made_up_sound(rows * samples, rows)).to(dtype).view(rows, samples)
        together, interleaved = extractor(batch), extractor(batch.T.contiguous().T)
        for row in {0, rows // 2, rows - 1}:
            alone = extractor(batch[row].clone())
            assert torch.equal(together[:, row], alone)
            assert torch.equal(interleaved[:, row], alone)


@pytest.mark.parametrize("spec", ["default", "hello_edge", "asr", "kaldi+deltas=1+energy=true", "torchaudio"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_no_bit_of_a_recording_depends_on_its_batch(spec: str, dtype: torch.dtype) -> None:
    check_bits(spec, dtype)


@pytest.mark.usefixtures("torch_path")
@pytest.mark.parametrize(
    "spec", ["librosa", "kaldi+edges=none+energy=true", "asr+spectrum=magnitude+normalise=sliding"]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_no_bit_depends_on_the_batch_without_compiled_code(spec: str, dtype: torch.dtype) -> None:
    check_bits(spec, dtype)


class Sums(TorchDispatchMode):
    """Record the operations that add up, with the shapes of what they are given."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[tuple[object, ...]] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name in ADDS_UP:
            self.seen[name, *(tuple(given.shape) for given in args if isinstance(given, torch.Tensor))] += 1
        return func(*args, **kwargs or {})


@pytest.mark.usefixtures("torch_path")
@pytest.mark.parametrize("spec", [*PRESETS, "kaldi+fft_points=400+energy=true+edges=none"])
def test_whatever_torch_adds_up_has_the_shape_of_one_recording(spec: str) -> None:
    """So equal bits do not hang on how the products of this processor happen to round."""
    extractor = FeatureExtractor(feature_settings(spec))
    samples = torch.zeros(5, 70000)  # more frames than one block
    with Sums() as alone:
        extractor(samples[0])
    with Sums() as together:
        extractor(samples)
    assert any(name in ("mm", "bmm") for name, *_ in alone.seen)
    assert together.seen == Counter({operation: 5 * times for operation, times in alone.seen.items()})


def test_a_long_recording_is_worked_on_in_blocks_without_a_seam() -> None:
    sound = made_up_sound(16000 * 5)
    whole = extract(FeatureSettings(), sound)
    for frame in (0, 399, 400, 401, len(whole) - 1):
        alone = extract(FeatureSettings(), sound[160 * frame : 160 * frame + 400])
        np.testing.assert_allclose(whole[frame : frame + 1], alone, rtol=0, atol=1e-10)


FEW = {"sample_rate": 1000, "frame_length": 0.016, "frame_shift": 0.008, "mels": 4, "coefficients": 3}


@pytest.mark.parametrize(
    "changes",
    [{}, {"deltas": 2, "pre_emphasis": 0.9}, {"energy": True, "remove_mean": True}, {"decibels": True, "top_db": 6.0}],
)
def test_gradients_reach_the_samples(changes: dict[str, object]) -> None:
    settings = FeatureSettings(**{**FEW, **changes})
    samples = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 30))).requires_grad_()
    assert torch.autograd.gradcheck(FeatureExtractor(settings, torch.float64), samples)


def test_nothing_of_the_extractor_goes_into_a_saved_model() -> None:
    assert FeatureExtractor(FeatureSettings()).state_dict() == {}


# settings


@given(
    kind=st.sampled_from(["mfcc", "log_mel"]),
    rate=st.sampled_from([8000, 16000, 32000, 48000]),
    length=st.integers(16, 64),
    mels=st.integers(13, 40),
    scale=st.sampled_from(["htk", "slaney"]),
    high=st.none() | st.floats(1000, 4000),
)
def test_settings_survive_json(kind: str, rate: int, length: int, mels: int, scale: str, high: float | None) -> None:
    settings = FeatureSettings(
        kind=kind, sample_rate=rate, frame_length=length / 1000, mels=mels, scale=scale, high=high
    )
    assert FeatureSettings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings


@pytest.mark.parametrize("name", list(PRESETS))
def test_presets_survive_json(name: str) -> None:
    settings = feature_settings(name + "+deltas=2")
    assert FeatureSettings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings


FIRST_FORMAT = {
    "kind": "mfcc",
    "sample_rate": 16000,
    "frame_length": 0.025,
    "frame_shift": 0.01,
    "window": "hann",
    "mels": 40,
    "coefficients": 13,
    "low": 20.0,
    "high": None,
    "scale": "htk",
    "floor": 1e-10,
}


def test_stores_of_the_first_format_have_the_same_features_and_the_same_json() -> None:
    settings = FeatureSettings.from_dict(FIRST_FORMAT)
    assert settings == FeatureSettings()
    assert settings.to_dict() == FIRST_FORMAT
    assert replace(settings, deltas=1).to_dict() == {**FIRST_FORMAT, "deltas": 1}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "mffc"}, "kind 'mffc'; did you mean mfcc"),
        ({"scale": "bark"}, "scale 'bark'; known: htk, slaney"),
        ({"window": "hanning"}, "window 'hanning'; did you mean hann"),
        ({"spectrum": "energy"}, "spectrum 'energy'; known: magnitude, power"),
        ({"triangles": "bark"}, "triangles 'bark'; known: hertz, mel"),
        ({"edges": "center"}, "edges 'center'"),
        ({"normalise": "slide"}, "normalise 'slide'; did you mean sliding"),
        ({"pre_emphasis": 1.1}, "pre_emphasis 1.1, expected 0 (off) to 1"),
        ({"full_scale": 0.0}, "full_scale 0.0, expected a positive"),
        ({"fft_points": 256}, "fft_points 256, expected at least the 400 samples of a frame"),
        ({"lifter": -1.0}, "lifter -1.0, expected 0"),
        ({"top_db": 0.0, "decibels": True}, "top_db 0.0, expected a positive"),
        ({"top_db": 80.0}, "top_db without decibels"),
        ({"kind": "log_mel", "energy": True}, "energy and lifter are for cepstra"),
        ({"kind": "log_mel", "lifter": 22.0}, "energy and lifter are for cepstra"),
        ({"energy": True, "top_db": 80.0, "decibels": True}, "energy and top_db do not go together"),
        ({"deltas": 3}, "3 orders of deltas"),
        ({"delta_width": 0}, "delta_width 0, expected at least 1"),
        ({"normalise_frames": 1}, "normalise_frames 1, expected at least 2"),
        ({"sample_rate": 0}, "sample_rate 0 Hz"),
        ({"frame_shift": 0.00006}, "is 0.96 samples at 16000 Hz, expected at least one; take 6.25e-05 s or more"),
        ({"frame_length": 0.0}, "is 0 samples"),
        ({"frame_shift": 0.03}, "would skip samples, expected at most the frame_length 0.025 s"),
        ({"low": 9000.0}, "filters from 9000.0 to 8000.0 Hz"),
        ({"high": 8001.0}, "filters from 20.0 to 8001.0 Hz"),
        ({"coefficients": 41}, "41 coefficients of 40 mels"),
        ({"mels": 0}, "0 mels, expected at least 1"),
        ({"floor": 0.0}, "floor 0.0, expected a positive energy"),
        ({"floor": 1e-50}, "floor 1e-50, expected a positive energy, 1e-37 or more"),
        ({"floor": np.inf}, "floor inf, expected a finite number"),
        ({"lifter": np.inf}, "lifter inf, expected a finite number, at most 1e+06"),
        ({"lifter": np.nan}, "lifter nan, expected a finite number"),
        ({"full_scale": np.inf}, "full_scale inf, expected a finite number"),
        ({"full_scale": 1e30}, "full_scale 1e+30, expected a finite number, at most 1e+10"),
        ({"frame_length": np.nan}, "frame_length nan, expected a finite number, at most 10"),
        ({"frame_length": 1e9}, "frame_length 1000000000.0, expected a finite number, at most 10"),
        ({"frame_shift": -np.inf}, "frame_shift -inf, expected a finite number"),
        ({"frame_length": 10, "sample_rate": 1_000_000}, "a spectrum of 16,777,216 points"),
        ({"fft_points": 10**12}, "a spectrum of 1,000,000,000,000 points"),
        ({"mels": 99999999}, "mels 99999999, expected a finite number, at most 1,024"),
        ({"low": np.nan}, "filters from nan to 8000.0 Hz"),
        ({"high": np.inf}, "filters from 20.0 to inf Hz"),
        ({"pre_emphasis": np.nan}, "pre_emphasis nan, expected 0 (off) to 1"),
        ({"top_db": np.inf, "decibels": True}, "top_db inf, expected a finite number"),
        ({"delta_width": 10**9}, "delta_width 1000000000, expected a finite number"),
        ({"normalise_frames": 10**9}, "normalise_frames 1000000000, expected a finite number"),
        ({"sample_rate": 10**400}, "expected a finite number, at most 1e+06"),
    ],
)
def test_senseless_settings_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError) as caught:
        FeatureSettings(**changes)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_proposed_frame_shift_is_accepted() -> None:
    with pytest.raises(OptionError) as caught:
        FeatureSettings(sample_rate=22050, frame_shift=1e-5)
    proposal = float(str(caught.value).split("take ")[1].split(" s ")[0])
    assert FeatureSettings(sample_rate=22050, frame_shift=proposal).hop_samples == 1


@pytest.mark.parametrize(("rate", "window", "hop"), [(44100, 1102, 441), (22050, 551, 220), (11025, 275, 110)])
def test_a_part_of_a_sample_is_dropped(rate: int, window: int, hop: int) -> None:
    settings = FeatureSettings(sample_rate=rate)
    assert (settings.window_samples, settings.hop_samples) == (window, hop)


def test_filters_between_two_bins_are_refused() -> None:
    with pytest.raises(OptionError, match="mel filters see no bin of the 512-point spectrum"):
        mel_filters(FeatureSettings(mels=200, low=0.0))


def test_an_unknown_setting_is_named() -> None:
    with pytest.raises(OptionError, match="unknown feature setting 'mel'; did you mean mels"):
        FeatureSettings.from_dict({"mel": 40})


@pytest.mark.parametrize("name", list(PRESETS))
@pytest.mark.parametrize("rate", [8000, 16000, 48000])
def test_every_preset_works_at_common_rates(name: str, rate: int) -> None:
    settings = feature_settings(name, rate)
    frames = extract(settings, made_up_sound(rate), torch.float32)
    assert frames.shape == (settings.frames(rate), settings.size)
    assert np.isfinite(frames).all()


@pytest.mark.parametrize("name", list(PRESETS))
def test_every_preset_takes_a_recording_of_any_length_or_says_that_it_is_too_short(name: str) -> None:
    settings = feature_settings(name)
    extractor = FeatureExtractor(settings)
    for samples in (*range(6), *(settings.min_samples + more for more in (-1, 0, 1)), 2999):
        if settings.frames(max(samples, 0)):
            assert samples >= settings.min_samples
            assert extractor(torch.zeros(samples)).shape == (settings.frames(samples), settings.size)
        else:
            with pytest.raises(ValueError, match=rf"fewer than one frame of {settings.min_samples} "):
                extractor(torch.zeros(max(samples, 0)))
            assert samples < settings.min_samples


def test_hello_edge_makes_49_frames_of_10_values_of_a_second() -> None:
    settings = feature_settings("hello_edge")
    assert (settings.frames(16000), settings.size) == (49, 10)


def test_a_specification_changes_settings_of_a_preset() -> None:
    settings = feature_settings("asr+mels=64+deltas=2+high=7000+decibels=true+top_db=none+window=povey", 48000)
    changed = replace(feature_settings("asr", 48000), mels=64, deltas=2, high=7000.0, decibels=True, window="povey")
    assert settings == changed
    assert settings.size == 192


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("default+delta=2", "unknown feature setting 'delta'; did you mean deltas"),
        ("default+deltas=two", "deltas=two: expected a whole number, as in deltas=0"),
        ("default+deltas", "deltas=: expected a whole number"),
        ("default+high=x", "high=x: expected a number, as in high=4000"),
        ("default+energy=yes", "energy=yes: expected true or false, as in energy=false"),
        ("default+kind=mel", "kind 'mel'"),
        ("mfcc+deltas=1", "no feature preset is called 'mfcc'"),
        ("default+lifter=inf", "lifter inf, expected a finite number"),
        ("default+frame_length=nan", "frame_length nan, expected a finite number"),
        ("default+fft_points=1e12", "fft_points=1e12: expected a whole number"),
    ],
)
def test_a_specification_that_makes_no_sense_is_refused(spec: str, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        feature_settings(spec)
    assert message in str(caught.value)


@pytest.mark.parametrize("preset", ["default", "librosa"])
def test_a_rate_of_nothing_is_refused(preset: str) -> None:
    with pytest.raises(OptionError, match="sample_rate 0 Hz, expected a positive number"):
        feature_settings(preset, 0)


@pytest.mark.parametrize("changes", [{"full_scale": 1e10}, {"lifter": 1e6}, {"floor": 1e12}, {"floor": 1e-37}])
def test_the_greatest_settings_give_finite_features(changes: dict[str, float]) -> None:
    settings = FeatureSettings(**changes, deltas=2)
    loud = np.random.default_rng(0).choice([-1e6, 1e6], size=16000).astype(np.float32)
    for samples in (loud, np.zeros_like(loud)):
        assert np.isfinite(extract_frames(samples, settings)).all()


def test_an_unknown_preset_is_named() -> None:
    with pytest.raises(OptionError, match="no feature preset is called 'logmel'; did you mean log_mel"):
        feature_settings("logmel")


def test_presets_come_without_torch() -> None:
    code = "import sys, seqaudio.features as f; assert f.PRESETS; assert 'torch' not in sys.modules; f.FeatureExtractor"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# the step of a preparation


def wav(path: Path, seconds: float, rate: int = 16000) -> Item:
    soundfile.write(path, made_up_sound(round(seconds * rate)), rate)
    return Item(path.name, path, path.stem, "train", label="word", speaker="ada")


def test_a_recording_becomes_the_frames_of_its_samples(tmp_path: Path) -> None:
    item = wav(tmp_path / "3_ada_1.wav", 0.5)
    settings = FeatureSettings()
    (row,) = ExtractFeatures(settings)(item)
    assert (row.id, row.duration, row.sequence.dtype) == ("3_ada_1", 0.5, np.float32)
    np.testing.assert_array_equal(row.sequence, extract(settings, read_audio(item.file).samples, torch.float32))


def test_recordings_of_another_rate_are_resampled(tmp_path: Path) -> None:
    (row,) = ExtractFeatures(FeatureSettings(sample_rate=8000))(wav(tmp_path / "a.wav", 0.5, 44100))
    assert row.sequence.shape == (48, 13)
    assert row.duration == 0.5


def test_the_number_of_threads_is_left_as_it_was(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        ExtractFeatures(FeatureSettings())(wav(tmp_path / "a.wav", 0.5))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_unfit_recordings_are_refused_with_a_reason(tmp_path: Path) -> None:
    extract_features = ExtractFeatures(FeatureSettings(), names="[0-9]_ada", example="3_ada.wav")
    fit = wav(tmp_path / "3_ada.wav", 0.5)
    cases = {
        Reason.UNEXPECTED_NAME: wav(tmp_path / "ada_3.wav", 0.5),
        Reason.NO_LABEL: replace(fit, label=""),
        Reason.TOO_SHORT: wav(tmp_path / "4_ada.wav", 0.0249),
        Reason.MISSING: replace(fit, path=tmp_path / "5_ada.wav"),
    }
    for reason, item in cases.items():
        with pytest.raises(AudioError) as caught:
            extract_features(item)
        assert caught.value.reason is reason
    assert len(extract_features(fit)) == 1


@pytest.mark.data
def test_real_speech_agrees_with_both_libraries(data_folder: Path) -> None:
    recording = read_audio(data_folder / "speech" / "fsdd" / "recordings" / "3_theo_12.flac")
    settings = FeatureSettings(sample_rate=8000)
    ours = extract(settings, recording.samples.astype(np.float64))
    for oracle in ORACLES.values():
        np.testing.assert_allclose(ours, oracle(settings, recording.samples.astype(np.float64)), rtol=0, atol=1e-9)


# energies by compiled code


@pytest.mark.parametrize(
    "spec",
    [
        "default",
        "asr+spectrum=magnitude",
        "torchaudio",
        "default+energy=true",
        "kaldi",
        "default+frame_length=0.0253125",
        "librosa",
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_compiled_energies_equal_those_of_torch(spec: str, dtype: torch.dtype) -> None:
    settings = feature_settings(spec)
    extractor = FeatureExtractor(settings, dtype)
    for seconds in (0.05, 0.5, 2.1):
        samples = torch.from_numpy(made_up_sound(round(seconds * 16000))).to(dtype)
        by_torch = extractor(samples.clone().requires_grad_()).detach()
        tolerance = 1e-9 if dtype == torch.float64 else 1e-3
        torch.testing.assert_close(extractor(samples), by_torch, rtol=0, atol=tolerance)


def test_preparation_does_not_take_the_slow_way(monkeypatch: pytest.MonkeyPatch) -> None:
    extractor = FeatureExtractor(FeatureSettings())
    monkeypatch.setattr(FeatureExtractor, "_logarithms_by_torch", lambda *_: pytest.fail("not compiled"))
    extractor(torch.zeros(2, 16000))


@pytest.mark.parametrize(
    ("missing", "words"), [("numba", "pip install numba"), ("seqaudio.features.compiled", "seqaudio.features.compiled")]
)
def test_without_numba_or_the_folder_of_kernels_features_are_made_by_torch_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], missing: str, words: str
) -> None:
    sound = torch.from_numpy(made_up_sound(8000)).float()
    expected = FeatureExtractor(FeatureSettings())(sound)
    for name in [name for name in sys.modules if name.startswith("seqaudio.features.compiled")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    compiled_is_there.cache_clear()
    try:
        torch.testing.assert_close(FeatureExtractor(FeatureSettings())(sound), expected, rtol=0, atol=1e-3)
        told = "".join(capsys.readouterr())
        assert words in told
        assert ("pip install" in told) == (missing == "numba")
    finally:
        monkeypatch.undo()
        compiled_is_there.cache_clear()


def test_bands_are_filters_without_their_zeros() -> None:
    filters = np.array([[0.0, 1.0, 0.0], [0.5, 2.0, 0.0], [0.0, 0.0, 0.0], [0.0, 3.0, 0.0]])
    bands = Bands.of(filters)
    assert bands.first.tolist() == [1, 0, 0]
    assert bands.last.tolist() == [2, 4, 0]
    assert bands.weights.tolist() == [0.5, 1.0, 2.0, 0.0, 3.0]


def test_the_page_names_every_preset_and_every_setting() -> None:
    page = (Path(__file__).parents[1] / "docs" / "features.md").read_text(encoding="utf-8")
    names = [*PRESETS, *(field.name for field in fields(FeatureSettings))]
    assert [name for name in names if f"`{name}`" not in page] == []


@pytest.mark.parametrize("points", [4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096])
@pytest.mark.parametrize("spectrum", ["power", "magnitude"])
def test_compiled_spectra_are_those_of_numpy(points: int, spectrum: Spectrum) -> None:
    from seqaudio.features.compiled.energies import FilterEnergies

    draw = np.random.default_rng(points)
    W = points - points // 5  # some zeros behind
    settings = FeatureSettings(
        mels=1, coefficients=1, frame_length=W / 16000, frame_shift=W / 16000, fft_points=points, spectrum=spectrum
    )
    frames, window = draw.normal(size=(3, 7, W)), draw.uniform(size=W)
    every_bin = FilterEnergies(settings, window, np.eye(points // 2 + 1))
    expected = np.abs(np.fft.rfft(frames * window, points)) ** (1 if spectrum == "magnitude" else 2)
    np.testing.assert_allclose(every_bin(frames), expected.reshape(21, -1), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("points", [16, 512])
def test_sixteen_frames_at_once_give_the_bits_of_eight(points: int) -> None:
    from seqaudio.features.compiled import energies

    settings = FeatureSettings(
        mels=3, coefficients=3, frame_length=13 / 16000, frame_shift=13 / 16000, fft_points=points
    )
    draw = np.random.default_rng(points)
    filters = draw.uniform(size=(points // 2 + 1, 3)).astype(np.float32)
    compute = energies.FilterEnergies(settings, draw.uniform(size=13).astype(np.float32), filters)
    frames = draw.normal(size=(3, 7, 13)).astype(np.float32)
    results = []
    for kernel in (energies._eight_at_once, energies._sixteen_at_once):
        compute._compute = kernel
        results.append(compute(frames).tobytes())
    assert results[0] == results[1]


@pytest.mark.parametrize("columns", [1, 13, 16, 33])
def test_a_product_of_frames_sums_in_order_and_row_by_row(columns: int) -> None:
    from seqaudio.features.compiled.products import row_products

    draw = np.random.default_rng(columns)
    rows, matrix = draw.normal(size=(7, 40)), draw.normal(size=(40, columns))
    together = row_products(rows, matrix)
    np.testing.assert_allclose(together, rows @ matrix, rtol=1e-12, atol=1e-12)
    for n in range(7):
        assert row_products(rows[n : n + 1], matrix).tobytes() == together[n : n + 1].tobytes()


def test_a_frame_is_worked_on_alike_in_any_company() -> None:
    settings = feature_settings("kaldi")
    samples = torch.from_numpy(made_up_sound(32000)).float()
    frames = cut_frames(samples[None], settings)
    extractor = FeatureExtractor(settings)
    together = extractor.static(frames)
    for t in (0, 1, 7, 8, 100, frames.shape[1] - 1):
        torch.testing.assert_close(extractor.static(frames[:, t : t + 1])[0, 0], together[0, t], rtol=0, atol=0)
        torch.testing.assert_close(extractor.static(frames[:, t:])[0, 0], together[0, t], rtol=0, atol=0)


def test_what_compiled_code_would_not_notice_is_refused() -> None:
    from seqaudio.features.compiled.energies import FilterEnergies

    settings = FeatureSettings()
    energies = FilterEnergies(settings, np.ones(400), np.ones((257, 2)))
    for frames in (np.ones((1, 2, 401)), np.ones((1, 2, 400), np.float32), np.ones((1, 2, 800))[..., ::2]):
        with pytest.raises(ValueError, match=r"expected float64 \[B, T, 400\], contiguous in the last"):
            energies(frames)
    with pytest.raises(ValueError, match="an FFT of 400 points, expected a power of two"):
        FilterEnergies(replace(settings, fft_points=400), np.ones(400), np.ones((201, 2)))
