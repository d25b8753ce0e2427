"""Make a wake-word detector from nothing: speak the words in hundreds of voices, train, choose a threshold, score it.

Example: seqaudio wake "hey computer" --out runs/hey
         seqaudio wake "hey computer" --background radio/ --real takes/ --out runs/hey
         seqaudio wake "merhaba bilgisayar" --language tr --out runs/merhaba
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import tyro

from seqaudio.errors import OptionError
from seqaudio.prepare.corpora.splits import hash_fraction
from seqaudio.progress import say
from seqaudio.units import Seconds
from seqaudio.vocabulary import UNKNOWN

TRAINED_SHARE = 1 / 3  # of the files of the background
SESSIONS = r"(session\d+)_"  # of takes that `seqaudio record` wrote: sessions are kept within a split
UNHEARD: Seconds = 600.0  # of made-up speech, in voices of the test, where no background is given


@dataclass(frozen=True)
class Config:
    """The words, where they come from, and the detector."""

    words: tyro.conf.Positional[tuple[str, ...]]  # one or more, each of one or more words: "hey computer"
    out: Path  # new run folder; its store and card are beside it, in OUT-store and OUT-card
    language: str = "en"  # any of espeak-ng's, or an accent such as en-us
    accents: tuple[str, ...] = ()  # accents of which each voice has one; or all
    random_voices: int = 1000  # voices drawn at random, each of which speaks each word once
    speak: tyro.conf.UseAppendAction[tuple[str, ...]] = ()  # command of another synthesiser with {text} and {wav}
    spoken: Path | None = None  # folder of spoken clips by any other, FOLDER/word/*.wav
    background: tuple[Path, ...] = ()  # sound without the words: a third is trained on, the rest judges
    noise_folder: Path | None = None  # recordings of noise to mix with; made up otherwise
    room_folder: Path | None = None  # impulse responses of rooms; made up otherwise
    real: Path | None = None  # clips of your own, as `seqaudio record` writes them
    negatives: tuple[Path, ...] = ()  # false alarms that `seqaudio alarms --cut` wrote, for a second round
    per_hour: float = 0.5  # false alarms an hour that the threshold allows
    preset: Literal["tiny", "small", "base"] = "small"  # size of the net
    minutes: float = 9.0  # of training
    workers: int = 2  # processes that speak
    seed: int = 1  # of all that is drawn

    @property
    def store(self) -> Path:
        return self.out.with_name(f"{self.out.name}-store")

    @property
    def real_store(self) -> Path:
        return self.out.with_name(f"{self.out.name}-real-store")

    @property
    def card(self) -> Path:
        return self.out.with_name(f"{self.out.name}-card")


def main(config: Config) -> None:
    """Speak, train, judge; each part that an interrupted call has finished is kept."""
    if not config.words:
        raise OptionError('got no words; give at least one: seqaudio wake "hey computer" --out runs/hey')
    say(f"--- speaking, into {config.store}")
    prepare(config)
    say(f"--- training, in {config.out}")
    train(config)
    say(f"--- judging, into {config.card}")
    judge(config)
    print(f"next: seqaudio listen {config.out} --microphone, or seqaudio recognize {config.out} FILE...")


def spoken_options(config: Config) -> Any:
    """The options of the preparation that speaks the words."""
    return _script("synthetic_keywords").Config(
        words=config.words,
        out=config.store,
        language=config.language,
        accents=config.accents,
        random_voices=config.random_voices,
        noisy_training=0.0,  # streams are mixed with noise in training, anew in each epoch
        silence=0,
        speech=1,
        speak=config.speak,
        spoken=config.spoken,
        features="spotting",
        workers=config.workers,
        seed=config.seed,
    )


def prepare(config: Config) -> None:
    """Make the store of spoken words, and that of your own clips, unless they exist."""
    if not config.store.is_dir():
        _script("synthetic_keywords").main(spoken_options(config))
    if config.real is not None and not config.real_store.is_dir():
        module = _script("audio_folder")
        module.main(
            module.Config(
                source=config.real, out=config.real_store, features="spotting", speaker_pattern=SESSIONS,
                workers=config.workers,
            )
        )  # fmt: skip


def train(config: Config) -> None:
    """Train on streams, or go on with an interrupted training."""
    from seqaudio.augmentation.options import AugmentationOptions
    from seqaudio.cli.scripts import load, recipes

    if (config.out / "results.json").is_file():
        return
    module = load(recipes("train.py")["keyword_recognition"])
    module.main(
        module.Config(
            store=config.store,
            run=config.out,
            preset=config.preset,
            minutes=config.minutes,
            label_smoothing=0.0,  # probabilities near 1 decide about alarms
            more_stores=() if config.real is None else (config.real_store,),
            speech_folder=trained_on(config),
            negatives=config.negatives,
            augmentation=AugmentationOptions(
                time_stretch=0.3, gain=0.0, tilt=10.0, offset=0.3, noise=0.2, vocal_tract_warp=0.15,
                noise_folder=config.noise_folder, room_folder=config.room_folder, highest_snr=30.0,
            ),
            seed=config.seed,
            resume=(config.out / "config.json").is_file(),
        )
    )  # fmt: skip


def judge(config: Config) -> None:
    """Choose a threshold for each word and write its card; what is missing to judge on is spoken by unheard voices."""
    from seqaudio.cli import alarms

    words = config.card / "words"
    background = judged_on(config)
    if not words.is_dir() or (not background and not (config.card / "speech").is_dir()):
        speak_unheard(config, words, None if background else config.card / "speech")
    if not background:
        say("no --background: false alarms are counted on made-up speech of synthetic voices, which says little")
    for word in (*config.words,):
        options = alarms.Config(
            run=config.out, positives=words / word, background=background or (config.card / "speech",),
            out=config.card / word.replace(" ", "_"), word=word, near_misses=words / UNKNOWN, per_hour=config.per_hour,
            cut=None, keep=True, seed=config.seed, force=True,
        )  # fmt: skip
        alarms.main(options)


def speak_unheard(config: Config, words: Path, speech: Path | None) -> None:
    """Write words, and speech unless that is None, of the voices that the store keeps for its test split."""
    from seqaudio.features import FeatureSettings
    from seqaudio.store import Store
    from seqaudio.synthesis.clips import ClipSettings, SpeakClip
    from seqaudio.synthesis.unheard import write_speech, write_words

    module, options, store = _script("synthetic_keywords"), spoken_options(config), Store(config.store)
    settings = FeatureSettings.from_dict(store.setting("features", dict))
    splits = module.split_voices(options)
    spoken_in = module.words_by_accent(options)
    items = [item for item in module.list_items(options, spoken_in, splits) if item.split == "test"]
    write_words(words, items, SpeakClip(settings, ClipSettings(**store.setting("clips", dict)), config.seed))
    if speech is not None:
        voices = sorted(name for name, split in splits.items() if split == "test")
        write_speech(speech, spoken_in, voices, UNHEARD, settings.sample_rate, config.seed)


def trained_on(config: Config) -> tuple[Path, ...]:
    """The recordings of the background that the net is trained on."""
    return tuple(file for file in _background(config) if hash_fraction(file.name) < TRAINED_SHARE)


def judged_on(config: Config) -> tuple[Path, ...]:
    """The recordings of the background that judge the net: others than it was trained on."""
    return tuple(file for file in _background(config) if hash_fraction(file.name) >= TRAINED_SHARE)


def _background(config: Config) -> list[Path]:
    from seqaudio.cli.recognize import list_files

    return list_files(config.background) if config.background else []


def _script(name: str) -> ModuleType:
    from seqaudio.cli.scripts import load, preparations

    return load(preparations()[name])
