"""Demonstrate everything in a few minutes: recognise ten spoken words, compose a chorale. Nothing is downloaded.

Example: seqaudio demo --out demo
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from seqaudio.cli.side_by_side import side_by_side
from seqaudio.errors import OptionError, RunError
from seqaudio.files import write_json
from seqaudio.folders import Kind, check_contents, real_path, remove
from seqaudio.interruption import Interrupted, number_of
from seqaudio.json_files import read_json
from seqaudio.locks import locked
from seqaudio.progress import say

WORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
INSTALL_SECONDS = "SEQAUDIO_INSTALL_SECONDS"  # may be set after an installation; the demo then prints it with the sum
MARK = "demo.json"  # marks a folder of the demo, and holds the options it was made with
FILES = r"(demo\.json|README\.txt|confusion\.png|curves\.png|chorale\.(mid|wav|png))(\.partial)?"
# of near misses, and the weights of frames without a word: ten words need more of the training than one wake word
SHARES = {"unknown_share": 0.2, "inside_weight": 0.1, "background_weight": 0.2}
BEATS = 16  # length of the shortest chorale that is accepted


@dataclass(frozen=True)
class Config:
    """The folder of the demo, and how long to train."""

    out: Path = Path("demo")  # folder for the results; an interrupted demo continues where it stopped
    workers: int = min(os.cpu_count() or 1, 4)  # processes of a preparation; with 1 nothing goes on side by side
    keyword_epochs: int = 16  # of training on the spoken words
    chorale_epochs: int = 8  # of training on the chorales
    seed: int = 1  # of the sounds, the trainings and the chorale
    force: bool = False  # replace an existing demo


def main(config: Config) -> None:
    """Prepare, train, evaluate and generate; print the results and how long each part took."""
    check_folder(config)
    place = real_path(config.out)
    with locked(place.with_name(f"{place.name}.lock"), "demo", config.out):
        try:
            demonstrate(config)
        except KeyboardInterrupt as stop:
            raise Interrupted("saved; give the same command again to go on", number_of(stop)) from None


def demonstrate(config: Config) -> None:
    """Do what `main` says, in a folder that no other process writes to."""
    open_folder(config)
    clock = Clock()
    with clock.part("speaking"):
        prepare_words(config)  # by all workers, before anything else takes a core
    # the longer one first
    works: dict[str, Callable[[], Any]] = {
        "words": functools.partial(learn_words, config),
        "chorales": functools.partial(learn_chorales, config),
    }
    with clock.part("learning"):
        finished = side_by_side(works) if config.workers > 1 else {name: work() for name, work in works.items()}
    words: Learned = finished["words"]
    chorales: Composed = finished["chorales"]
    draw(config)
    (config.out / "README.txt").write_text(readme(words.results, chorales.results, chorales.piece), encoding="utf-8")
    say("")
    print((config.out / "README.txt").read_text(encoding="utf-8"))
    print(clock.table({name: work.seconds for name, work in finished.items()}))


class Clock:
    """Seconds of each part, and of the installation if that was timed."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        if os.environ.get(INSTALL_SECONDS, "").isdigit():
            self.seconds["installing"] = float(os.environ[INSTALL_SECONDS])

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Time a part of the demo."""
        say(f"--- {name}")
        start = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - start

    def table(self, of_learning: dict[str, float]) -> str:
        """A line for each part, and the sum; beside the learning, the seconds of what it consists of."""
        details = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in of_learning.items())
        rows = self.seconds | {"in all": sum(self.seconds.values())}
        return "\n".join(
            f"{name:<11} {seconds:6.0f} s{f'   ({details})' * (name == 'learning')}" for name, seconds in rows.items()
        )


def options_of(config: Config) -> dict[str, Any]:
    """The options that decide what a demo makes, as they are kept in its mark."""
    known = {"words": list(WORDS), "keyword_epochs": config.keyword_epochs, "chorale_epochs": config.chorale_epochs}
    return known | {"seed": config.seed}


def options_in(folder: Path) -> dict[str, Any] | None:
    """The options of the demo in a folder; None where no demo made it, whatever it holds."""
    try:
        found = read_json(folder / MARK)
    except (OSError, ValueError):
        return None
    names = options_of(Config())
    return found if isinstance(found, dict) and found.keys() == names.keys() else None


def demo_folder() -> Kind:
    """The files of a demo: its own, and those of its stores and runs."""
    from seqaudio.prepare.engine.partial import PREPARATION
    from seqaudio.run_folder import RUN
    from seqaudio.store import FOLDER

    inside = {"store": FOLDER.files, r"store\.partial": PREPARATION.files, "run": RUN.files}
    parts = [rf"(keywords|chorales)-{end}/({files.pattern})" for end, files in inside.items()]
    return Kind("a demo", re.compile("|".join((FILES, r"(keywords|chorales)-store\.lock", *parts))))


def check_folder(config: Config) -> None:
    """Raise OptionError for a folder of anything else, or of other options.

    Raises FolderError where --force would remove more than a demo.
    """
    if not config.out.exists():
        return
    if config.out.is_dir() and all(path.name == f"{MARK}.partial" for path in config.out.iterdir()):
        return
    found = options_in(config.out)
    if found is None:
        raise OptionError(f"{config.out} exists and is not a demo; choose another --out")
    if config.force:
        check_contents(real_path(config.out), demo_folder())
    elif found != options_of(config):
        raise OptionError(
            f"{config.out} holds a demo with other options; give --force to replace it, or choose another --out"
        )


def open_folder(config: Config) -> None:
    """Make the folder, or continue in it; with --force start again. Raises as `check_folder`."""
    check_folder(config)
    if config.force and options_in(config.out) is not None:
        remove(real_path(config.out), demo_folder())
    real_path(config.out).mkdir(parents=True, exist_ok=True)
    write_json(config.out / MARK, options_of(config))


def script(name: str) -> ModuleType:
    """A preparation by its name."""
    from seqaudio.cli.scripts import load, preparations

    return load(preparations()[name])


def recipe(name: str, file: str) -> ModuleType:
    """train.py or evaluate.py of a recipe."""
    from seqaudio.cli.scripts import load, recipes

    return load(recipes(file)[name])


def prepare_words(config: Config) -> None:
    """Synthesise the words, unless their store exists."""
    store = config.out / "keywords-store"
    if not store.is_dir():
        module = script("synthetic_keywords")
        # clean clips of frames that can be mixed: training makes streams of them, with noise and rooms anew each epoch
        # test_draw: the voices of the first draw were read while the demo was built
        spoken = {"features": "spotting", "noisy_training": 0.0, "accents": ("all",), "test_draw": 2}
        module.main(module.Config(words=WORDS, out=store, workers=config.workers, seed=config.seed, **spoken))


@dataclass(frozen=True)
class Piece:
    """The composed chorale."""

    seed: int
    beats: float
    voices: int
    copied_beats: float  # length of the longest passage that is also in a training piece, in any key


@dataclass(frozen=True)
class Learned:
    """The results of a run, and the seconds that it took with its test."""

    results: dict[str, Any]
    seconds: float


@dataclass(frozen=True)
class Composed(Learned):
    """The same of a model of music, and the piece that it composed."""

    piece: Piece


def learn_words(config: Config) -> Learned:
    """Train on the words, and test."""
    from seqaudio.augmentation.options import AugmentationOptions

    start = time.monotonic()
    augmentation = AugmentationOptions(gain=0.0, noise=0.2, offset=0.3, tilt=10.0, time_masks=0)
    options = {"epochs": config.keyword_epochs, "augmentation": augmentation} | SHARES
    train(config, "keyword_recognition", "keywords", options)
    results = evaluate("keyword_recognition", config.out / "keywords-run")
    return Learned(results, time.monotonic() - start)


def learn_chorales(config: Config) -> Composed:
    """Read the chorales, train on them, test, and compose one."""
    start = time.monotonic()
    store = config.out / "chorales-store"
    if not store.is_dir():
        module = script("bach_chorales")
        module.main(module.Config(out=store, workers=config.workers))
    train(config, "music_generation", "chorales", {"epochs": config.chorale_epochs, "batch_size": 16})
    results = evaluate("music_generation", config.out / "chorales-run")
    piece = compose(config)
    return Composed(results, time.monotonic() - start, piece)


def train(config: Config, name: str, stem: str, options: dict[str, Any]) -> None:
    """Train by a recipe, or resume its training."""
    run = config.out / f"{stem}-run"
    if (run / "results.json").is_file():
        return
    module = recipe(name, "train.py")
    given = {"store": config.out / f"{stem}-store", "run": run, "seed": config.seed}
    given["resume"] = (run / "config.json").is_file()
    module.main(module.Config(**given, **options))


def evaluate(name: str, run: Path) -> dict[str, Any]:
    """Evaluate a run on the test split, once, and return its results."""
    from seqaudio.evaluation.results import read_results

    if read_results(run)["test"] is None:
        module = recipe(name, "evaluate.py")
        module.main(module.Config(run=run, split="test"))
    return read_results(run)


def compose(config: Config) -> Piece:
    """Write chorale.mid, .wav and .png: the first of ten seeds that gives at least 16 beats in several voices.

    Raises RunError if none does.
    """
    import numpy as np

    from seqaudio.api.composing import Composer
    from seqaudio.api.provenance import describe_model
    from seqaudio.cli import generate
    from seqaudio.decoding.trained_music import representation_of
    from seqaudio.evaluation.copying import longest_copy
    from seqaudio.midi.writing import write_midi
    from seqaudio.rendering.piano_roll import draw_piano_roll
    from seqaudio.rendering.sound import render, write_wav
    from seqaudio.run_folder import RunFolder
    from seqaudio.store import Store

    run = RunFolder(config.out / "chorales-run")
    representation = representation_of(run)
    training = [representation.decode(ids.tolist()) for ids in Store(config.out / "chorales-store")["train"]]
    file = config.out / "chorale.mid"
    options = generate.Config(run=run.path, out=file, seed=config.seed, count=10, temperature=0.9, max_events=2000)
    composer = Composer(run, options)
    for seed, _ in generate.pieces(options):
        (composed,) = composer.compose([seed])  # most often the first piece is good
        notes = composed.notes
        beats = notes.last_tick / notes.ticks_per_quarter
        voices = len(np.unique(notes.track))
        if beats >= BEATS and voices > 1:
            break
    else:
        raise RunError(f"{run.path}: no piece of {BEATS} beats in several voices from ten seeds; train longer")
    command = f"seqaudio generate {run.path} --out {file} --temperature 0.9 --max-events 2000 --seed {seed}"
    write_midi(notes, file, comments=[f"{describe_model(run)}; {command}"])
    write_wav(file.with_suffix(".wav"), render(notes))
    draw_piano_roll(notes, file.with_suffix(".png"), title="A chorale, composed by an LSTM")
    return Piece(seed, beats, voices, longest_copy(notes, training).beats)


def draw(config: Config) -> None:
    """Copy the pictures of the runs into the folder of the demo."""
    shutil.copy(config.out / "keywords-run" / "figures" / "confusion.png", config.out / "confusion.png")
    shutil.copy(config.out / "chorales-run" / "figures" / "curves.png", config.out / "curves.png")


def readme(words: dict[str, Any], music: dict[str, Any], piece: Piece) -> str:
    """The text of README.txt: what each file is, and what to try next."""
    from seqaudio.evaluation.results import with_order

    test = words["test"]
    right, clean, noisy = (f"{100 * test[name]:.1f} %" for name in ("accuracy", "accuracy_clean", "accuracy_noisy"))
    nats = music["test"]["nats_per_event"]
    rival = min(
        (scores["test"]["nats_per_event"], with_order(name, scores["test"]))
        for name, scores in music["baselines"].items()
        if "test" in scores
    )
    return f"""Results of the demo

confusion.png  the confusion matrix of the ten spoken words, for voices that are not in the training split:
               {right} of {test["count"]:,} clips are right, {clean} of the clean and {noisy} of the noisy ones
curves.png     the training curves of the music model; on new chorales it needs {nats:.3f} nats per event,
               {rival[1]}, which counts n-grams, {rival[0]:.3f}
chorale.mid    a chorale of {piece.beats:g} beats in {piece.voices} voices, seed {piece.seed}, for a DAW or editor;
               the longest passage that it shares with a training piece, in any key, is {piece.copied_beats:g} beats
chorale.wav    the same as sound
chorale.png    the same as a piano roll

What to try next, in this folder

seqaudio generate chorales-run --out another.mid --seed 2 --wav --png     another chorale
seqaudio prepare audio_folder --source FOLDER --out stores/mine           your own words: FOLDER/label/*.wav
seqaudio train keyword_recognition --store stores/mine --run runs/mine
seqaudio recognize runs/mine recording.wav
seqaudio prepare midi_folder --source FOLDER --out stores/tunes           your own music
seqaudio train music_generation --store stores/tunes --run runs/tunes
"""
