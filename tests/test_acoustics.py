"""Noise, rooms and levels: spectra, decay and signal-to-noise ratios measured on what comes out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqaudio.augmentation.acoustics import (
    NOISES,
    active_part,
    amplify,
    at_level,
    band_limit,
    coloured,
    in_room,
    level,
    mix,
    noise,
    noise_at,
    recorded_response,
    reverberate,
    room_response,
    signal_to_noise,
    unclipped,
)
from seqaudio.errors import OptionError

RATE = 16000
KINDS = list(NOISES)


def draw(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def word(silence_before: int = 3000, silence_after: int = 2000) -> np.ndarray:
    """A tone that swells and fades, with silence around it."""
    time = np.arange(8000) / RATE
    tone = 0.3 * np.sin(2 * np.pi * 440 * time) * np.sin(np.pi * (time + 0.01) / 0.52)
    return np.concatenate([np.zeros(silence_before), tone, np.zeros(silence_after)]).astype(np.float32)


def power_between(samples: np.ndarray, low: float, high: float) -> float:
    frequencies = np.fft.rfftfreq(len(samples), 1 / RATE)
    power = np.abs(np.fft.rfft(samples)) ** 2
    return float(power[(frequencies >= low) & (frequencies < high)].sum() / power.sum())


# Noise


@pytest.mark.parametrize("kind", KINDS)
def test_noise_has_unit_power_and_comes_from_the_generator_alone(kind: str) -> None:
    samples = noise(kind, 12345, RATE, draw())
    assert (samples.dtype, samples.shape) == (np.float32, (12345,))
    assert level(samples) == pytest.approx(0.0, abs=1e-4)
    assert np.array_equal(samples, noise(kind, 12345, RATE, draw()))
    assert not np.array_equal(samples, noise(kind, 12345, RATE, draw(2)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [2, 3, 160])
def test_short_noise_is_finite_too(kind: str, count: int) -> None:
    samples = noise(kind, count, RATE, draw())
    assert np.isfinite(samples).all()
    assert level(samples) == pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
def test_the_power_of_coloured_noise_falls_with_its_exponent(exponent: float) -> None:
    samples = coloured(1 << 18, exponent, RATE, draw())
    edges = 50.0 * 2.0 ** np.arange(8)  # octaves
    density = [power_between(samples, low, 2 * low) / low for low in edges[:-1]]
    slope = np.polyfit(np.log(edges[:-1]), np.log(density), 1)[0]
    assert slope == pytest.approx(-exponent, abs=0.05)


@pytest.mark.parametrize("kind", ["white", "pink", "brown"])
def test_coloured_noise_has_nothing_below_hearing(kind: str) -> None:
    assert power_between(noise(kind, RATE * 4, RATE, draw()), 0.0, 19.9) < 1e-9


def test_babble_has_the_spectrum_of_speech_and_swells_like_it() -> None:
    babble, white = (noise(kind, RATE * 8, RATE, draw()) for kind in ("babble", "white"))
    assert power_between(babble, 60.0, 1000.0) > 0.7
    assert power_between(babble, 4000.0, 8000.0) < 0.05
    swings = [np.std([level(frame) for frame in samples.reshape(-1, RATE // 10)]) for samples in (babble, white)]
    assert swings[0] > 1.5
    assert swings[0] > 3 * swings[1]


def test_hum_is_the_mains_and_its_harmonics() -> None:
    samples = noise("hum", RATE * 4, RATE, draw())
    frequencies = np.fft.rfftfreq(len(samples), 1 / RATE)
    strongest = frequencies[np.argsort(np.abs(np.fft.rfft(samples)))[-3:]]
    mains = min((50.0, 60.0), key=lambda mains: abs(strongest.min() / mains - round(strongest.min() / mains)))
    assert np.abs(strongest / mains - np.round(strongest / mains)).max() < 0.05
    assert power_between(samples, 1000.0, 8000.0) < 0.01


def test_an_unknown_noise_names_the_nearest() -> None:
    with pytest.raises(OptionError, match="no noise is called 'babel'; did you mean babble"):
        noise("babel", 100, RATE, draw())


def test_noise_of_one_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="1 samples of noise"):
        noise("white", 1, RATE, draw())


# Rooms


@pytest.mark.parametrize("seconds", [0.15, 0.4, 1.0])
def test_a_room_decays_by_sixty_decibels_in_its_reverberation_time(seconds: float) -> None:
    tail = room_response(seconds, 0.0, RATE, draw())[1:].astype(np.float64)
    # Schroeder's backward integration, read where it has fallen by 5 to 35 dB
    decay = 10 * np.log10(np.cumsum(tail[::-1] ** 2)[::-1] / np.sum(tail**2))
    start, stop = np.argmax(decay < -5), np.argmax(decay < -35)
    slope = np.polyfit(np.arange(start, stop) / RATE, decay[start:stop], 1)[0]
    assert -60 / slope == pytest.approx(seconds, rel=0.1)


@pytest.mark.parametrize("ratio", [-3.0, 0.0, 12.0])
def test_the_direct_sound_stands_above_the_reverberation_as_told(ratio: float) -> None:
    response = room_response(0.3, ratio, RATE, draw()).astype(np.float64)
    assert response[0] == 1.0
    assert 10 * np.log10(response[0] ** 2 / np.sum(response[1:] ** 2)) == pytest.approx(ratio, abs=1e-3)


def test_the_first_reflection_comes_after_the_direct_sound() -> None:
    response = room_response(0.3, 0.0, RATE, draw())
    assert not np.any(response[1:32])
    assert response[32] != 0.0


def test_a_reverberation_time_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"reverberation time 0\.0 s, expected a positive number"):
        room_response(0.0, 0.0, RATE, draw())


def test_reverberation_is_a_convolution() -> None:
    samples, response = draw().standard_normal(1000), room_response(0.05, 3.0, RATE, draw(2))
    heard = reverberate(samples, response)
    assert heard.dtype == np.float32
    np.testing.assert_allclose(heard, np.convolve(samples, response), atol=1e-5)


# Levels and ratios


def test_the_active_part_leaves_silence_and_faint_sound_out() -> None:
    samples = word(silence_before=100, silence_after=50)
    samples[:10] = 0.002  # 43 dB below the peak
    active = active_part(samples)
    assert 100 < active.start < 200
    assert len(samples) - 150 < active.stop <= len(samples) - 50


def test_a_click_is_its_own_active_part() -> None:
    samples = np.zeros(100, dtype=np.float32)
    samples[7] = -0.5
    assert active_part(samples) == slice(7, 8)


@pytest.mark.parametrize(("samples", "decibels"), [([1.0, -1.0], 0.0), ([0.5, -0.5], -6.0206), ([0.0, 0.0], -np.inf)])
def test_the_level_is_relative_to_full_scale(samples: list[float], decibels: float) -> None:
    assert level(np.array(samples)) == pytest.approx(decibels, abs=1e-4)


@settings(max_examples=60)
@given(
    snr=st.floats(-20, 80),
    gain=st.floats(-40, 10),
    before=st.integers(0, 5000),
    kind=st.sampled_from(KINDS),
    seed=st.integers(0, 2**32),
)
def test_a_mix_has_the_ratio_over_the_active_part(snr: float, gain: float, before: int, kind: str, seed: int) -> None:
    speech = amplify(word(silence_before=before), gain)
    background = noise(kind, len(speech), RATE, draw(seed))
    scaled = noise_at(snr, speech, background)
    assert signal_to_noise(speech, scaled) == pytest.approx(snr, abs=1e-3)
    np.testing.assert_allclose(mix(speech, background, snr), speech + scaled, atol=1e-6)


def test_silence_around_a_word_does_not_change_its_noise() -> None:
    steady = np.tile(np.float32([1.0, -1.0]), 20000)
    short, long = (noise_at(5.0, samples, steady[: len(samples)]) for samples in (word(), word(9000, 9000)))
    assert level(short) == pytest.approx(level(long), abs=1e-4)


def test_noise_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match=r"noise of shape \[10\], expected that of the speech, \[13000\]"):
        mix(word(), np.ones(10, dtype=np.float32), 0.0)


def test_silence_has_no_ratio_to_noise() -> None:
    with pytest.raises(ValueError, match="100 samples of silence"):
        mix(np.zeros(100, dtype=np.float32), np.ones(100, dtype=np.float32), 0.0)
    with pytest.raises(ValueError, match="the noise is silent where the speech is"):
        mix(word(), np.zeros(13000, dtype=np.float32), 0.0)


@pytest.mark.parametrize("decibels", [-40.0, -23.0, -3.0])
def test_a_word_is_brought_to_a_level_whatever_silence_surrounds_it(decibels: float) -> None:
    for samples in (word(), word(0, 0), word(9000, 1)):
        changed = at_level(samples, decibels)
        assert level(changed[active_part(changed)]) == pytest.approx(decibels, abs=1e-3)


def test_what_would_clip_is_made_quieter_as_a_whole() -> None:
    loud = amplify(word(), 20.0)
    calm = unclipped(loud)
    assert 20 * np.log10(np.abs(calm).max()) == pytest.approx(-1.0, abs=1e-3)
    np.testing.assert_allclose(calm / np.abs(calm).max(), loud / np.abs(loud).max(), atol=1e-6)
    assert calm.dtype == np.float32


def test_what_does_not_clip_is_left_alone() -> None:
    assert np.array_equal(unclipped(word()), word())
    assert not len(unclipped(np.zeros(0, dtype=np.float32)))


# Recorded rooms


def test_a_recorded_response_begins_with_the_direct_sound() -> None:
    recorded = np.zeros(1000, dtype=np.float32)
    recorded[300], recorded[301], recorded[500], recorded[20] = 0.2, -0.4, 0.1, 0.001
    response = recorded_response(recorded)
    assert len(response) == 700
    np.testing.assert_allclose(response[[0, 1, 200]], [0.5, -1.0, 0.25])
    with pytest.raises(ValueError, match="10 samples of silence, expected an impulse response"):
        recorded_response(np.zeros(10, dtype=np.float32))


def test_speech_in_a_room_keeps_its_length_and_level_and_fades_later() -> None:
    samples = word()
    heard = in_room(samples, room_response(0.4, 0.0, RATE, draw()))
    assert heard.shape == samples.shape
    assert heard.dtype == np.float32
    assert level(heard[active_part(heard)]) == pytest.approx(level(samples[active_part(samples)]), abs=1e-3)
    after = slice(11_200, None)  # the word has ended
    assert level(samples[after]) == -np.inf
    assert level(heard[after]) > level(heard) - 40


def test_an_empty_room_and_silence_leave_sound_as_it_is() -> None:
    np.testing.assert_allclose(in_room(word(), np.float32([1.0])), word(), atol=1e-6)
    assert not np.any(in_room(np.zeros(500, dtype=np.float32), np.float32([1.0, 0.5])))


# Bands


@pytest.mark.parametrize(
    ("hertz", "decibels"),
    [(60.0, -60), (240.0, -60), (300.0, 0), (1000.0, 0), (3400.0, 0), (4200.0, -60), (7000.0, -60)],
)
def test_a_band_passes_and_what_lies_outside_is_stopped(hertz: float, decibels: float) -> None:
    tone = np.sin(2 * np.pi * hertz * np.arange(RATE) / RATE).astype(np.float32) * np.hanning(RATE).astype(np.float32)
    limited = band_limit(tone, 300.0, 3400.0, RATE)
    assert limited.shape == tone.shape
    assert limited.dtype == np.float32
    assert level(limited) - level(tone) == pytest.approx(decibels, abs=1.5)


def test_the_end_does_not_ring_into_the_beginning() -> None:
    samples = np.zeros(4000, dtype=np.float32)
    samples[-200:] = 0.5
    assert np.abs(band_limit(samples, 300.0, 3400.0, RATE)[:2000]).max() < 1e-3


def test_a_band_upside_down_is_refused() -> None:
    with pytest.raises(ValueError, match="a band from 3400 to 300 Hz"):
        band_limit(word(), 3400, 300, RATE)
