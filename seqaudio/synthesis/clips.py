"""Make the clips of `data_prep/synthetic_keywords.py`: speak a word in a room, add noise, extract its features.

    item     id "yes/f3+en-gb/02/noisy", text "yes", speaker "f3+en-gb", condition "noisy"; without a text: silence
    clip     [word] -> room -> place in the clip -> level -> background at a signal-to-noise ratio -> features

All randomness comes from a generator that depends on (seed, id) alone, so a clip is the same in any store and process.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from seqaudio.audio import resample
from seqaudio.augmentation.acoustics import (
    active_part,
    amplify,
    at_level,
    drawn_noise,
    noise,
    noise_at,
    reverberate,
    room_response,
    unclipped,
)
from seqaudio.augmentation.draws import text_number
from seqaudio.errors import AudioError
from seqaudio.features.extraction import extract_frames
from seqaudio.features.settings import FeatureSettings
from seqaudio.ledger import Reason
from seqaudio.prepare.engine import Item, Row
from seqaudio.synthesis.espeak import SPEEDS, speak
from seqaudio.synthesis.random_voices import is_random, random_timbre
from seqaudio.units import Decibels, Seconds

CLEAN, NOISY = "clean", "noisy"  # conditions
FASTER = 1.15  # factor by which a word's speed is raised, again and again, until the word fits
MARGIN: Seconds = 0.05  # before and after a word
SAMPLED = 8  # to find the length of the clips, every eighth item is spoken


@dataclass(frozen=True)
class ClipSettings:
    """How clips vary. Pairs are minimum and maximum; a value between them is drawn uniformly for each clip."""

    seconds: Seconds = 1.0  # of every clip
    speed: tuple[int, int] = (150, 220)  # words per minute
    pitch: tuple[int, int] = (35, 65)  # on espeak-ng's scale of 0 to 99; 50 is the voice's own
    pitch_range: tuple[int, int] = (20, 80)  # on the same scale, from monotone to lively
    reverberation_time: tuple[Seconds, Seconds] = (0.1, 0.4)
    direct_to_reverberant: tuple[Decibels, Decibels] = (3.0, 15.0)  # from far to near the microphone
    level: tuple[Decibels, Decibels] = (-32.0, -14.0)  # dBFS of the word's active part
    noisy_snr: tuple[Decibels, Decibels] = (0.0, 20.0)  # signal-to-noise ratio over the word's active part
    clean_snr: tuple[Decibels, Decibels] = (40.0, 60.0)


@dataclass(frozen=True)
class SpeakClip:
    """A `Process` for `build_store`: one word, near miss or silence becomes one row of frames [T, F].

    Raises, when called:
        AudioError: the synthesiser gives no sound for the text, or the word does not fit into the clip at any speed.
    """

    features: FeatureSettings
    clips: ClipSettings
    seed: int

    def __call__(self, item: Item) -> list[Row]:
        samples = self.samples(item)
        return [Row(item.id, extract_frames(samples, self.features), len(samples) / self.features.sample_rate)]

    def samples(self, item: Item) -> np.ndarray:
        """The samples of the clip, [N] float32, N equal for all items; they never exceed full scale."""
        speech, background = self.parts(item)
        return unclipped(speech + background)

    def parts(self, item: Item) -> tuple[np.ndarray, np.ndarray]:
        """The word in its room, and the background, both [N] float32; their sum may clip, which `samples` prevents."""
        draw = clip_generator(self.seed, item.id)
        rate = self.features.sample_rate
        count = round(self.clips.seconds * rate)
        level = draw.uniform(*self.clips.level)
        snr = draw.uniform(*(self.clips.noisy_snr if item.condition == NOISY else self.clips.clean_snr))
        background = noise(drawn_noise(draw, (self.seed, text_number(item.id))), count, rate, draw)
        if not item.text:
            # as loud as with a word, so that the level of the background does not reveal whether there is one
            return np.zeros(count, dtype=np.float32), amplify(background, level - snr)
        word = self._word(item, count, draw)
        response = room_response(
            draw.uniform(*self.clips.reverberation_time), draw.uniform(*self.clips.direct_to_reverberant), rate, draw
        )
        margin = round(MARGIN * rate)
        start = int(draw.integers(margin, count - margin - len(word) + 1))
        speech = np.zeros(count, dtype=np.float32)
        reverberant = reverberate(word, response)[: count - start]
        speech[start : start + len(reverberant)] = reverberant
        speech = at_level(speech, level)
        return speech, noise_at(snr, speech, background)

    def _word(self, item: Item, count: int, draw: np.random.Generator) -> np.ndarray:
        """The word without room or noise, spoken faster than drawn if it would not fit into `count` samples."""
        speed = int(draw.integers(*self.clips.speed, endpoint=True))
        pitch = int(draw.integers(*self.clips.pitch, endpoint=True))
        pitch_range = int(draw.integers(*self.clips.pitch_range, endpoint=True))
        longest = count - 2 * round(MARGIN * self.features.sample_rate)
        while True:
            word = spoken_word(item.text, item.speaker, self.features.sample_rate, speed, pitch, pitch_range)
            if not len(word):
                raise AudioError(item.key, Reason.EMPTY, f"the synthesiser gives no sound for {item.text!r}")
            if len(word) <= longest:
                return word
            if speed == SPEEDS[-1]:
                detail = f"does not fit into {self.clips.seconds} s at {speed} words per minute"
                raise AudioError(item.key, Reason.TOO_LONG, detail)
            speed = min(SPEEDS[-1], round(speed * FASTER))


def clip_generator(seed: int, name: str) -> np.random.Generator:
    """The random generator of a clip; equal arguments give equal numbers on every machine."""
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return np.random.default_rng((seed, int.from_bytes(digest, "little")))


def speaker_name(variant: str, accent: str) -> str:
    """The name of a voice in a store, such as f3+en-gb or drawn-0017+en-gb."""
    return f"{variant}+{accent}"


def spoken_word(
    text: str, speaker: str, sample_rate: int, speed: int, pitch: int = 50, pitch_range: int = 50
) -> np.ndarray:
    """The active part of a word, [N] float32 at `sample_rate` hertz; empty where the synthesiser is silent."""
    variant, accent = speaker.split("+")
    voice = {"timbre": random_timbre(variant)} if is_random(variant) else {"variant": variant}
    samples, rate = speak(text, accent, **voice, speed=speed, pitch=pitch, pitch_range=pitch_range)
    if not np.any(samples):
        return samples[:0]
    return resample(samples[active_part(samples)], rate, sample_rate)


def clip_seconds(items: Sequence[Item], clips: ClipSettings) -> Seconds:
    """One length for all clips: that of the longest word among every eighth item, at the slowest speed, with margins.

    It is rounded up to a tenth of a second. A longer word is spoken faster, see `SpeakClip`.
    """
    rate = 16_000  # for this measurement
    words = (spoken_word(item.text, item.speaker, rate, clips.speed[0]) for item in items[::SAMPLED])
    return math.ceil(10 * (max(map(len, words)) / rate + 2 * MARGIN)) / 10
