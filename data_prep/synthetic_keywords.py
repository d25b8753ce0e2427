"""Keywords in any language to a store, spoken by espeak-ng in rooms and noise: no recording is needed.

    data_prep/synthetic_keywords.py --words yes no up down left right on off stop go --out stores/commands
    data_prep/synthetic_keywords.py --words evet hayır aç kapat --language tr --out stores/komut

    Classes     the words; `unknown`, near misses of them (seqaudio/prepare/near_misses.py); `silence`, background only
    Voices      espeak-ng's variants but for robots, echoes and whispers, each in one accent of the language
    Takes       speed, pitch, room, level, kind and strength of the background differ (seqaudio/prepare/synthetic_clips.py)
    Licence     espeak-ng is GPL-3.0-or-later and comes with `pip install "seqaudio[tts]"`; sounds made with it are free

Half of the clips of every split are noisy: 0 to 20 dB above white, pink or brown noise, babble or hum; the others are
40 to 60 dB above it. The column `condition` tells which. All clips of a store have the same length, which the longest
word decides.

Splits are by voice: no voice, nor a variation of it, is in two of them. Ten words with the defaults give
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seqaudio.cli.info import describe_store
from seqaudio.cli.options import run
from seqaudio.errors import OptionError
from seqaudio.features import feature_settings
from seqaudio.prepare import Item, build_store
from seqaudio.prepare.build import check_output
from seqaudio.prepare.near_misses import Inventory, is_native, near_miss
from seqaudio.prepare.splits import check_percentages, hash_sample
from seqaudio.prepare.synthetic_clips import (
    CLEAN,
    NOISY,
    ClipSettings,
    SpeakClip,
    clip_generator,
    clip_seconds,
    speaker_name,
)
from seqaudio.speech_synthesis import Variant, library_version, phonemes, spell, variants, voices
from seqaudio.store import StoreDescription
from seqaudio.vocabulary import SILENCE, UNKNOWN

# no person sounds like these: robots, monsters, echoes, whispers, a test of speed
UNNATURAL = re.compile(r"robosoft.*|.*Robot|Demonic|announcer|RicishayMax.*|whisperf?|caleb|croak|fast")
FAMILY = re.compile(r"(?<=[A-Za-z]{2})[0-9]+$")  # steph2 and steph3 are variations of steph; m2 and m3 are two men
SAMPLE = 8  # every so many voices speak all words to find the longest


@dataclass(frozen=True)
class Config:
    """Options of the preparation."""

    out: Path  # new folder for the store
    words: tuple[str, ...] = ()  # the keywords, each a label
    language: str = "en"  # or one accent of it, such as en-us
    voices: int | None = None  # how many different ones; all by default
    takes: int = 3  # clips of a word by a voice
    noisy_percent: float = 50.0  # of the clips
    unknown: int = 2  # clips of near misses for each clip of a word; 0: no such class
    silence: int = 1  # clips of background for each clip of a word; 0: no such class
    valid_percent: float = 15.0  # of the voices
    test_percent: float = 15.0  # of the voices
    features: str = "default"  # feature preset: default (13 MFCC), log_mel
    sample_rate: int = 16000  # hertz
    seed: int = 1  # decides what differs between takes
    workers: int = 1  # processes
    limit: int | None = None  # take only N clips, drawn by their names, for a trial
    force: bool = False  # replace a store that is there


@dataclass(frozen=True)
class Voice:
    """One speaker of the store."""

    name: str  # variant+accent
    accent: str
    split: str


def main(config: Config) -> None:
    """Prepare the store and say what it holds."""
    check_output(config.out, config.force)
    check_options(config)
    features = feature_settings(config.features, config.sample_rate)
    words = check_words(config.words, voices(config.language))
    speakers = list_voices(config)
    items = list_items(config, words, speakers)
    texts = sorted({item.text for item in items if item.label in words})
    clips = ClipSettings()
