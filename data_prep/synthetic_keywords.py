"""Prepare keywords in any language, spoken by espeak-ng (GPL-3.0); no recordings, no download.

    data_prep/synthetic_keywords.py --words yes no up down left right on off stop go --out stores/commands
    data_prep/synthetic_keywords.py --words evet hayır aç kapat --language tr --out stores/komut

    Classes     the words; `unknown`, near misses of them (synthesis/near_misses.py); `silence`, background only
    Voices      training: 800 random voices (synthesis/random_voices.py) and 38 of espeak-ng's own; validation and
                test: 6 of its own each. No robots, echoes or whispers, and no voice under two names
    Accents     --accents en-us en-gb-scotland, or all: each voice has one of them, drawn by its name
    Speech      --speech 1: running speech that is no keyword, of made-up words or of those in --other-words FILE
    Others      --speak 'flite -voice slt -t {text} -o {wav}', repeatable: any synthesiser (synthesis/speakers.py)
                --spoken FOLDER: recordings, FOLDER/label/*.wav, by people or by anything (synthesis/spoken.py)
    Takes       speed, pitch, room, level, kind and strength of the background differ (synthesis/clips.py)
    Licence     espeak-ng is GPL-3.0-or-later, `pip install ".[tts]"`; a store holds none of it

Noisy clips are 0 to 20 dB above white, pink or brown noise, babble or hum; the others are 40 to 60 dB above it. The
column `condition` tells which. All clips of a store are as long as the longest word needs.

Splits are by voice: the voices of validation and test are not in training. --test-draw 2 makes others of training the
test, whose voices train instead, for a test that no choice has seen; validation stays. In validation and test all
classes have equally many clips, and so have clean and noisy; training has three times as many near misses as clips of a
word, and three noisy clips for each clean one. Ten words with the defaults give

    train 14,392 clips by 838 voices, valid 432 by 6, test 432 by 6, of 0.8 s each

in a minute or two on two cores. For results of a model see docs/results.md, run demo_keywords.

Commands of --speak speak for training alone, and say near misses as respelled keywords. A range of numbers in them, as
in duration_stretch={0.8..1.4}, is drawn anew for each take. A synthesiser that loads a neural net for each text takes
seconds a clip: give --speak-takes 5 and --workers 2, or write a folder of clips once. Clips of --spoken are for
training, too, unless folders of splits hold them; a speaker is a file's name without its number.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
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
from seqaudio.synthesis.clips import CLEAN, NOISY, PASSAGES, ClipSettings, SpeakByCommands, SpeakClip, clip_seconds
from seqaudio.synthesis.espeak import Variant, library_version, phonemes, variants
from seqaudio.synthesis.negatives import Negatives, Spoken, accent_of, choose_accents
from seqaudio.synthesis.random_speech import read_words
from seqaudio.synthesis.random_voices import random_names
from seqaudio.synthesis.speakers import Command, parse_commands, speaker_name
from seqaudio.synthesis.spoken import SpokenClips, list_spoken
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


NO_CLIPS = SpokenClips([], [])
RandomVoices = Annotated[int, tyro.conf.arg(aliases=("--drawn-voices",))]


@dataclass(frozen=True)
class Config(StoreOptions):
    """Options of the preparation."""

    out: Path  # new folder for the store
    words: tuple[str, ...] = ()  # the keywords, each a label
    language: str = "en"  # a language, spoken in its most usual accent, or an accent such as en-us
    accents: tuple[str, ...] = ()  # accents of which each voice has one, such as en-us en-gb-scotland; or all
    voices: int | None = None  # how many of espeak-ng's own voices; all by default
    takes: int = 6  # clips of a word by each of espeak-ng's own voices
    random_voices: RandomVoices = 800  # more training voices, drawn at random, that speak each word once
    noisy_percent: float = 50.0  # percent of validation and test clips that are noisy
    noisy_training: float = 75.0  # percent of training clips that are noisy
    unknown: int = 3  # near misses for each clip of a word in training (1 in the other splits); 0: no such class
    speech: int = 0  # clips of running speech for each clip of a word, as unknown
    other_words: Path | None = None  # words or sentences, one a line, for that speech; else made-up words
    speak: tyro.conf.UseAppendAction[tuple[str, ...]] = ()  # a synthesiser's command with {text} and {wav}; repeatable
    speak_takes: int = 40  # training clips of a word by each such command
    spoken: Path | None = None  # folder of spoken clips, FOLDER/label/*.wav; those of other words are unknown
    spoken_takes: int = 1  # clips of each spoken one, in different rooms and noise
    silence: int = 1  # background clips for each clip of a word in training (1 in the other splits); 0: no such class
    valid_percent: float = 12.0  # of the voices
    test_percent: float = 12.0  # of the voices
    test_draw: int = 1  # which voices are the test; with another number others, that no model was read on
    features: str = "keywords"  # feature preset: keywords (20 MFCC of 40 ms), default (13 MFCC of 25 ms), log_mel
    seed: int = 1  # of everything that is drawn at random


def main(config: Config) -> None:
    """Prepare the store and print what it holds."""
    check_options(config)
    check_output(config.out, config.force or config.update)
    features = feature_settings(config.features, config.sample_rate)
    spoken_in = words_by_accent(config)
    accents = tuple(spoken_in)
    words = tuple(spoken_in[accents[0]])
    commands = parse_commands(config.speak)
    spoken = list_spoken(config.spoken, words) if config.spoken else NO_CLIPS
    for line in spoken.understood:
        print(line, flush=True)
    for command in commands:
        command.check(words[0])
    items = list_items(config, spoken_in, split_voices(config), commands, spoken)
    process = SpeakClip(features, ClipSettings(), config.seed)
    if commands:
        process = SpeakByCommands(features, ClipSettings(), config.seed, commands)
    seconds = clip_seconds([item for item in items if item.label in words], process.clips, process.speaker)
    process = replace(process, clips=replace(process.clips, seconds=seconds))
    others = (*(command.name for command in commands), *([config.spoken.name] if config.spoken else []))
    licence = "made without recordings"
    with chosen_executor(config) as executor:
        store = build_store(
            config.out,
            hash_sample(items, config.limit),
            process,
            speech_description(
                features,
                sources=(f"espeak-ng {library_version()}, {' '.join(accents)}", *others),
                licence=f"that of the spoken clips; the others are {licence}" if config.spoken else licence,
                others={"clips": asdict(process.clips)},
            ),
            workers=config.workers,
            force=config.force,
            update=config.update,
            executor=executor,
        )
    print("\n".join(describe_store(store)))


def words_by_accent(config: Config) -> dict[str, dict[str, list[str]]]:
    """The keywords with their phonemes in each accent. Raises OptionError as `choose_accents` and `check_words`."""
    return {accent: check_words(config.words, accent) for accent in choose_accents(config.language, config.accents)}


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
    if config.speech < 0:
        raise OptionError(f"--speech {config.speech}, expected 0 (none) or more")
    for name in ("speak_takes", "spoken_takes"):
        if getattr(config, name) < 1:
            raise OptionError(f"--{name.replace('_', '-')} {getattr(config, name)}, expected at least 1")
    if config.other_words is not None and not config.speech:
        raise OptionError("--other-words are for running speech; give --speech 1 too")
    if len(config.words) + bool(config.unknown or config.speech) + bool(config.silence) < 2:
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

    Women and men are split separately, so that every split has both. `test_draw` changes places of training and test.

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
    ordered = sorted(chosen, key=lambda each: (each.gender, _hash(each)))
    for number, variant in enumerate(ordered):
        split = next((name for name, share in shares.items() if counts[name] < share * (number + 1)), "train")
        counts[split] += 1
        splits[variant.name] = split
    empty = [name for name in counts if not counts[name] and shares.get(name, 1)]
    if empty:
        raise OptionError(f"--voices {count} leaves none for {' and '.join(empty)}; give more, such as 20")
    for gender in {variant.gender for variant in ordered}:
        splits |= redrawn([v.name for v in ordered if v.gender == gender], splits, config.test_draw)
    return splits


def redrawn(names: Sequence[str], splits: Mapping[str, str], draw: int) -> dict[str, str]:
    """The splits of one gender's voices with another test of equal size; a voice returns once all others had a turn."""
    first, others = ([name for name in names if splits[name] == split] for split in ("test", "train"))
    ring = first + others
    start = (draw - 1) * len(first)
    chosen = {ring[(start + place) % len(ring)] for place in range(len(first))}
    return {name: "test" if name in chosen else "train" for name in ring}


def list_items(
    config: Config,
    spoken_in: Spoken,
    splits: dict[str, str],
    commands: Sequence[Command] = (),
    spoken: SpokenClips = NO_CLIPS,
) -> list[Item]:
    """Every clip with its label, text, split and condition."""
    accents = tuple(spoken_in)
    words = tuple(spoken_in[accents[0]])
    negatives = Negatives.of(spoken_in, config.seed, read_words(config.other_words) if config.other_words else ())
    misses = negatives.near_misses() if config.unknown else {}
    speech = negatives.speech() if config.speech else {}
    items = []
    shares = dict.fromkeys(words, 1) | {UNKNOWN: config.unknown, SILENCE: config.silence, PASSAGES: config.speech}
    for place, (label, share) in enumerate(shares.items()):
        for number, (variant, take) in enumerate(list_takes(config, share, splits)):
            split = splits.get(variant, "train")
            # shifted by one for each label, so that a random voice has clips in both conditions
            condition = chosen_condition(config, number + place, split)
            if label == SILENCE:
                name = f"{SILENCE}/{number:04d}/{condition}"
                items.append(Item(name, None, name, split, SILENCE, condition=condition))
                continue
            accent = accent_of(variant, accents)
            speaker = speaker_name(variant, accent)
            name = f"{label.rstrip('/')}/{speaker}/{take:02d}/{condition}"
            text = label
            if label in (UNKNOWN, PASSAGES):
                text = (misses if label == UNKNOWN else speech)[accent].draw(name)
            items.append(Item(name, None, name, split, label.partition("/")[0], text, speaker, condition))
    items += command_items(config, words, commands, negatives)
    items += spoken_items(config, spoken)
    return items


def command_items(
    config: Config, words: Sequence[str], commands: Sequence[Command], negatives: Negatives
) -> Iterator[Item]:
    """Clips by commands, all for training; they cannot say phonemes, so their near misses are respelled words."""
    respellings = negatives.respellings()
    shares = dict.fromkeys(words, 1) | {UNKNOWN: config.unknown, PASSAGES: config.speech}
    for place, (label, share) in enumerate(shares.items()):
        for number, (command, take) in enumerate(product(commands, range(config.speak_takes * share))):
            condition = chosen_condition(config, number + place, "train")
            name = f"{label.rstrip('/')}/{command.name}/{take:03d}/{condition}"
            text = label
            if label in (UNKNOWN, PASSAGES):
                text = respellings.near_miss(name) if label == UNKNOWN else respellings.passage(name)
            yield Item(name, None, name, "train", label.partition("/")[0], text, command.name, condition)


def spoken_items(config: Config, spoken: SpokenClips) -> Iterator[Item]:
    """Spoken clips, in the splits of their folders; those of other words where the store has the class unknown."""
    for take, (number, clip) in product(range(config.spoken_takes), enumerate(spoken.clips)):
        if clip.label == UNKNOWN and not (config.unknown or config.speech):
            continue
        condition = chosen_condition(config, number + take, clip.split)
        name = f"spoken/{clip.key}/{take:02d}/{condition}"
        yield Item(name, clip.path, name, clip.split, clip.label, clip.text, clip.speaker, condition)


def chosen_condition(config: Config, number: int, split: str) -> str:
    """Whether the clip with this number is clean or noisy, in the share of its split."""
    return NOISY if is_noisy(number, config.noisy_training if split == "train" else config.noisy_percent) else CLEAN


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
