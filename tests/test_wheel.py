"""Without a clone: the wheel in an empty venv, from a folder of recordings to a word, from MIDI to a new piece."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from conftest import ROOT

# a PYTHONPATH would put the clone, or whatever else it names, before the wheel
ALONE = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


@pytest.fixture(scope="module")
def seqaudio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command of a wheel that was just built, in a venv of its own, far from the clone."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True, env=ALONE)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "venv", with_pip=False)
    home = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
    names = {"base": str(folder / "venv"), "platbase": str(folder / "venv")}
    packages = Path(sysconfig.get_path("purelib", "venv", vars=names))
    # the libraries of this venv, behind the wheel: installing torch again would take minutes and gigabytes
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    install = [sys.executable, "-m", "pip", "--python", str(home / "python"), "install", "--no-deps", "--quiet"]
    subprocess.run([*install, "--no-index", str(wheel)], check=True, capture_output=True, env=ALONE)
    return home / "seqaudio"


def run(command: Path, folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [str(command), *arguments], cwd=folder, capture_output=True, text=True, check=False, env=ALONE
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


SMALL = ("--hidden-size", "24", "--layers", "1", "--learning-rate", "1e-2", "--device", "cpu", "--quiet")


def test_from_recordings_to_a_word(seqaudio: Path, word_folder: Path, tmp_path: Path) -> None:
    run(
        seqaudio, tmp_path, "prepare", "audio_folder", "--source", str(word_folder), "--out", "words",
        "--sample-rate", "8000", "--valid-percent", "20", "--test-percent", "20",
    )  # fmt: skip
    run(
        seqaudio, tmp_path, "train", "keyword_recognition", "--store", "words", "--run", "run", "--epochs", "12", *SMALL
    )
    assert "test accuracy" in run(seqaudio, tmp_path, "evaluate", "run", "--split", "test")
    said = run(seqaudio, tmp_path, "recognize", "run", str(word_folder / "two" / "s1_2.wav"), "--csv")
    assert said.splitlines()[1].split(",")[1] == "two"


def test_from_midi_to_a_new_piece(seqaudio: Path, tune_folder: Path, tmp_path: Path) -> None:
    run(seqaudio, tmp_path, "prepare", "midi_folder", "--source", str(tune_folder), "--out", "tunes")
    run(seqaudio, tmp_path, "train", "music_generation", "--store", "tunes", "--run", "run", "--epochs", "5", *SMALL)
    run(seqaudio, tmp_path, "generate", "run", "--out", "x.mid", "--seed", "1", "--max-events", "200")
    assert "MIDI" in run(seqaudio, tmp_path, "info", "x.mid")


def test_the_wheel_does_not_lean_on_the_clone(seqaudio: Path, tmp_path: Path) -> None:
    code = "import seqaudio; print(seqaudio.__file__)"
    place = run(seqaudio.with_name("python"), tmp_path, "-c", code)
    assert str(ROOT) not in place
    assert "seqaudio" in run(seqaudio, tmp_path)


def test_packaged_models_answer_at_once(seqaudio: Path, word_folder: Path, tmp_path: Path) -> None:
    assert "the ten digits in English" in run(seqaudio, tmp_path, "models")
    said = run(seqaudio, tmp_path, "recognize", "digits", str(word_folder / "two" / "s1_2.wav"))
    assert said.startswith(f"{word_folder}") and len(said.split("\t")) >= 3
    run(seqaudio, tmp_path, "generate", "chorales", "--bars", "4", "--out", "x.mid", "--wav", "--png")
    assert {file.suffix for file in tmp_path.iterdir()} == {".mid", ".wav", ".png"}
