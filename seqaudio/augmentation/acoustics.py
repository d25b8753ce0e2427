"""Simulate rooms, noises and levels, as between a mouth and a microphone. NumPy on mono samples.

    samples = reverberate(word, room_response(0.4, 6.0, rate, generator))
    samples = at_level(samples, -24.0)
    samples = unclipped(mix(samples, noise("babble", len(samples), rate, generator), snr=10.0))

All randomness comes from the given generator. Samples are float32 in -1..1; levels are root mean squares in decibels
relative to full scale (dBFS): a square wave from -1 to 1 has 0 dBFS, a sine 3 less.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from seqaudio.augmentation.draws import text_number
from seqaudio.registry import Registry
from seqaudio.units import Decibels, Hertz, Seconds

Noise = Callable[[int, int, np.random.Generator], np.ndarray]

ACTIVE_RANGE: Decibels = 40.0  # samples below the peak by more than this do not count as speech
PEAK: Decibels = -1.0  # highest peak after `unclipped`, relative to full scale
LOWEST: Hertz = 20.0  # frequency of coloured noise
FIRST_REFLECTION: Seconds = 0.002  # after the direct sound: a path 0.7 m longer
TALKERS = 6  # voices in babble, so many that no single one can be understood
SYLLABLES: Hertz = 5.0  # highest rate at which a talker's level rises and falls
MAINS: tuple[Hertz, ...] = (50.0, 60.0)
HARMONICS = 12  # of the mains in hum
TELEPHONE: tuple[Hertz, Hertz] = (300.0, 3400.0)  # what a telephone line passes
SLOPE = 0.25  # octaves of transition at each edge of the band of `band_limit`
STOPPED: Decibels = -60.0  # gain of `band_limit` outside of the band: no line is perfect
DIRECT_SOUND: Decibels = -20.0  # relative to the peak; a recorded impulse response is cut to start at such a sample

NOISES: Registry[Noise] = Registry("noise")


def noise(kind: str, count: int, sample_rate: int, generator: np.random.Generator) -> np.ndarray:
    """Noise of a kind in NOISES, [count] float32 with a root mean square of 1.

    Raises:
        OptionError: no such kind.
        ValueError: count below 2.
    """
    make = NOISES[kind]
    if count < 2:
        raise ValueError(f"{count} samples of noise, expected at least 2")
    samples = make(count, sample_rate, generator)
    unit: np.ndarray = samples / np.sqrt(np.mean(np.square(samples)))
    return unit.astype(np.float32)


def coloured(count: int, exponent: float, sample_rate: int, generator: np.random.Generator) -> np.ndarray:
    """Gaussian noise [count] float64 whose power falls with frequency as 1 / f^exponent: 0 white, 1 pink, 2 brown.

    It has nothing below 20 Hz, which would be most of the power of brown noise, and which microphones do not record.
    """
    frequencies = np.maximum(np.fft.rfftfreq(count, 1 / sample_rate), LOWEST / 2)
    return _shaped(generator.standard_normal(count), frequencies ** (-exponent / 2) * (frequencies >= LOWEST))


@NOISES.register("white")
def _white(count: int, sample_rate: int, generator: np.random.Generator) -> np.ndarray:
    """Equal power at all frequencies."""
    return coloured(count, 0.0, sample_rate, generator)


@NOISES.register("pink")
def _pink(count: int, sample_rate: int, generator: np.random.Generator) -> np.ndarray:
    """Equal power in all octaves, roughly as of wind and distant traffic."""
    return coloured(count, 1.0, sample_rate, generator)


@NOISES.register("brown")
def _brown(count: int, sample_rate: int, generator: np.random.Generator) -> np.ndarray:
    """Rumble: most of the power at the lowest frequencies."""
    return coloured(count, 2.0, sample_rate, generator)


@NOISES.register("babble")
def _babble(count: int, sample_rate: int, generator: np.random.Generator) -> np.ndarray:
    """Several talkers at once: noise with the mean spectrum of speech, whose level varies at the rate of syllables.

    The spectrum is flat up to 500 Hz and falls by 9 dB an octave above, close to the mean of many languages.
    Source of the spectrum: Byrne et al. (1994), simplified to straight lines.
    """
    frequencies = np.fft.rfftfreq(count, 1 / sample_rate)
    gains = np.maximum(frequencies / 500.0, 1.0) ** -1.5
    gains[frequencies < 60.0] = 0.0
    slow = ((frequencies > 0.0) & (frequencies <= SYLLABLES)).astype(float)
    total = np.zeros(count)
    for _ in range(TALKERS):
        swell = _shaped(generator.standard_normal(count), slow)
        deviation = np.std(swell) or 1.0  # the level is constant where the noise is shorter than a syllable
        total += np.exp(swell / deviation) * _shaped(generator.standard_normal(count), gains)
    return total


@NOISES.register("hum")
def _hum(count: int, sample_rate: int, generator: np.random.Generator) -> np.ndarray:
    """Mains hum at 50 or 60 Hz with harmonics of random strength, and hiss 40 dB below it."""
    time = np.arange(count) / sample_rate
    mains = generator.choice(MAINS) * generator.uniform(0.998, 1.002)
    total = np.zeros(count)
    for harmonic in range(1, HARMONICS + 1):
        strength, phase = generator.uniform(0.1, 1.0) / harmonic, generator.uniform(0.0, 2 * np.pi)
        if harmonic * mains < sample_rate / 2:
            total += strength * np.sin(2 * np.pi * harmonic * mains * time + phase)
    return total + 0.01 * np.std(total) * generator.standard_normal(count)


BUILT_IN = tuple(NOISES)


def drawn_noise(draw: np.random.Generator, row: Sequence[int]) -> str:
    """The kind of noise of a row, all kinds equally likely.

    A kind that a user registers takes some rows and leaves the kinds of all others as they were.

    draw: draws one of the built-in kinds. row: seeds of the row; with a kind's name they give its rank, and the highest
    rank of the drawn kind and the registered ones wins.
    """
    kind = str(draw.choice(BUILT_IN))
    others = [name for name in NOISES if name not in BUILT_IN]
    if not others:
        return kind
    # the drawn kind stands for n kinds: the largest of n uniform ranks is distributed as the nth root of one
    ranks = {kind: _rank(row, "") ** (1 / len(BUILT_IN))} | {name: _rank(row, name) for name in others}
    return max(ranks, key=lambda name: (ranks[name], name))


def _rank(row: Sequence[int], name: str) -> float:
    return float(np.random.default_rng((*row, text_number(name))).random())


def room_response(
    reverberation_time: Seconds, direct_to_reverberant: Decibels, sample_rate: int, generator: np.random.Generator
) -> np.ndarray:
    """Impulse response of a room: the direct sound, then Gaussian noise that decays by 60 dB in the reverberation time.

        h[0] = 1      h[n] = g w[n] 10^(-3 n / (rate RT60))      1 / sum h[1:]^2 = 10^(direct_to_reverberant / 10)

    Returns:
        [N] float32, N = RT60 * rate, at least one sample after the first reflection.
    Raises:
        ValueError: a reverberation time that is not positive.
    Source: Polack (1988), only its diffuse tail.
    """
    if not reverberation_time > 0:
        raise ValueError(f"reverberation time {reverberation_time} s, expected a positive number")
    first = max(1, round(FIRST_REFLECTION * sample_rate))
    count = max(first + 1, round(reverberation_time * sample_rate))
    decay = 10.0 ** (-3.0 * np.arange(count) / (sample_rate * reverberation_time))
    response = generator.standard_normal(count) * decay
    response[:first] = 0.0
    response *= np.sqrt(10.0 ** (-direct_to_reverberant / 10) / np.sum(np.square(response)))
    response[0] = 1.0
    return response.astype(np.float32)


def recorded_response(samples: np.ndarray) -> np.ndarray:
    """A recorded impulse response [N] for `reverberate`: from the direct sound on, with a peak of 1.

    The part before the direct sound is the time of travel to the microphone; it would only delay the speech.

    Raises:
        ValueError: silence.
    """
    sizes = np.abs(samples)
    peak = float(sizes.max(initial=0.0))
    if not peak:
        raise ValueError(f"{len(samples)} samples of silence, expected an impulse response")
    start = int(np.argmax(sizes >= peak * 10.0 ** (DIRECT_SOUND / 20)))
    response: np.ndarray = (samples[start:] / peak).astype(np.float32)
    return response


def in_room(samples: np.ndarray, response: np.ndarray) -> np.ndarray:
    """Samples [N] in a room with impulse response [M], as long and as loud as before, [N] float32; silence stays so."""
    reverberant = reverberate(samples, response)[: len(samples)]
    if not (np.any(samples) and np.any(reverberant)):
        return reverberant
    return at_level(reverberant, level(samples[active_part(samples)]))


def reverberate(samples: np.ndarray, response: np.ndarray) -> np.ndarray:
    """Samples [N] convolved with an impulse response [M], [N + M - 1] float32."""
    count = len(samples) + len(response) - 1
    size = 1 << (count - 1).bit_length()
    spectrum = np.fft.rfft(samples, size) * np.fft.rfft(response, size)
    reverberant: np.ndarray = np.fft.irfft(spectrum, size)[:count].astype(np.float32)
    return reverberant


def band_limit(samples: np.ndarray, low: Hertz, high: Hertz, sample_rate: int) -> np.ndarray:
    """Samples [N] attenuated by 60 dB below `low` and above `high`, over a quarter octave each, [N] float32.

    Raises:
        ValueError: not 0 < low < high.
    """
    if not 0 < low < high:
        raise ValueError(f"a band from {low} to {high} Hz, expected 0 < low < high")
    count = len(samples)
    size = 1 << (2 * count - 1).bit_length()  # padded with zeros, so that the end does not ring into the beginning
    octaves = np.log2(np.maximum(np.fft.rfftfreq(size, 1 / sample_rate), 1e-3))
    outside = np.maximum(np.log2(low) - octaves, octaves - np.log2(high))  # octaves beyond the band
    gains = 10.0 ** (STOPPED / 20 * np.clip(outside / SLOPE, 0.0, 1.0))
    limited: np.ndarray = np.fft.irfft(np.fft.rfft(samples, size) * gains, size)[:count].astype(np.float32)
    return limited


def active_part(samples: np.ndarray) -> slice:
    """The place of the speech: from the first to the last sample that is at most 40 dB below the peak.

    Raises:
        ValueError: all samples are 0.
    """
    sizes = np.abs(samples)
    if not np.any(sizes > 0):
        raise ValueError(f"{len(samples)} samples of silence, expected speech")
    loud = np.flatnonzero(sizes >= sizes.max() * 10.0 ** (-ACTIVE_RANGE / 20))
    return slice(int(loud[0]), int(loud[-1]) + 1)


def level(samples: np.ndarray) -> Decibels:
    """Root mean square [dBFS] of all samples; minus infinity for silence."""
    power = float(np.mean(np.square(samples, dtype=np.float64)))
    return 10.0 * np.log10(power) if power > 0 else -np.inf


def amplify(samples: np.ndarray, decibels: Decibels) -> np.ndarray:
    """Samples made louder, or quieter where `decibels` is negative."""
    amplified: np.ndarray = (samples * 10.0 ** (decibels / 20)).astype(np.float32)
    return amplified


def at_level(samples: np.ndarray, decibels: Decibels) -> np.ndarray:
    """Samples amplified so that their active part has the given level [dBFS]. Raises ValueError for silence."""
    return amplify(samples, decibels - level(samples[active_part(samples)]))


def signal_to_noise(samples: np.ndarray, noise: np.ndarray) -> Decibels:
    """Level of the speech above the noise, both [N], over the active part of the speech."""
    active = active_part(samples)
    return level(samples[active]) - level(noise[active])


def mix(samples: np.ndarray, noise: np.ndarray, snr: Decibels) -> np.ndarray:
    """Speech plus noise, both [N], at a signal-to-noise ratio. The speech keeps its level.

    Raises:
        ValueError: as `noise_at`.
    """
    mixed: np.ndarray = samples + noise_at(snr, samples, noise)
    return mixed


def noise_at(snr: Decibels, samples: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """The noise, amplified so that `signal_to_noise` with the speech is `snr`, both [N].

    Raises:
        ValueError: different lengths; silent speech, or noise that is silent in the active part of the speech.
    """
    if samples.shape != noise.shape:
        raise ValueError(f"noise of shape {list(noise.shape)}, expected that of the speech, {list(samples.shape)}")
    now = signal_to_noise(samples, noise)
    if np.isinf(now):
        raise ValueError("the noise is silent where the speech is, so no gain gives this signal-to-noise ratio")
    return amplify(noise, now - snr)


def unclipped(samples: np.ndarray) -> np.ndarray:
    """The samples, attenuated as a whole where their peak is above -1 dBFS."""
    peak = float(np.max(np.abs(samples), initial=0.0))
    highest = 10.0 ** (PEAK / 20)
    return samples if peak <= highest else (samples * (highest / peak)).astype(samples.dtype)


def _shaped(samples: np.ndarray, gains: np.ndarray) -> np.ndarray:
    """Samples [N] filtered in the frequency domain: bin k of their spectrum is multiplied by gains[k]."""
    shaped: np.ndarray = np.fft.irfft(np.fft.rfft(samples) * gains, len(samples))
    return shaped
