"""Fixtures of all tests: the corpora, sounds and tunes made by code, commands, and the stores and runs made by them."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, settings

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None  # type: ignore[assignment]

# small tensors on two threads, beside another test process, wait more than they work; torch reads it at its import
os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parents[1]
RATE = 8000  # hertz, of the made-up recordings

# what takes longest, so that no process is left with it at the end; kernels first, so that others find them compiled
FIRST = ("cells", "kernels", "layers", "processes", "wheel", "sweep", "own_process", "trainer")


# other programs may be busy: how long an example takes says nothing here
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

gc.disable()  # until all tests are imported: looking for garbage meanwhile takes a third of that time


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {f"test_{name}.py": place for place, name in enumerate(FIRST)}
    items.sort(key=lambda item: order.get(item.path.name, len(FIRST)))


def pytest_collection_finish() -> None:
    gc.freeze()  # what is there now stays there: nobody need look through it again
    gc.enable()


def two_words() -> np.ndarray:
    """`two` after a second of quiet, `one` after another, and a second more, [N] float32."""
    quiet = 1e-3 * np.random.default_rng(0).standard_normal((3, RATE)).astype(np.float32)
    return np.concatenate([quiet[0], spoken(1, 1, 2), quiet[1], spoken(0, 1, 2), quiet[2]])


@pytest.fixture(autouse=True, scope="session")
def _no_waiting_for_the_disk() -> Iterator[None]:
    """Power cuts are no part of the tests: what this process writes is not forced on the disk (test_files.py)."""
    before, os.fsync = os.fsync, os.fstat  # type: ignore[assignment]  # which fails alike where no file is open
    yield
    os.fsync = before


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real corpora; without it the test is skipped, unless SEQAUDIO_REQUIRE_DATA=1 forbids that."""
    folder = Path(os.environ.get("SEQAUDIO_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        message = "the corpora are not here; SEQAUDIO_DATA names their folder"
        if os.environ.get("SEQAUDIO_REQUIRE_DATA") == "1":
            pytest.fail(message)
        pytest.skip(message)
    return folder


@pytest.fixture
def control_c() -> Iterator[None]:
    """Ctrl-C interrupts, here and in processes started here; those of a background job inherit that it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def spoken(word: int, speaker: int, take: int) -> np.ndarray:
    """A made-up word: two gliding tones that tell the word, a pitch that tells the speaker, some noise."""
    draw = np.random.default_rng((word, speaker, take))
    duration = draw.uniform(0.25, 0.4)
    time = np.arange(int(duration * RATE)) / RATE
    glide = 400 + 300 * word + (200 - 150 * word) * time / duration
    tones = sum(np.sin(2 * np.pi * np.cumsum(glide * ratio) / RATE) for ratio in (1.0, 2.1 + 0.3 * word))
    voice = np.sin(2 * np.pi * (110 + 40 * speaker) * time)
    samples = 0.2 * tones + 0.1 * voice + 0.01 * draw.standard_normal(len(time))
    return samples.astype(np.float32)


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """The folder that `make` fills, made once for all processes of a test run; tests read it and never write there."""
    alone = "PYTEST_XDIST_WORKER" not in os.environ
    folder = (factory.getbasetemp() if alone else factory.getbasetemp().parent) / f"shared-{name}"
    with folder.with_suffix(".lock").open("w") as lock:
        if fcntl is None:  # no locks of this kind on Windows: each process makes its own
            folder = factory.mktemp(name)
        else:
            fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            shutil.rmtree(folder, ignore_errors=True)  # of a process that failed at it
            folder.mkdir()
            make(folder)
            (folder / "done").touch()
    return folder


@pytest.fixture(scope="session")
def word_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings by label: three made-up words, four speakers, six takes, in folders `one`, `two`, `three`."""

    def make(folder: Path) -> None:
        for word, label in enumerate(("one", "two", "three")):
            (folder / "words" / label).mkdir(parents=True)
            for speaker in range(4):
                for take in range(6):
                    file = folder / "words" / label / f"s{speaker}_{take}.wav"
                    soundfile.write(file, spoken(word, speaker, take), RATE)

    return made_once(tmp_path_factory, "words", make) / "words"


@pytest.fixture(scope="session")
def tune_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty small tunes as MIDI: a melody that wanders over a scale, and its bass."""
    return made_once(tmp_path_factory, "tunes", lambda folder: write_tunes(folder / "tunes")) / "tunes"


def write_tunes(folder: Path) -> None:
    from seqaudio.midi.writing import write_midi
    from seqaudio.notes import NoteSequence

    folder.mkdir()
    scale = (0, 2, 4, 5, 7, 9, 11)
    for tune in range(30):
        draw = np.random.default_rng(tune)
        degrees = np.cumsum(draw.choice([-1, 1, 2, -2], size=16)) % 14
        melody = [60 + 12 * (degree // 7) + scale[degree % 7] for degree in degrees]
        bass = [36 + scale[degree % 7] for degree in degrees[::4]]
        starts = [240 * step for step in range(16)] + [960 * bar for bar in range(4)]
        ends = [240 * step + 240 for step in range(16)] + [960 * bar + 960 for bar in range(4)]
        tracks = [0] * 16 + [1] * 4
        notes = NoteSequence.from_columns(starts, ends, melody + bass, 80, track=tracks)
        write_midi(notes, folder / f"tune{tune:02d}.mid")


Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def command() -> Command:
    """Run a script of the project, or `seqaudio`: command("data_prep/fsdd.py", "--out", ...), in this process.

    A process of its own, as `process` starts, takes two seconds more for its imports.
    """
    from in_process import run_in_process

    def run(first: str | Path, *arguments: str | Path, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
        return run_in_process(None if first == "seqaudio" else ROOT / first, list(map(str, arguments)), folder)

    return run


@pytest.fixture(scope="session")
def process() -> Command:
    """The same in a process of its own, as a user would."""

    def run(*arguments: str | Path, folder: Path = ROOT, timeout: float = 280) -> subprocess.CompletedProcess[str]:
        first, *rest = map(str, arguments)
        program = ["-m", "seqaudio.cli.main"] if first == "seqaudio" else [str(ROOT / first)]
        return subprocess.run(
            [sys.executable, *program, *rest], cwd=folder, capture_output=True, text=True, timeout=timeout, check=False
        )

    return run


SMALL = ("--hidden-size", "24", "--layers", "1", "--learning-rate", "1e-2", "--device", "cpu")


@pytest.fixture(scope="session")
def word_store(command: Command, word_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The features of `word_folder`, a fifth for validation and a fifth for the test."""

    def make(folder: Path) -> None:
        done = command(
            "data_prep/audio_folder.py", "--source", word_folder, "--out", folder / "words", "--sample-rate", "8000",
            "--valid-percent", "20", "--test-percent", "20",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    return made_once(tmp_path_factory, "word-store", make) / "words"


@pytest.fixture(scope="session")
def word_run(command: Command, word_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A keyword recogniser of `word_store`."""

    def make(folder: Path) -> None:
        options = ("--store", word_store, "--run", folder / "run", "--epochs", "12")
        done = command("recipes/keyword_recognition/train.py", *options, *SMALL)
        assert done.returncode == 0, done.stderr

    return made_once(tmp_path_factory, "word-run", make) / "run"


@pytest.fixture(scope="session")
def spotting_run(command: Command, word_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A spotter of the words in `word_folder`, trained on made-up streams."""

    def make(folder: Path) -> None:
        percent = ("--valid-percent", "20", "--test-percent", "20")
        options = ("--source", word_folder, "--out", folder / "words", "--sample-rate", "8000")
        done = command("data_prep/audio_folder.py", *options, "--features", "spotting", *percent)
        assert done.returncode == 0, done.stderr
        # small batches and averaged weights: 60 of 60 rows of words right with three seeds, so that a processor's
        # rounding decides nothing
        options = ("--store", folder / "words", "--run", folder / "run", "--epochs", "90", "--batch-size", "16")
        done = command("recipes/keyword_recognition/train.py", *options, "--average", "0.97", "--dropout", "0", *SMALL)
        assert done.returncode == 0, done.stderr

    return made_once(tmp_path_factory, "spotting-run", make) / "run"


@pytest.fixture(scope="session")
def tune_store(command: Command, tune_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tokens of `tune_folder`."""

    def make(folder: Path) -> None:
        done = command("data_prep/midi_folder.py", "--source", tune_folder, "--out", folder / "tunes")
        assert done.returncode == 0, done.stderr

    return made_once(tmp_path_factory, "tune-store", make) / "tunes"


@pytest.fixture(scope="session")
def tune_run(command: Command, tune_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the tunes in `tune_store`."""

    def make(folder: Path) -> None:
        options = ("--store", tune_store, "--run", folder / "run", "--epochs", "25", "--batch-size", "4")
        done = command("recipes/music_generation/train.py", *options, "--advance", "32", *SMALL)
        assert done.returncode == 0, done.stderr

    return made_once(tmp_path_factory, "tune-run", make) / "run"


def assert_refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """Exit status 2 and one line on stderr that holds each of the words."""
    lines = done.stderr.strip().splitlines()
    assert done.returncode == 2, done.stderr
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    for word in words:
        assert word in lines[0]
