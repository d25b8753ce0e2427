"""Mix sounds as log-mel energies: rooms, noise, colour and levels, hundreds of times faster than on samples.

    power = np.exp(frames)                                     # [T, M] energies of the filters
    power = in_room(power, made_up_room(settings, draw))
    power += background_at(10.0, power, made_up_noise(T, M, draw))

Energies of sounds that do not depend on each other add up, apart from their cross terms, which are zero on average. A
room spreads energy over the frames that follow. So a mixture needs no samples and no Fourier transform.
"""

from __future__ import annotations

import functools

import numpy as np

from seqaudio.errors import OptionError
from seqaudio.features.extraction import extract_frames
from seqaudio.features.mfcc import mel_filters
from seqaudio.features.settings import FeatureSettings
from seqaudio.units import Decibels, Seconds

DECIBELS = 10.0 / np.log(10.0)  # of one unit of the natural logarithm of energy
WAVES = 5  # cosines over the filters that make up a random colour
_ORDERS = np.arange(1, WAVES + 1)
LOUD_FRAMES = 3  # whose mean energy is the level of a word
LONGEST: Seconds = 0.8  # of a room's response; later energy is lost
BELOW_LOUDEST: Decibels = 35.0  # a frame less than this below the loudest belongs to the word,
ABOVE_FLOOR: Decibels = 8.0  # if it is this far above the quiet frames of the clip,
LEAST_RANGE: Decibels = 6.0  # or at most this far below the loudest
FLOOR_SHARE = 0.1  # of the frames: the quietest are the clip's background
GAP: Seconds = 0.24  # a shorter pause does not end a word


def check_energies(settings: FeatureSettings) -> None:
    """Raise OptionError unless frames are plain natural logarithms of mel energies, which can be mixed."""
    plain = settings.kind == "log_mel" and settings.spectrum == "power" and not settings.decibels
    if not plain or settings.deltas or settings.normalise != "none" or settings.top_db is not None:
        raise OptionError(
            "streams are mixed from plain log-mel energies, got other features; prepare with --features spotting, or "
            "give --examples clips"
        )


@functools.lru_cache(maxsize=8)
def full_scale(settings: FeatureSettings) -> float:
    """The natural logarithm of a frame's energy over all filters, for noise with a root mean square of 1 (0 dBFS)."""
    samples = np.random.default_rng(0).standard_normal(settings.sample_rate).astype(np.float32)
    return float(np.log(np.exp(extract_frames(samples, settings)).sum(axis=1).mean()))


def level(power: np.ndarray) -> float:
    """The natural logarithm of the mean energy of the loudest frames of power [T, M]."""
    energies = np.sort(power.sum(axis=1))[-LOUD_FRAMES:]
    return float(np.log(max(energies.mean(), 1e-30)))


def active_frames(frames: np.ndarray, settings: FeatureSettings) -> tuple[int, int]:
    """First and last frame, exclusive, of the word in log-mel frames [T, M]: the loudest stretch that sounds."""
    from seqaudio.augmentation import kernels

    energies = np.log(np.exp(frames).sum(axis=1)) * DECIBELS
    limits = (LOUD_FRAMES, FLOOR_SHARE, BELOW_LOUDEST, ABOVE_FLOOR, LEAST_RANGE, GAP / settings.frame_shift)
    first, end = kernels.loudest_stretch(energies, *limits, DECIBELS)
    return first, end


def word_level(frames: np.ndarray, settings: FeatureSettings) -> float:
    """The natural logarithm of the mean energy of a word's frames in log-mel frames [T, M]."""
    first, end = active_frames(frames, settings)
    return float(np.log(np.exp(frames[first:end].astype(np.float64)).sum(axis=1).mean()))


def random_colour(mels: int, strength: Decibels, draw: np.random.Generator) -> np.ndarray:
    """A smooth random gain of each filter, [M] in natural logarithms: another microphone, another voice."""
    colour: np.ndarray = drawn_colour(strength, draw) @ colour_waves(mels)
    return colour


def drawn_colour(strength: Decibels, draw: np.random.Generator) -> np.ndarray:
    """How strong each wave of a random colour is, [WAVES]."""
    strengths: np.ndarray = (strength / DECIBELS) * (draw.standard_normal(WAVES) / _ORDERS)
    return strengths


@functools.lru_cache(maxsize=8)
def colour_waves(mels: int) -> np.ndarray:
    """Cosines over the filters, [WAVES, M]."""
    return np.cos(np.pi * np.outer(_ORDERS, np.arange(mels)) / max(1, mels - 1))


@functools.lru_cache(maxsize=8)
def _across(mels: int) -> np.ndarray:
    """From -1 for the lowest filter to 1 for the highest, [M]."""
    return np.linspace(-1.0, 1.0, mels)


def made_up_noise(frames: int, mels: int, draw: np.random.Generator) -> np.ndarray:
    """Energies [T, M] of noise of a random colour, steady or swelling, whose mean energy a frame is 1.

    The energy of a filter that covers k/2 bins of Gaussian noise has a gamma distribution of shape k/2.
    """
    shape = draw.uniform(3.0, 12.0)
    power = draw.gamma(shape, 1.0 / shape, size=(frames, mels))
    slope = draw.uniform(-15.0, 5.0) / DECIBELS * _across(mels)
    power *= np.exp(random_colour(mels, 8.0, draw) + slope)
    if draw.random() < 0.3:
        swell = np.cumsum(draw.standard_normal(frames)) * 0.15
        power *= np.exp(swell - swell.mean())[:, None]
    result: np.ndarray = power / power.sum(axis=1).mean()
    return result


def made_up_room(settings: FeatureSettings, draw: np.random.Generator) -> np.ndarray:
    """Energies [R, M] of a room's response by frame: the direct sound, then a tail that decays exponentially.

    The reverberation time is 0.15 to 1 s, shorter for high frequencies; the direct sound is 0 to 15 dB above the tail.
    Source: Polack (1988), as energies.
    """
    time = np.exp(draw.uniform(np.log(0.15), np.log(1.0)))
    times = time * np.linspace(1.0, draw.uniform(0.5, 1.0), settings.mels)
    ages = np.arange(1, max(2, round(LONGEST / settings.frame_shift)))[:, None] * settings.frame_shift
    tail = 10.0 ** (-6.0 * ages / times)
    tail *= 10.0 ** (-draw.uniform(0.0, 15.0) / 10) / tail.sum(axis=0)
    return np.concatenate([np.ones((1, settings.mels)), tail])


def recorded_room(response: np.ndarray, settings: FeatureSettings) -> np.ndarray:
    """Energies [R, M] by frame of an impulse response [N] that begins with the direct sound; their mean is 1."""
    hop = settings.hop_samples
    count = min(max(1, -(-len(response) // hop)), round(LONGEST / settings.frame_shift))
    parts = np.pad(response, (0, max(0, count * hop - len(response))))[: count * hop].reshape(count, hop)
    spectra = np.square(np.abs(np.fft.rfft(parts, settings.fft_size)))
    filters = mel_filters(settings)
    power = spectra @ filters / np.maximum(filters.sum(axis=0), 1e-12)
    result: np.ndarray = power / max(power.sum(axis=0).mean(), 1e-30)
    return result


def in_room(power: np.ndarray, room: np.ndarray) -> np.ndarray:
    """Energies [T, M] in a room [R, M], [T, M] float64: energy spreads over the frames that follow."""
    from seqaudio.augmentation import kernels

    spread = np.empty(power.shape)
    kernels.reverberate(power, room.astype(np.float64, copy=False), spread)
    return spread


def at_snr(snr: Decibels, speech: float, noise: np.ndarray) -> np.ndarray:
    """Noise energies [T, M] so that their mean frame lies `snr` decibels below the speech, given as its `level`."""
    scaled: np.ndarray = noise * snr_factor(snr, speech, noise)
    return scaled


def snr_factor(snr: Decibels, speech: float, noise: np.ndarray) -> float:
    """The factor of noise energies [T, M] for `at_snr`."""
    mean = max(float(noise.sum(axis=1).mean()), 1e-30)
    return float(np.exp(speech - snr / DECIBELS)) / mean
