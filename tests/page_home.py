"""A folder in which the commands of the pages run: files by the names that the pages use, programs that take minutes
where the printed commands take hours.

`seqaudio` and `python` there are those of this environment with a small training in place of a long one; `arecord`,
and a microphone, are a recording.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile

from conftest import RATE, ROOT, spoken

TESTS = Path(__file__).parent
# the corpora by the names that pages give them
CORPORA = {
    "FSDD": "speech/fsdd",
    "SPEECH_COMMANDS": "speech/speech_commands",
    "AN4": "speech/an4",
    "YESNO": "speech/waves_yesno",
    "wake_benchmark": "speech/wake_benchmark",
    "wuw2": "speech/wuw2",
    "NOTTINGHAM": "music/nottingham/midi",
    "JSB": "music/jsb_chorales_json",
    "POLYPHONIC": "music/polyphonic",
    "ETTh1.csv": "series/ETTh1.csv",
    "monthly-sunspots.csv": "series/monthly-sunspots.csv",
    "monthly-airline-passengers.csv": "series/monthly-airline-passengers.csv",
}
TEXTS = {"tinyshakespeare.txt": "text/tinyshakespeare.txt", "war_and_peace.txt": "text/war_and_peace.txt"}


def furnish(home: Path, words: Path, tunes: Path, data: Path) -> None:
    """Fill the folder."""
    for name in ("recipes", "data_prep", "benchmarks"):
        (home / name).symlink_to(ROOT / name)
    for name, place in CORPORA.items():
        (home / name).symlink_to(data / place)
    for name, place in TEXTS.items():
        (home / name).write_text((data / place).read_text(encoding="utf-8")[:60_000], encoding="utf-8")
    for name in ("TUNES", "MUCH_MUSIC", "MY_FILES", "GENERATED", "FOLDER_OF_TUNES"):
        shutil.copytree(tunes, home / name)
    for name in ("WORDS", "FOLDER"):
        for word, label in {"one": "yes", "two": "no", "three": "stop"}.items():
            shutil.copytree(words / word, home / name / label)
    shutil.copytree(words / "one", home / "NOISES")
    (home / "MINUTES").mkdir()
    for number in range(4):
        hiss = 0.02 * np.random.default_rng(number).standard_normal(60 * RATE)
        soundfile.write(home / "MINUTES" / f"{number}.wav", hiss, RATE)
    for label in ("computer", "yes", "no"):
        shutil.copytree(words / "two", home / "clips" / label)
    for name in ("RECORDING.wav", "WORD.wav"):
        shutil.copy(words / "one" / "s0_0.wav", home / name)
    for name in ("HOUR.flac", "TALK.flac"):
        soundfile.write(home / name, np.concatenate([np.pad(spoken(word, 1, 0), RATE) for word in (0, 1, 2)]), RATE)
    for name, bars in (("TUNE.mid", 12), ("melody.mid", 4)):
        _write_melody(home / name, bars)
    (home / "BOOK.txt").write_text("It was the rain in Spain. The rain stays mainly in the plain.\n" * 400)
    (home / "transcripts.txt").write_text("yes no yes\nno yes no\nyes yes no no\n" * 20)
    files = sorted((home / "WORDS").rglob("*.wav"))
    said = {"yes": "ye s", "no": "no o", "stop": "st p"}  # short, as the clips are, and of several words
    rows = [f"{file.relative_to(home)},{said[file.parent.name]}" for file in files]
    (home / "SENTENCES.csv").write_text("\n".join(["path,text", *rows]))
    days = np.datetime64("2020-01-01") + np.arange(600)
    values = [f"{day},{np.sin(number / 12):.4f}" for number, day in enumerate(days)]
    for name in ("TABLE.csv", "SERIES.csv"):
        (home / name).write_text("\n".join(["date,value", *values]))
    _write_programs(home / "bin")


def _write_melody(path: Path, bars: int) -> None:
    from seqaudio.midi.writing import write_midi
    from seqaudio.notes import NoteSequence

    pitches = [67, 69, 71, 72, 74, 72, 71, 69, 67, 69, 71, 69, 67, 66, 67, 67] * (bars // 4)
    starts = [480 * place for place in range(4 * bars)]
    write_midi(NoteSequence.from_columns(starts, [start + 480 for start in starts], pitches, 80), path)


def _write_programs(folder: Path) -> None:
    folder.mkdir()
    programs = {
        "seqaudio": f'exec {sys.executable} {TESTS / "page_programs.py"} seqaudio "$@"',
        "python": f'exec {sys.executable} {TESTS / "page_programs.py"} python "$@"',
        "torchrun": f'exec {sys.executable} {TESTS / "page_programs.py"} torchrun "$@"',
        "arecord": "exec tail -c +45 RECORDING.wav",
    }
    for name, line in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{line}\n")
        (folder / name).chmod(0o755)


@contextmanager
def programs() -> Iterator[None]:
    """The server of page_programs.py, while commands run."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "socket"
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        server = subprocess.Popen(
            [sys.executable, str(TESTS / "page_programs.py"), "serve", str(place)], env=environment
        )
        try:
            while not place.exists():
                assert server.poll() is None, "the server of the programs ended"
                time.sleep(0.1)
            os.environ["PAGE_SERVER"] = str(place)
            yield
        finally:
            os.environ.pop("PAGE_SERVER", None)
            server.kill()
            server.wait()


def shell(text: str, home: Path, name: str = "", timeout: float = 1200) -> None:
    """Run commands as a shell would, in this folder. AssertionError where one fails, with what it wrote to stderr."""
    text = re.sub(r"\bSPLIT\b", "test", re.sub(r"\bSEED\b", "1", text))
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", text],
        cwd=home, capture_output=True, text=True, timeout=timeout, check=False,
        env=os.environ | {"PATH": f"{home / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, f"{name}\n{text}\n{done.stdout[-500:]}\n{done.stderr[-2000:]}"
