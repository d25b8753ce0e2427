"""Make the clips of `data_prep/synthetic_keywords.py`: speak a word in a room, add noise, extract its features.

    item     id "yes/f3+en-gb/02/noisy", text "yes", speaker "f3+en-gb", condition "noisy"; without a text: silence;
             with a path: a recording of the text
    clip     [word] -> room -> place in the clip -> level -> background at a signal-to-noise ratio -> features

All randomness comes from a generator that depends on (seed, id) alone, so a clip is the same in any store and process,
unless a command speaks it that is not so itself. Speech that is no keyword may be longer than a clip: then the clip is
a part of it, drawn at random, and full of speech from edge to edge.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from seqaudio.augmentation.acoustics import (
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
from seqaudio.synthesis.espeak import SPEEDS
from seqaudio.synthesis.speakers import Command, EspeakVoice, Manner, Recorded, Speaker
from seqaudio.units import Decibels, Seconds
from seqaudio.vocabulary import UNKNOWN

CLEAN, NOISY = "clean", "noisy"  # conditions
FASTER = 1.15  # factor by which a word's speed is raised, again and again, until the word fits
MARGIN: Seconds = 0.05  # before and after a word
SAMPLED = 8  # to find the length of the clips, every eighth item is spoken
RECORDINGS = 1000  # and about so many recordings are read
FITTING = 0.95  # share of the words of commands and recordings that fit into the clips; one of minutes must not count
PASSAGES = f"{UNKNOWN}/speech/"  # how ids of running speech begin


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
        AudioError: the synthesiser gives no sound for the text, or the word does not fit into the clip at any speed;
            a recording cannot be read.
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
        margin = round(MARGIN * rate) if len(word) <= self._longest(count) else 0
        start = int(draw.integers(margin, count - margin - len(word) + 1))
        speech = np.zeros(count, dtype=np.float32)
        reverberant = reverberate(word, response)[: count - start]
        speech[start : start + len(reverberant)] = reverberant
        speech = at_level(speech, level)
        return speech, noise_at(snr, speech, background)

    def speaker(self, item: Item) -> Speaker:
        """Who speaks the item's text."""
        return plain_speaker(item)

    def _longest(self, count: int) -> int:
        """The most samples of a word in a clip of `count` samples."""
        return count - 2 * round(MARGIN * self.features.sample_rate)

    def _word(self, item: Item, count: int, draw: np.random.Generator) -> np.ndarray:
        """The word without room or noise, spoken faster than drawn if it would not fit into `count` samples."""
        speed = int(draw.integers(*self.clips.speed, endpoint=True))
        pitch = int(draw.integers(*self.clips.pitch, endpoint=True))
        pitch_range = int(draw.integers(*self.clips.pitch_range, endpoint=True))
        speaker = self.speaker(item)
        divisible = item.label == UNKNOWN and (not speaker.hurries or item.id.startswith(PASSAGES))
        while True:
            word = speaker.say(item.text, self.features.sample_rate, Manner(speed, pitch, pitch_range), draw)
            if not len(word):
                raise AudioError(item.key, Reason.EMPTY, f"the synthesiser gives no sound for {item.text!r}")
            if len(word) <= self._longest(count):
                return word
            if divisible:
                start = int(draw.integers(max(1, len(word) - count + 1)))
                return word[start : start + count]
            if speed == SPEEDS[-1] or not speaker.hurries:
                pace = f" at {speed} words per minute" if speaker.hurries else f": {item.text!r} takes longer"
                raise AudioError(item.key, Reason.TOO_LONG, f"does not fit into {self.clips.seconds} s{pace}")
            speed = min(SPEEDS[-1], round(speed * FASTER))


@dataclass(frozen=True)
class SpeakByCommands(SpeakClip):
    """As SpeakClip, where commands speak the items that have their names as speakers."""

    commands: tuple[Command, ...]

    def speaker(self, item: Item) -> Speaker:
        """Who speaks the item's text."""
        named = {command.name: command for command in self.commands}
        return named[item.speaker] if item.path is None and item.speaker in named else super().speaker(item)


def clip_generator(seed: int, name: str) -> np.random.Generator:
    """The random generator of a clip; equal arguments give equal numbers on every machine."""
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return np.random.default_rng((seed, int.from_bytes(digest, "little")))


def plain_speaker(item: Item) -> Speaker:
    """The speaker of an item without commands: its recording, or a voice of espeak-ng."""
    return EspeakVoice(item.speaker) if item.path is None else Recorded(item.speaker, item.path)


def clip_seconds(
    items: Sequence[Item], clips: ClipSettings, speaker_of: Callable[[Item], Speaker] = plain_speaker
) -> Seconds:
    """One length for all clips, with margins, rounded up to a tenth of a second.

    Every eighth item is spoken for it, and about a thousand recordings are read, or all.

    It is that of the longest word by espeak-ng's voices at the slowest speed, or the one into which 95 % of the words
    of commands and recordings fit, whichever is more. What is longer is spoken faster or refused, see `SpeakClip`.
    """
    rate = 16_000  # for this measurement
    manner, draw = Manner(speed=clips.speed[0]), np.random.default_rng(0)
    lengths: dict[bool, list[int]] = {True: [0], False: []}
    recorded = list({item.path: item for item in items if item.path is not None}.values())
    recorded = recorded[:: max(1, len(recorded) // RECORDINGS)]
    for item in (*(item for item in items[::SAMPLED] if item.path is None), *recorded):
        speaker = speaker_of(item)
        with suppress(AudioError):  # the ledger will name it
            lengths[speaker.hurries].append(len(speaker.say(item.text, rate, manner, draw)))
    longest = max(lengths[True])
    if lengths[False]:
        longest = max(longest, int(np.quantile(lengths[False], FITTING)))
    return math.ceil(10 * (longest / rate + 2 * MARGIN)) / 10
