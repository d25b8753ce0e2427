"""Augmentation of features: keyed, stateless, of the promised size and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seqaudio.augmentation import Augmentation, augment
from seqaudio.augmentation.draws import keyed_generator
from seqaudio.augmentation.frames import FeatureAugmenter, changed_clips, stretch_time, warp_vocal_tract
from seqaudio.errors import OptionError
from seqaudio.features import FeatureExtractor, FeatureSettings, feature_settings
from seqaudio.features.deltas import with_deltas
from seqaudio.features.mfcc import cepstral_matrix, dct_matrix, mel_edges

MFCC = FeatureSettings()
LOG_MEL = FeatureSettings(kind="log_mel")
OFF = Augmentation(
    time_stretch=0,
    vocal_tract_warp=0,
    gain=0,
    tilt=0,
    offset=0,
    noise=0,
    time_masks=0,
    time_mask_frames=0,
)
KEY = (1, 0, "3_theo_12")


def made_up_features(frames: int = 50, size: int = 13) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(frames, size)).astype(np.float32)


def of_sound(settings: FeatureSettings, samples: np.ndarray) -> np.ndarray:
    extractor = FeatureExtractor(replace(settings, floor=1e-37), torch.float64)
    return extractor(torch.from_numpy(samples)).numpy()


# keys


def test_equal_keys_give_equal_results() -> None:
    features = made_up_features()
    first = augment(features, MFCC, Augmentation(), KEY)
    augment(features, MFCC, Augmentation(), (9, 9, "something between"))
    np.testing.assert_array_equal(augment(features, MFCC, Augmentation(), KEY), first)


@pytest.mark.parametrize("other", [(2, 0, "3_theo_12"), (1, 1, "3_theo_12"), (1, 0, "3_theo_13"), (0, 1, "3_theo_12")])
def test_seed_epoch_and_row_each_matter(other: tuple[int, int, str]) -> None:
    features = made_up_features()
    changed, base = (augment(features, MFCC, Augmentation(time_stretch=0), key) for key in (other, KEY))
    assert np.abs(changed - base).max() > 0.01


def test_the_input_is_left_alone() -> None:
    features = made_up_features()
    features.setflags(write=False)  # as a memory-mapped store gives them
    before = features.copy()
    augment(features, MFCC, Augmentation(), KEY)
    np.testing.assert_array_equal(features, before)


# sizes


@pytest.mark.parametrize("settings", [MFCC, LOG_MEL], ids=["mfcc", "log_mel"])
def test_off_is_identity(settings: FeatureSettings) -> None:
    features = made_up_features(size=settings.size)
    np.testing.assert_array_equal(augment(features, settings, OFF, KEY), features)


@given(frames=st.integers(1, 60), epoch=st.integers(0, 1000), log_mel=st.booleans())
def test_any_recording_keeps_its_width_type_and_finite_values(frames: int, epoch: int, log_mel: bool) -> None:
    settings = LOG_MEL if log_mel else MFCC
    augmentation = Augmentation(time_stretch=0.5)
    result = augment(made_up_features(frames, settings.size), settings, augmentation, (0, epoch, "row"))
    assert result.dtype == np.float32
    assert result.shape[1] == settings.size
    assert max(1, int(0.5 * frames)) <= len(result) <= 1.5 * frames + 1
    assert np.isfinite(result).all()


@pytest.mark.parametrize("change", ["vocal_tract_warp", "gain", "tilt", "offset", "noise", "time_masks"])
def test_only_stretching_changes_the_number_of_frames(change: str) -> None:
    changes = {change: 2 if change == "time_masks" else 0.1, "time_mask_frames": 5}
    result = augment(made_up_features(), MFCC, replace(OFF, **changes), KEY)
    assert result.shape == (50, 13)
    assert not np.array_equal(result, made_up_features())


@pytest.mark.parametrize("shape", [(50,), (50, 12), (0, 13), (2, 50, 13)])
def test_features_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected \[T >= 1, 13\]"):
        augment(np.zeros(shape, np.float32), MFCC, Augmentation(), KEY)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"noise": -0.1}, "noise -0.1, expected 0"),
        ({"gain": float("nan")}, "gain nan, expected 0"),
        ({"time_masks": -1}, "time_masks -1, expected 0"),
        ({"time_stretch": 1.0}, "time_stretch 1.0, expected less than 1"),
        ({"vocal_tract_warp": 1.5}, "vocal_tract_warp 1.5, expected less than 1"),
    ],
)
def test_senseless_settings_are_refused(changes: dict[str, float], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Augmentation(**changes)


# time


def test_stretching_by_one_changes_nothing() -> None:
    np.testing.assert_array_equal(stretch_time(made_up_features(), 1.0), made_up_features())


def test_stretching_interpolates_between_the_ends() -> None:
    features = np.array([[0.0, 10.0], [1.0, 20.0], [2.0, 30.0]], dtype=np.float32)
    np.testing.assert_allclose(stretch_time(features, 5 / 3), [[0, 10], [0.5, 15], [1, 20], [1.5, 25], [2, 30]])
    np.testing.assert_allclose(stretch_time(features, 2 / 3), [[0, 10], [2, 30]])
    np.testing.assert_allclose(stretch_time(features, 0.1), [[0, 10]])


def test_durations_spread_over_the_whole_range() -> None:
    lengths = [
        len(augment(made_up_features(100), MFCC, replace(OFF, time_stretch=0.2), (0, n, ""))) for n in range(300)
    ]
    assert (min(lengths), max(lengths)) == (80, 120)
    assert np.mean(lengths) == pytest.approx(100, abs=2)


def test_masks_put_the_mean_frame_over_short_stretches() -> None:
    features = made_up_features(40)
    for epoch in range(50):
        masked = augment(features, MFCC, replace(OFF, time_masks=1, time_mask_frames=6), (0, epoch, ""))
        changed = np.flatnonzero(np.any(masked != features, axis=1))
        assert len(changed) <= 6
        assert np.array_equal(changed, np.arange(len(changed)) + (changed[0] if len(changed) else 0))
        np.testing.assert_allclose(masked[changed], np.tile(features.mean(axis=0), (len(changed), 1)), atol=1e-6)


def test_a_mask_covers_at_most_a_quarter() -> None:
    features = made_up_features(12)
    covered = []
    for epoch in range(100):
        masked = augment(features, MFCC, replace(OFF, time_masks=1, time_mask_frames=100), (0, epoch, ""))
        covered.append(np.any(masked != features, axis=1).sum())
    assert max(covered) == 3


# level and colour


def test_gain_is_that_of_a_louder_recording() -> None:
    """A gain of g dB is what samples times 10^(g/20) would give, in the log-mel and in the cepstral domain."""
    samples = np.random.default_rng(0).normal(size=2000)
    for settings in (MFCC, LOG_MEL):
        features = of_sound(settings, samples)
        changed = augment(features, settings, replace(OFF, gain=12.0), KEY)
        first = changed[0, 0] - features[0, 0]  # tells the level that was drawn; all other values are checked by it
        level = first / (np.log(10) / 10) / (np.sqrt(settings.mels) if settings.kind == "mfcc" else 1.0)
        assert 0.01 < abs(level) < 12
        np.testing.assert_allclose(changed, of_sound(settings, samples * 10 ** (level / 20)), atol=1e-9)


def test_tilt_is_a_straight_line_across_the_filters() -> None:
    features = made_up_features(size=40).astype(np.float64)
    change = augment(features, LOG_MEL, replace(OFF, tilt=6.0), KEY) - features
    np.testing.assert_allclose(change, np.tile(change[0], (50, 1)), atol=1e-12)
    np.testing.assert_allclose(np.diff(change[0], n=2), 0, atol=1e-12)
    assert change[0, 0] == pytest.approx(-change[0, -1])
    assert 0 < abs(change[0, -1] - change[0, 0]) <= 6.0 * np.log(10) / 10


def test_tilt_of_cepstra_is_the_transform_of_the_tilt_of_mels() -> None:
    mels = made_up_features(size=40).astype(np.float64)
    dct = dct_matrix(40, 13)
    in_mels = augment(mels, LOG_MEL, replace(OFF, tilt=6.0), KEY)
    in_cepstra = augment(mels @ dct, MFCC, replace(OFF, tilt=6.0), KEY)
    np.testing.assert_allclose(in_cepstra, in_mels @ dct, atol=1e-12)


def test_an_offset_is_the_same_in_all_frames_and_has_the_given_deviation() -> None:
    features = made_up_features().astype(np.float64)
    offsets = []
    for epoch in range(200):
        change = augment(features, MFCC, replace(OFF, offset=0.5), (0, epoch, "")) - features
        np.testing.assert_allclose(change, np.tile(change[0], (50, 1)), atol=1e-12)
        offsets.append(change[0])
    assert np.std(offsets) == pytest.approx(0.5, rel=0.05)


def test_noise_has_the_given_deviation_and_no_structure() -> None:
    features = made_up_features(2000).astype(np.float64)
    noise = augment(features, MFCC, replace(OFF, noise=0.3), KEY) - features
    assert np.std(noise) == pytest.approx(0.3, rel=0.03)
    assert np.abs(np.corrcoef(noise.T) - np.eye(13)).max() < 0.1
    assert np.abs(np.corrcoef(noise[:-1].ravel(), noise[1:].ravel())[0, 1]) < 0.05


# voice


@pytest.mark.parametrize("settings", [MFCC, LOG_MEL], ids=["mfcc", "log_mel"])
def test_warping_by_one_changes_nothing(settings: FeatureSettings) -> None:
    features = made_up_features(size=settings.size)
    np.testing.assert_allclose(warp_vocal_tract(features, settings, 1.0), features, atol=1e-5)


@pytest.mark.parametrize("factor", [0.85, 0.95, 1.1, 1.2])
def test_a_resonance_moves_by_the_factor(factor: float) -> None:
    peaks = mel_edges(LOG_MEL)[1:-1]
    resonance = 1500.0
    bump = -(((np.log(peaks) - np.log(resonance)) / 0.2) ** 2)
    warped = warp_vocal_tract(bump[None], LOG_MEL, factor)[0]
    expected = -(((np.log(peaks) - np.log(factor * resonance)) / 0.2) ** 2)
    inside = np.abs(expected) < 4
    np.testing.assert_allclose(warped[inside], expected[inside], atol=0.2)
    assert np.abs(peaks - factor * resonance).argmin() == warped.argmax()


def test_warping_cepstra_is_warping_their_smooth_spectrum() -> None:
    dct = dct_matrix(40, 13)
    smooth = made_up_features(size=13).astype(np.float64) @ dct.T
    expected = warp_vocal_tract(smooth, LOG_MEL, 1.1) @ dct
    np.testing.assert_allclose(warp_vocal_tract(smooth @ dct, MFCC, 1.1), expected, atol=1e-12)


def test_a_flat_spectrum_stays_flat() -> None:
    np.testing.assert_allclose(warp_vocal_tract(np.full((3, 40), -7.0), LOG_MEL, 1.3), -7.0, atol=1e-12)


# settings beyond the plain ones

SPECS = [
    "default+lifter=22",
    "default+energy=true",
    "default+decibels=true",
    "default+spectrum=magnitude",
    "log_mel+decibels=true+spectrum=magnitude",
]


@pytest.mark.parametrize("spec", SPECS)
def test_gain_is_that_of_a_louder_recording_whatever_the_settings(spec: str) -> None:
    settings = feature_settings(spec)
    samples = np.random.default_rng(0).normal(size=2000)
    features = of_sound(settings, samples)
    changed = augment(features, settings, replace(OFF, gain=12.0), KEY)
    level = 12.0 * keyed_generator(KEY).uniform(-1.0, 1.0, size=4)[2]  # pace, warp, level, slope
    np.testing.assert_allclose(changed, of_sound(settings, samples * 10 ** (level / 20)), atol=1e-9)


@pytest.mark.parametrize("deltas", [1, 2])
def test_deltas_are_those_of_the_changed_frames(deltas: int) -> None:
    static, settings = feature_settings("default"), feature_settings(f"default+deltas={deltas}")
    features = of_sound(settings, np.random.default_rng(0).normal(size=5000))
    changed = augment(features, settings, Augmentation(frequency_masks=2), KEY)
    of_static = augment(features[:, :13], static, Augmentation(frequency_masks=2), KEY)
    np.testing.assert_array_equal(changed[:, :13], of_static)
    expected = with_deltas(torch.from_numpy(of_static), deltas, 2)
    np.testing.assert_allclose(changed, expected.numpy(), rtol=0, atol=1e-12)


def test_liftered_cepstra_are_warped_as_plain_ones_are() -> None:
    plain, liftered = feature_settings("default"), feature_settings("default+lifter=22")
    samples = np.random.default_rng(0).normal(size=3000)
    weights = cepstral_matrix(liftered)[0] / cepstral_matrix(plain)[0]
    warped = warp_vocal_tract(of_sound(plain, samples), plain, 1.1)
    np.testing.assert_allclose(
        warp_vocal_tract(of_sound(liftered, samples), liftered, 1.1), warped * weights, rtol=0, atol=1e-9
    )


def test_a_warp_leaves_the_energy_of_a_frame_alone() -> None:
    settings = feature_settings("default+energy=true")
    features = of_sound(settings, np.random.default_rng(0).normal(size=3000))
    warped = warp_vocal_tract(features, settings, 1.2)
    np.testing.assert_allclose(warped[:, 0], features[:, 0], rtol=0, atol=1e-12)
    assert np.abs(warped[:, 1:] - features[:, 1:]).max() > 0.1


def test_frequency_masks_put_the_mean_over_few_filters_and_all_frames() -> None:
    features = made_up_features(30, 40).astype(np.float64)
    widths = []
    for epoch in range(60):
        options = replace(OFF, frequency_masks=1, frequency_mask_filters=8)
        masked = augment(features, LOG_MEL, options, (0, epoch, ""))
        changed = np.flatnonzero(np.any(np.abs(masked - features) > 1e-12, axis=0))
        widths.append(len(changed))
        assert np.array_equal(changed, np.arange(len(changed)) + (changed[0] if len(changed) else 0))
        np.testing.assert_allclose(masked[:, changed], np.tile(features.mean(axis=0)[changed], (30, 1)), atol=1e-12)
    assert (min(widths), max(widths)) == (0, 8)


def test_frequency_masks_of_cepstra_are_those_of_their_smooth_spectrum() -> None:
    dct = dct_matrix(40, 13)
    options = replace(OFF, frequency_masks=2)
    smooth = made_up_features(30).astype(np.float64) @ dct.T
    expected = augment(smooth, LOG_MEL, options, KEY) @ dct
    np.testing.assert_allclose(augment(smooth @ dct, MFCC, options, KEY), expected, atol=1e-9)


@pytest.mark.parametrize("normalise", ["utterance", "sliding"])
def test_normalised_features_are_refused(normalise: str) -> None:
    with pytest.raises(OptionError, match=f"features with normalise={normalise} cannot be augmented"):
        augment(made_up_features(), feature_settings(f"default+normalise={normalise}"), Augmentation(), KEY)


@pytest.mark.parametrize("strength", [1.0, 0.0], ids=["all changes", "none"])
def test_many_clips_changed_at_once_equal_each_by_itself(strength: float) -> None:
    settings = replace(LOG_MEL, deltas=0)
    every = {"noise": 0.4, "frequency_masks": 2, "vocal_tract_warp": 0.2, "time_stretch": 0.25}
    augmenter = FeatureAugmenter(settings, Augmentation(**every) if strength else OFF, seed=5)
    clips = [made_up_features(frames, settings.size) for frames in (1, 2, 7, 40, 61, 33)]
    names = [f"row {number}" for number in range(len(clips))]
    many = changed_clips(
        clips, [augmenter.drawn(len(clip), 3, name) for clip, name in zip(clips, names, strict=True)], settings
    )
    alone = np.concatenate([augmenter(clip, 3, name) for clip, name in zip(clips, names, strict=True)])
    assert many.dtype == np.float32
    np.testing.assert_allclose(many, alone, rtol=1e-6, atol=1e-5)
    if not strength:
        np.testing.assert_array_equal(many, np.concatenate(clips))
