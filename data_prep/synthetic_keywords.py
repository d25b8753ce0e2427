"""Prepare keywords in any language, spoken by espeak-ng (GPL-3.0); no recordings, no download.

    data_prep/synthetic_keywords.py --words yes no up down left right on off stop go --out stores/commands
    data_prep/synthetic_keywords.py --words evet hayır aç kapat --language tr --out stores/komut

    Classes     the words; `unknown`, near misses of them (synthesis/near_misses.py); `silence`, background only
    Voices      training: 800 random voices (synthesis/random_voices.py) and 38 of espeak-ng's own; validation and
                test: 6 of its own each. No robots, echoes or whispers, and no voice under two names
    Takes       speed, pitch, room, level, kind and strength of the background differ (synthesis/clips.py)
    Licence     espeak-ng is GPL-3.0-or-later, `pip install ".[tts]"`; a store holds none of it

Noisy clips are 0 to 20 dB above white, pink or brown noise, babble or hum; the others are 40 to 60 dB above it. The
column `condition` tells which. All clips of a store are as long as the longest word needs.

Splits are by voice: the voices of validation and test are not in training. There all classes have equally many clips,
and so have clean and noisy; training has three times as many near misses as clips of a word, and three noisy clips for
each clean one. Ten words with the defaults give

    train 14,392 clips by 838 voices, valid 432 by 6, test 432 by 6, of 0.8 s each

in a minute or two on two cores. For results of a model see docs/results.md, run demo_keywords.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro

from seqaudio.augmentation.draws import check_seed
from seqaudio.cli.options import run
from seqaudio.errors import OptionError
from seqaudio.features import feature_settings
from seqaudio.prepare.corpora.splits import check_percentages, hash_sample
from seqaudio.prepare.engine import Item, build_store, check_output
from seqaudio.prepare.speech.options import StoreOptions, chosen_executor
from seqaudio.prepare.speech.recordings import speech_description
from seqaudio.store import describe_store
from seqaudio.synthesis.clips import CLEAN, NOISY, ClipSettings, SpeakClip, clip_seconds, speaker_name
from seqaudio.synthesis.espeak import Variant, library_version, phonemes, variants, voices
from seqaudio.synthesis.near_misses import NearMisses
from seqaudio.synthesis.random_voices import random_names
from seqaudio.vocabulary import SILENCE, UNKNOWN

LEFT_OUT = re.compile(
    # robots, monsters, echoes, whispers, a chipmunk, a speed test
    r"robosoft.*|.*Robot|Demonic|announcer|RicishayMax.*|whisperf?|caleb|croak|zac|fast"
    # their files stretch one of the first three formants at least 1.3 times as much as another, as no vocal tract can
    r"|Andy|AnxiousAndy|Jacky|Lee|Marco|Michael|Reed|Tweaky|boris|grandma|gustave|kaukovalta|m5|marcelo|norbert|shelby"
    r"|travis"
    # at most a thirtieth of their power is above 1 kHz, where words differ
    r"|anika|steph[23]?"
    # nearly copies of klatt, klatt4, adam, Diogo, benjamin, Gene and iven, which could be in another split
    r"|klatt[256]|Henrique|Hugo|michel|miguel|edward2|Gene2|iven[234]"
)


RandomVoices = Annotated[int, tyro.conf.arg(aliases=("--drawn-voices",))]


@dataclass(frozen=True)
class Config(StoreOptions):
    """Options of the preparation."""

    out: Path  # new folder for the store
    words: tuple[str, ...] = ()  # the keywords, each a label
    language: str = "en"  # a language, spoken in its most usual accent, or an accent such as en-us
    voices: int | None = None  # how many of espeak-ng's own voices; all by default
    takes: int = 6  # clips of a word by each of espeak-ng's own voices
    random_voices: RandomVoices = 800  # more training voices, drawn at random, that speak each word once
    noisy_percent: float = 50.0  # percent of validation and test clips that are noisy
    noisy_training: float = 75.0  # percent of training clips that are noisy
    unknown: int = 3  # near misses for each clip of a word in training (1 in the other splits); 0: no such class
    silence: int = 1  # background clips for each clip of a word in training (1 in the other splits); 0: no such class
    valid_percent: float = 12.0  # of the voices
    test_percent: float = 12.0  # of the voices
    features: str = "keywords"  # feature preset: keywords (20 MFCC of 40 ms), default (13 MFCC of 25 ms), log_mel
    seed: int = 1  # of everything that is drawn at random


def main(config: Config) -> None:
    """Prepare the store and print what it holds."""
    check_options(config)
    check_output(config.out, config.force or config.update)
    features = feature_settings(config.features, config.sample_rate)
    accent = voices(config.language)[0]
    words = check_words(config.words, accent)
    items = list_items(config, words, accent, split_voices(config))
    clips = ClipSettings()
    clips = replace(clips, seconds=clip_seconds([item for item in items if item.label in words], clips))
    with chosen_executor(config) as executor:
        store = build_store(
            config.out,
            hash_sample(items, config.limit),
            SpeakClip(features, clips, config.seed),
            speech_description(
                features,
                sources=(f"espeak-ng {library_version()}, {accent}",),
                licence="made without recordings",
                others={"clips": asdict(clips)},
            ),
            workers=config.workers,
            force=config.force,
            update=config.update,
            executor=executor,
        )
    print("\n".join(describe_store(store)))


def check_options(config: Config) -> None:
    """Raise OptionError for numbers out of their range."""
    check_percentages(config.valid_percent, config.test_percent)
    check_seed(config.seed)
    if config.takes < 1:
        raise OptionError(f"--takes {config.takes}, expected at least 1")
    for name in ("noisy_percent", "noisy_training"):
        if not 0 <= getattr(config, name) <= 100:
            raise OptionError(f"--{name.replace('_', '-')} {getattr(config, name)}, expected 0 to 100")
    if config.random_voices < 0:
        raise OptionError(f"--random-voices {config.random_voices}, expected 0 or more")
    for name in ("unknown", "silence"):
        if getattr(config, name) < 0:
            raise OptionError(f"--{name} {getattr(config, name)}, expected 0 (no such class) or more")
    if len(config.words) + bool(config.unknown) + bool(config.silence) < 2:
        raise OptionError("one class alone leaves nothing to recognise; give more --words, or --unknown 1")


def check_words(given: Sequence[str], accent: str) -> dict[str, list[str]]:
    """The keywords in Unicode normal form C, each with its phonemes.

    Raises:
        OptionError: no words, one that is reserved, given twice, without sound, or that sounds like another.
    """
    if not given:
        raise OptionError("no words; give the keywords, such as --words yes no up down")
    words: dict[str, list[str]] = {}
    for word in (unicodedata.normalize("NFC", word.strip()) for word in given):
        if word in (UNKNOWN, SILENCE):
            raise OptionError(f"the word {word!r} is the name of a built-in class; choose another word")
        if word in words:
            raise OptionError(f"the word {word!r} is given twice; give each word once")
        spoken = phonemes(word, accent)
        if not spoken:
            raise OptionError(f"the word {word!r} gives no phonemes in {accent}; spell it as in that language")
        for other, known in words.items():
            if spoken == known:
                raise OptionError(f"the words {other!r} and {word!r} sound the same in {accent}; leave one out")
        words[word] = spoken
    return words


def split_voices(config: Config) -> dict[str, str]:
    """The split of each voice variant by its name, chosen by a hash of the names in the configured shares.

    Women and men are split separately, so that every split has both.

    Raises:
        OptionError: more voices than there are, or too few for the splits.
    """
    usable = [each for each in variants() if not LEFT_OUT.fullmatch(each.name)]
    count = len(usable) if config.voices is None else config.voices
    if not 1 <= count <= len(usable):
        raise OptionError(f"--voices {count}, expected 1 to {len(usable)}")
    chosen = sorted(usable, key=_hash)[:count]
    shares = {"valid": config.valid_percent / 100, "test": config.test_percent / 100}
    counts = {"train": 0, "valid": 0, "test": 0}
    splits = {}
    for number, variant in enumerate(sorted(chosen, key=lambda each: (each.gender, _hash(each)))):
        split = next((name for name, share in shares.items() if counts[name] < share * (number + 1)), "train")
        counts[split] += 1
        splits[variant.name] = split
    empty = [name for name in counts if not counts[name] and shares.get(name, 1)]
    if empty:
        raise OptionError(f"--voices {count} leaves none for {' and '.join(empty)}; give more, such as 20")
    return splits


def list_items(config: Config, words: dict[str, list[str]], accent: str, splits: dict[str, str]) -> list[Item]:
    """Every clip with its label, text, split and condition."""
    misses = NearMisses.of(words, accent, config.seed) if config.unknown else None
    items = []
    shares = dict.fromkeys(words, 1) | {UNKNOWN: config.unknown, SILENCE: config.silence}
    for place, (label, share) in enumerate(shares.items()):
        for number, (variant, take) in enumerate(list_takes(config, share, splits)):
            split = splits.get(variant, "train")
            # shifted by one for each label, so that a random voice has clips in both conditions
            percent = config.noisy_training if split == "train" else config.noisy_percent
            condition = NOISY if is_noisy(number + place, percent) else CLEAN
            if label == SILENCE:
                name = f"{SILENCE}/{number:04d}/{condition}"
                items.append(Item(name, None, name, split, SILENCE, condition=condition))
                continue
            speaker = speaker_name(variant, accent)
            name = f"{label}/{speaker}/{take:02d}/{condition}"
            text = misses.draw(name) if misses and label == UNKNOWN else label
            items.append(Item(name, None, name, split, label, text, speaker, condition))
    return items


def list_takes(config: Config, share: int, splits: dict[str, str]) -> Iterator[tuple[str, int]]:
    """Voices with the numbers of their takes. Only training has more clips of some classes than of others."""
    for variant, split in splits.items():
        for take in range(config.takes * (share if split == "train" else min(share, 1))):
            yield variant, take
    for variant in random_names(config.random_voices):
        for take in range(share):
            yield variant, take


def is_noisy(number: int, percent: float) -> bool:
    """Whether the clip with this number is noisy; of the first N clips N * percent / 100 are."""
    return int((number + 1) * percent / 100) > int(number * percent / 100)


def _hash(variant: Variant) -> str:
    return hashlib.sha256(variant.name.encode()).hexdigest()


if __name__ == "__main__":
    run(Config, main)
