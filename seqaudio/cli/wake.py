"""Make a wake-word detector from nothing: speak the words in hundreds of voices, train, choose a threshold, score it.

Example: seqaudio wake "hey computer" --out runs/hey
         seqaudio wake "hey computer" --background radio/ --real takes/ --out runs/hey
         seqaudio wake "merhaba bilgisayar" --language tr --out runs/merhaba

Makes OUT, a run for `seqaudio listen`, and beside it OUT-store (the spoken words) and OUT-card (one scorecard a word).
The same command again goes on where an interrupted one stopped.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import tyro

from seqaudio.cli import alarms
from seqaudio.cli.kept_options import is_begun, keep_options
from seqaudio.errors import OptionError, SeqAudioError, SourceError
from seqaudio.folders import real_path
from seqaudio.interruption import Interrupted, number_of
from seqaudio.json_files import read_json
from seqaudio.locks import locked
from seqaudio.progress import say
from seqaudio.terminal import few
from seqaudio.units import Seconds
from seqaudio.vocabulary import UNKNOWN

MARK = "wake.json"  # in OUT-card: the options, so that other ones are not mixed with them
FREE = ("out", "workers")  # options that may differ in a call that goes on
UNHEARD: Seconds = 600.0  # of made-up speech, in voices of the test, where no background is given
VOICES = "voices-store"  # of other synthesisers
FEW_VOICES = 20
VOICES_SHARE = 0.8  # of the words, from other synthesisers and own clips: espeak-ng is farther from people
REAL_SHARE = 0.5  # of the words, from own clips where there are no other synthesisers
LEAST_FILES = 3  # of background: one to train on, one to choose the threshold on, one to judge it on
FIRST, MISTAKES = "first-round", "mistakes"  # in OUT-card: the run of the first round, and its false alarms
FIRST_SHARE = 0.4  # of the time, for the first of two rounds
HELD_OUT = 25.0  # percent of the real clips, or of their sessions, that judge the detector


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
    real: Path | None = None  # clips of your own, as `seqaudio record` writes them; a quarter judges
    negatives: tuple[Path, ...] = ()  # false alarms that `seqaudio alarms --cut` wrote, for a second round
    beside: str = ""  # judged on the same sound, with commas: earlier runs, and rivals as of `seqaudio alarms`
    per_hour: float = 0.5  # false alarms an hour that the threshold allows
    preset: Literal["tiny", "small", "base"] = "small"  # size of the net
    sample_rate: int = 16000  # hertz of the sound that is listened to; 8000 for telephones
    micro: bool = False  # for microcontrollers with ESPHome: the features that they have; see seqaudio export --tflite
    minutes: float = 11.0  # of training
    workers: int = 2  # processes that speak
    seed: int = 1  # of all that is drawn

    def place(self, end: str) -> Path:
        """A folder beside the run: its name with `end` behind it."""
        return self.out.with_name(f"{self.out.name}-{end}")


def main(config: Config) -> None:
    """Speak, train, judge; each part that an interrupted call has finished is kept."""
    if config.out.name in ("", ".."):
        raise OptionError(f"--out {config.out} has no name; give a new run folder, such as runs/hey")
    config = replace(config, words=tuple(unicodedata.normalize("NFC", word.strip()) for word in config.words))
    mark = config.place("card") / MARK
    folders = (config.out, *map(config.place, ("store", VOICES, "real-store", "card")))
    begun = is_begun(mark, config, FREE, folders, "seqaudio wake")
    if not begun:
        check(config)
    place = real_path(config.out)
    with locked(place.with_name(f"{place.name}.lock"), "wake word", config.out):
        try:
            if not begun:
                keep_options(mark, config, FREE)
            make(config)
        except KeyboardInterrupt as stop:
            raise Interrupted("what is done is kept; give the same command to go on", number_of(stop)) from None
    print(f"next: seqaudio listen {config.out} --microphone, or seqaudio recognize {config.out} FILE...")


def make(config: Config) -> None:
    """Do the parts that are not done yet."""
    say(f"--- speaking, into {config.place('store')}")
    prepare(config)
    say(f"--- training, in {config.out}")
    train(config)
    say(f"--- judging, into {config.place('card')}")
    judge(config)


def check(config: Config) -> None:
    """Raise OptionError or SourceError for what would fail minutes later."""
    from seqaudio.cli.recognize import list_files
    from seqaudio.synthesis.speakers import parse_commands
    from seqaudio.synthesis.spoken import list_spoken

    if config.micro and (config.sample_rate != 16000 or len(config.words) > 1):
        raise OptionError(
            f"--micro with {len(config.words)} words at {config.sample_rate} Hz, expected one word at 16000 Hz: a file "
            f"for ESPHome has one; make one run for each"
        )
    if not config.words:
        raise OptionError('got no words; give at least one: seqaudio wake "hey computer" --out runs/hey')
    if odd := [word for word in config.words if word.startswith(".") or set("/\\") & set(word)]:
        raise OptionError(f"the word {odd[0]!r} cannot be the name of a folder; spell it without slashes and dots")
    module, options = _script("synthetic_keywords"), spoken_options(config)
    module.check_options(options)
    module.check_options(other_options(config))
    module.words_by_accent(options)
    for command in parse_commands(config.speak):
        command.check(config.words[0])
    if config.spoken is not None:
        list_spoken(config.spoken, config.words)
    for path in (*config.background, *config.negatives, config.noise_folder, config.room_folder, config.real):
        if path is not None and not path.exists():
            raise SourceError(f"{path}: no such file or folder; give sound that exists")
        if path is not None:
            list_files((path,))
    background(config)
    if config.real is not None:
        check_real(config.real, config.words)
    for word in config.words if config.beside else ():
        alarms.rivals(_card_options(config, word, ()), word)


def check_real(real: Path, words: tuple[str, ...]) -> None:
    """Raise SourceError unless the folder has sub-folders with the names of the words."""
    labels = {item.label for item in _script("audio_folder").list_folder(real, "", "label").items}
    if missing := [word for word in words if word not in labels]:
        raise SourceError(
            f"{real}: none of its folders is called {missing[0]!r}, only {few(sorted(labels), 4)}; "
            f"--real takes FOLDER/WORD/*.wav, as seqaudio record --labels {missing[0]!r} writes them"
        )


def spoken_options(config: Config) -> Any:
    """The options of the preparation that speaks the words."""
    return _script("synthetic_keywords").Config(
        words=config.words,
        out=config.place("store"),
        language=config.language,
        accents=config.accents,
        random_voices=config.random_voices,
        noisy_training=0.0,  # streams are mixed with noise in training, anew in each epoch
        silence=0,
        speech=1,
        sample_rate=config.sample_rate,
        features=features(config),
        workers=config.workers,
        seed=config.seed,
    )


def features(config: Config) -> str:
    """The preset of the features."""
    return "micro" if config.micro else "spotting"


def other_options(config: Config) -> Any:
    """The options of the preparation of other synthesisers' clips; a few of espeak-ng's voices are for its splits."""
    return replace(
        spoken_options(config), out=config.place(VOICES), random_voices=0, voices=FEW_VOICES, takes=1,
        speak=config.speak, spoken=config.spoken,
    )  # fmt: skip


def prepare(config: Config) -> None:
    """Make the stores of spoken words, and that of your own clips, unless they exist."""
    from seqaudio.audio.takes import SPEAKERS

    if not config.place("store").is_dir():
        _script("synthetic_keywords").main(spoken_options(config))
    if (config.speak or config.spoken) and not config.place(VOICES).is_dir():
        _script("synthetic_keywords").main(other_options(config))
    if config.real is not None and not config.place("real-store").is_dir():
        module = _script("audio_folder")
        module.main(
            module.Config(
                source=config.real, out=config.place("real-store"), sample_rate=config.sample_rate,
                features=features(config),
                speaker_pattern=SPEAKERS, valid_percent=0.0, test_percent=HELD_OUT, workers=config.workers,
            )
        )  # fmt: skip


def train(config: Config) -> None:
    """Train on streams, or go on with an interrupted training; where there is background, in two rounds.

    What the first round takes for the words in the part of the background that is trained on, the second learns to
    refuse.
    """
    from seqaudio.evaluation.alarms.cutting import mine
    from seqaudio.run_folder import RunFolder

    trained_on, card = background(config)[0], config.place("card")
    if not trained_on:
        train_round(config, config.out, 1.0)
        return
    first, mistakes = card / FIRST, card / MISTAKES
    train_round(config, first, FIRST_SHARE)
    if not mistakes.is_dir():
        count = mine(RunFolder(first), config.words, trained_on, mistakes, config.seed)
        say(f"{mistakes}: {count:,} sounds that the first round takes for the words, negatives of the second")
    train_round(config, config.out, 1.0 - FIRST_SHARE, start_from=first, more_negatives=(mistakes,))


def train_round(
    config: Config, run: Path, share: float, *, start_from: Path | None = None, more_negatives: tuple[Path, ...] = ()
) -> None:
    """Train a run for a share of the time, unless it has ended."""
    from seqaudio.augmentation.options import AugmentationOptions
    from seqaudio.cli.scripts import load, recipes

    if (run / "results.json").is_file():
        return
    others = {VOICES: config.speak or config.spoken, "real-store": config.real}
    module = load(recipes("train.py")["keyword_recognition"])
    module.main(
        module.Config(
            store=config.place("store"),
            run=run,
            preset=config.preset,
            pcan=config.micro,
            minutes=share * config.minutes,
            inside_weight=0.2,
            label_smoothing=0.0,  # probabilities near 1 decide about alarms
            more_stores=tuple(config.place(name) for name, given in others.items() if given),
            more_share=VOICES_SHARE if config.speak or config.spoken else REAL_SHARE,
            speech_folder=background(config)[0],
            negatives=(*config.negatives, *more_negatives),
            augmentation=AugmentationOptions(
                time_stretch=0.3, time_masks=0, gain=0.0, tilt=10.0, offset=0.3, noise=0.2, vocal_tract_warp=0.15,
                noise_folder=config.noise_folder, room_folder=config.room_folder, highest_snr=30.0,
            ),
            start_from=start_from,
            seed=config.seed,
            resume=(run / "config.json").is_file(),
        )
    )  # fmt: skip


def judge(config: Config) -> None:
    """Choose a threshold for each word and write its card; what is missing to judge on is spoken by unheard voices."""
    words, judged_on = config.place("card") / "words", background(config)[1]
    speech = None if judged_on else config.place("card") / "speech"
    speak_unheard(config, words, speech)
    failures, told = [], False
    for word in config.words:
        options = _card_options(config, word, judged_on)
        if is_judged(config.out, options.out / "card.json", word):
            print(f"{options.out / 'card.md'}: kept")
            continue
        if speech is not None and not told:
            told = True
            say("no --background: false alarms are counted on made-up speech of synthetic voices, which says little")
        try:
            alarms.main(options)
        except SeqAudioError as error:  # of one word, such as a false score of 1; the others have their cards
            failures.append(f"{word!r}: {error}")
    if failures:
        raise SeqAudioError("; ".join(failures))


def is_judged(run: Path, card: Path, word: str) -> bool:
    """Whether the card of a word is written, and its threshold is that of the run."""
    from seqaudio.decoding.spotting import spotting_of
    from seqaudio.run_folder import RunFolder

    if not card.is_file():
        return False
    try:
        threshold = read_json(card)["detectors"][0]["judged"][0]["threshold"]
    except (ValueError, LookupError, TypeError):
        return False  # cut off by a power cut: it is judged again
    return bool(spotting_of(RunFolder(run)).thresholds.get(word) == threshold)


def _card_options(config: Config, word: str, judged_on: tuple[Path, ...]) -> Any:
    """The options of the card of a word."""
    card = config.place("card")
    return alarms.Config(
        run=config.out, positives=card / "words" / word, background=judged_on or (card / "speech",),
        out=card / word.replace(" ", "_"), word=word, near_misses=card / "words" / UNKNOWN,
        also=held_out(config, word), per_hour=config.per_hour, beside=config.beside, keep=True, seed=config.seed,
        force=True,
    )  # fmt: skip


def speak_unheard(config: Config, words: Path, speech: Path | None) -> None:
    """Write words, and speech unless that is None, of the voices that the store keeps for its test split."""
    from seqaudio.features import FeatureSettings
    from seqaudio.store import Store
    from seqaudio.synthesis.clips import PASSAGES, ClipSettings, SpeakClip
    from seqaudio.synthesis.unheard import write_speech, write_words

    store, module = Store(config.place("store")), _script("synthetic_keywords")
    options = replace(spoken_options(config), noisy_percent=0.0)  # the card mixes words with background
    settings = FeatureSettings.from_dict(store.setting("features", dict))
    splits, spoken_in = module.split_voices(options), module.words_by_accent(options)
    if not words.is_dir():
        items = module.list_items(options, spoken_in, splits)
        items = [item for item in items if item.split == "test" and not item.id.startswith(PASSAGES)]
        write_words(words, items, SpeakClip(settings, ClipSettings(**store.setting("clips", dict)), config.seed))
    if speech is not None and not speech.is_dir():
        voices = sorted(name for name, split in splits.items() if split == "test")
        write_speech(speech, spoken_in, voices, UNHEARD, settings.sample_rate, config.seed)


def held_out(config: Config, word: str) -> Path | None:
    """A table of the real clips of a word that are not trained on; None where there are none."""
    from seqaudio.evaluation.alarms.held_out import write_held_out
    from seqaudio.store import Store

    if config.real is None or not config.place("real-store").is_dir():
        return None
    table = config.place("card") / f"real_{word.replace(' ', '_')}.csv"
    count = write_held_out(table, Store(config.place("real-store")), config.real, word)
    say(
        f"real clips of {word!r} that are not trained on, and judge in a table of their own: {count:,}"
        if count
        else f"the real clips of {word!r} are too few to hold some out: all are trained on, and none judges"
    )
    return table if count else None


def background(config: Config) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """The recordings of the background that are trained on, and those that judge.

    The former are those on which `seqaudio alarms` chooses thresholds with the same folders and seed, so that the false
    alarms that it cuts out there can be negatives of another round.

    Raises OptionError for fewer than three.
    """
    from seqaudio.cli.recognize import list_files
    from seqaudio.evaluation.alarms.material import split_background

    if not config.background:
        return (), ()
    files = list(dict.fromkeys(list_files(config.background)))
    if len(files) < LEAST_FILES:
        raise OptionError(
            f"--background has {len(files)} file{'s' * (len(files) > 1)}, which cannot be split; expected at least "
            f"{LEAST_FILES}, to train, to choose the threshold, to judge it; cut it into pieces of a minute or more"
        )
    trained_on, judged_on = split_background(files, alarms.Config.choosing, config.seed)
    return tuple(trained_on), tuple(judged_on)


def _script(name: str) -> ModuleType:
    from seqaudio.cli.scripts import load, preparations

    return load(preparations()[name])
