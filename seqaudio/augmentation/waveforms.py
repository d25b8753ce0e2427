"""Augment samples without changing the words: another speed, another room, noise, a telephone.

    augmenter = WaveformAugmenter(WaveformAugmentation(noise=0.5, room=0.3), 16000, seed=1)
    changed = augmenter(samples, epoch, "3_theo_12")

A change depends on (seed, epoch, row id) alone. Each kind of change has its own random generator, so that turning one
off does not alter the others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from seqaudio.audio import resample
from seqaudio.augmentation.acoustics import (
    PEAK,
    TELEPHONE,
    active_part,
    amplify,
    band_limit,
    drawn_noise,
    in_room,
    level,
    mix,
    noise,
    recorded_response,
    room_response,
    unclipped,
)
from seqaudio.augmentation.draws import Key, check_seed, keyed_generator, text_number
from seqaudio.augmentation.sound_folder import SoundFolder
from seqaudio.errors import OptionError
from seqaudio.units import Decibels, Seconds

MAX_SHIFTED = 0.25  # largest shift as a share of the clip, so that a short word is not lost

# stages of `keyed_generator`
_SPEED, _SHIFT, _ROOM, _NOISE, _TELEPHONE, _GAIN = range(1, 7)


@dataclass(frozen=True)
class WaveformAugmentation:
    """Strength and frequency of changes of samples; 0 turns one off. They are applied in the order of the fields.

    Raises:
        OptionError: a value out of its range, a folder for a change that is off.
    """

    speed: float = 0.1  # largest relative change of speed, and with it of pitch: 0.9 to 1.1 times
    time_shift: Seconds = 0.1  # largest shift to either side, at most a quarter of the clip; filled with zeros
    room: float = 0.3  # share of clips that are put into a room
    room_folder: Path | None = None  # recorded impulse responses; without one, rooms are synthetic
    reverberation_time: tuple[Seconds, Seconds] = (0.1, 0.5)  # of synthetic rooms, minimum and maximum
    direct_to_reverberant: tuple[Decibels, Decibels] = (3.0, 15.0)  # of synthetic rooms, minimum and maximum
    noise: float = 0.5  # share of clips that get noise
    noise_folder: Path | None = None  # recordings of noise; without one, noises are synthetic
    snr: tuple[Decibels, Decibels] = (0.0, 25.0)  # signal-to-noise ratio over the active part, minimum and maximum
    telephone: float = 0.1  # share of clips that are limited to 300 to 3400 Hz
    gain: Decibels = 6.0  # largest change of the level

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, tuple) and not value[0] <= value[1]:
                raise OptionError(f"{field.name} {value[0]} to {value[1]}, expected the minimum before the maximum")
            if isinstance(value, float | int) and not value >= 0:
                raise OptionError(f"{field.name} {value}, expected 0 (off) or more")
        for name in ("room", "noise", "telephone"):
            if getattr(self, name) > 1:
                raise OptionError(f"{name} {getattr(self, name)}, expected a share of the clips, 0 to 1")
        if self.speed >= 1:
            raise OptionError(f"speed {self.speed}, expected less than 1; 0.1 is usual")
        if not self.reverberation_time[0] > 0:
            raise OptionError(f"reverberation_time from {self.reverberation_time[0]} s, expected a positive time")
        for name in ("room", "noise"):
            if getattr(self, f"{name}_folder") is not None and not getattr(self, name):
                raise OptionError(f"{name}_folder is given, but {name} is 0 (off); give a share such as {name}=0.5")


@dataclass(frozen=True)
class WaveformChange:
    """The changes drawn for one clip, or applied to it; the defaults change nothing."""

    speed: float = 1.0  # 1.1 is a tenth faster and higher
    shift: Seconds = 0.0  # positive is later, negative is earlier
    room: Seconds | None = None  # reverberation time of a synthetic room, 0 for a recorded one
    direct_to_reverberant: Decibels = 0.0  # of a synthetic room
    noise: str | None = None  # a kind in NOISES, or "recorded" for one from the folder
    snr: Decibels = 0.0
    telephone: bool = False
    gain: Decibels = 0.0

    def __str__(self) -> str:
        """A description such as "speed 1.07, babble noise at 12 dB, telephone"; empty where nothing changes."""
        words = [
            f"speed {self.speed:.2f}" if self.speed != 1 else "",
            f"shift {1000 * self.shift:+.0f} ms" if self.shift else "",
            "" if self.room is None else f"room of {self.room:.2f} s" if self.room else "recorded room",
            "" if self.noise is None else f"{self.noise} noise at {self.snr:.0f} dB",
            "telephone" if self.telephone else "",
            f"gain {self.gain:+.0f} dB" if round(self.gain) else "",
        ]
        return ", ".join(word for word in words if word)


class WaveformAugmenter:
    """Changes the samples of a clip, differently in each epoch.

    Args:
        augmentation: strength and frequency of the changes.
        sample_rate: of all samples, in hertz.
        seed: of all random draws.
    Raises:
        OptionError: a negative seed.
        SourceError: a folder that is missing or has no sound files.
    """

    def __init__(self, augmentation: WaveformAugmentation, sample_rate: int, seed: int) -> None:
        check_seed(seed)
        self.augmentation = augmentation
        self.sample_rate = sample_rate
        self.seed = seed
        self.noises = _folder(augmentation.noise_folder, sample_rate)
        self.rooms = _folder(augmentation.room_folder, sample_rate, recorded_response)

    def __call__(self, samples: np.ndarray, epoch: int, row: str) -> np.ndarray:
        """Samples [N] float32 -> [N'] float32, a new array; N' differs from N only where `speed` is on.

        A result that would clip is attenuated as a whole. Silence stays silent.
        Raises AudioError for a recording of a folder that cannot be read, or a silent impulse response.
        """
        return self.apply(self.draw(epoch, row), samples, (self.seed, epoch, row))[0]

    def draw(self, epoch: int, row: str) -> WaveformChange:
        """Draw the changes of a clip in an epoch, without applying them."""
        options, key = self.augmentation, (self.seed, epoch, row)
        # a random generator for each kind of change
        speed, shift, room, noisy, telephone, gain = (
            keyed_generator(key, stage) for stage in (_SPEED, _SHIFT, _ROOM, _NOISE, _TELEPHONE, _GAIN)
        )
        in_some_room, has_noise = room.random() < options.room, noisy.random() < options.noise
        time, ratio = room.uniform(*options.reverberation_time), room.uniform(*options.direct_to_reverberant)
        snr, kind = noisy.uniform(*options.snr), drawn_noise(noisy, (self.seed, epoch, text_number(row), _NOISE))
        return WaveformChange(
            speed=1.0 + options.speed * speed.uniform(-1.0, 1.0),
            shift=options.time_shift * shift.uniform(-1.0, 1.0),
            room=(time if self.rooms is None else 0.0) if in_some_room else None,
            direct_to_reverberant=ratio,
            noise=(kind if self.noises is None else "recorded") if has_noise else None,
            snr=snr,
            telephone=bool(telephone.random() < options.telephone),
            gain=options.gain * gain.uniform(-1.0, 1.0),
        )

    def apply(self, change: WaveformChange, samples: np.ndarray, key: Key) -> tuple[np.ndarray, WaveformChange]:
        """Apply a change to samples [N] float32; the key seeds rooms and noises. Returns samples and the actual change.

        The actual change differs where a shift is limited, a noise is silent, or a result is attenuated so as not to
        clip, which counts as gain. Silence changes only in length.
        """
        rate = self.sample_rate
        changed = samples.astype(np.float32)
        if not np.any(samples):
            change = WaveformChange(speed=change.speed)
        if change.speed != 1:
            changed = resample(changed, rate * change.speed, rate)
        if change.shift:
            most = int(MAX_SHIFTED * len(changed))
            by = max(-most, min(most, round(change.shift * rate)))
            changed, change = shifted(changed, by), replace(change, shift=by / rate)
        if change.room is not None:
            changed = in_room(changed, self._response(change, keyed_generator(key, _ROOM, 1)))
        if change.noise is not None:
            noisy = self._with_noise(changed, change, keyed_generator(key, _NOISE, 1))
            changed, change = (changed, replace(change, noise=None)) if noisy is None else (noisy, change)
        if change.telephone:
            changed = band_limit(changed, *TELEPHONE, rate)
        if change.gain:
            changed = amplify(changed, change.gain)
        peak = float(np.max(np.abs(changed), initial=0.0))
        if peak > 1.0:
            changed, change = unclipped(changed), replace(change, gain=change.gain + PEAK - 20 * np.log10(peak))
        return changed, change

    def _response(self, change: WaveformChange, generator: np.random.Generator) -> np.ndarray:
        if self.rooms is not None:
            return self.rooms.draw(generator)
        assert change.room
        return room_response(change.room, change.direct_to_reverberant, self.sample_rate, generator)

    def _with_noise(
        self, samples: np.ndarray, change: WaveformChange, generator: np.random.Generator
    ) -> np.ndarray | None:
        """Samples with noise; None where the samples are silent, or the noise is silent while they are not."""
        if not np.any(samples):
            return None
        if self.noises is not None:
            background = self.noises.cut(len(samples), generator, active_part(samples))
        else:
            assert change.noise is not None
            background = noise(change.noise, max(2, len(samples)), self.sample_rate, generator)[: len(samples)]
        if np.isinf(level(background[active_part(samples)])):
            return None
        return mix(samples, background, change.snr)


def shifted(samples: np.ndarray, by: int) -> np.ndarray:
    """Samples [N], `by` samples later, or earlier where it is negative; zeros fill the gap."""
    result = np.zeros_like(samples)
    count = max(0, len(samples) - abs(by))
    if by >= 0:
        result[len(samples) - count :] = samples[:count]
    else:
        result[:count] = samples[len(samples) - count :]
    return result


def _folder(
    folder: Path | None, sample_rate: int, prepare: Callable[[np.ndarray], np.ndarray] | None = None
) -> SoundFolder | None:
    return None if folder is None else SoundFolder(folder, sample_rate, prepare)
