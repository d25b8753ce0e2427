"""What tests share: the corpora where they are, and sounds and tunes made by code where they are not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

# small tensors on two threads, beside another test process, wait more than they work; torch reads it at its import
os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parents[1]
RATE = 8000  # hertz, of the made-up recordings


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


@pytest.fixture(scope="session")
def word_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings by label: three made-up words, four speakers, six takes, in folders `one`, `two`, `three`."""
    folder = tmp_path_factory.mktemp("words")
    for word, label in enumerate(("one", "two", "three")):
        (folder / label).mkdir()
        for speaker in range(4):
            for take in range(6):
                soundfile.write(folder / label / f"s{speaker}_{take}.wav", spoken(word, speaker, take), RATE)
    return folder


@pytest.fixture(scope="session")
def tune_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty small tunes as MIDI: a melody that wanders over a scale, and its bass."""
    from seqaudio.midi.writing import write_midi
    from seqaudio.notes import NoteSequence

    folder = tmp_path_factory.mktemp("tunes")
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
    return folder


Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def command() -> Command:
    """Run a script of the project, or `seqaudio`, as a user would: command("data_prep/fsdd.py", "--out", ...)."""

    def run(*arguments: str | Path, folder: Path = ROOT, timeout: float = 280) -> subprocess.CompletedProcess[str]:
        first, *rest = map(str, arguments)
        program = ["-m", "seqaudio.cli.main"] if first == "seqaudio" else [str(ROOT / first)]
        return subprocess.run(
            [sys.executable, *program, *rest], cwd=folder, capture_output=True, text=True, timeout=timeout, check=False
        )

    return run


def assert_refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """Exit status 2 and one line on stderr that holds each of the words."""
    lines = done.stderr.strip().splitlines()
    assert done.returncode == 2, done.stderr
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    for word in words:
        assert word in lines[0]
