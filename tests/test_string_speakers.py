"""The study of digit strings with each speaker left out: stores, runs and table from one command, which goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import soundfile

from conftest import RATE, Command, spoken
from seqaudio.run_folder import RunFolder
from seqaudio.store import Store

SCRIPT = "recipes/speech_recognition/speakers.py"
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three made-up digits, twice by each of six speakers."""
    folder = tmp_path_factory.mktemp("fsdd")
    for digit in range(3):
        for number, name in enumerate(SPEAKERS):
            for take in range(2):
                soundfile.write(folder / f"{digit}_{name}_{take}.wav", spoken(digit, number, take), RATE)
    return folder


@pytest.fixture(scope="module")
def study(command: Command, corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a study of one speaker, and its last lines."""
    out = tmp_path_factory.mktemp("study")
    done = command(SCRIPT, "--source", corpus, "--out", out, "--speakers", "theo", "--epochs", "1")
    assert done.returncode == 0, done.stderr
    return out, done.stdout


def test_no_speakers_are_refused(command: Command, corpus: Path, tmp_path: Path) -> None:
    done = command(SCRIPT, "--source", corpus, "--out", tmp_path / "none", "--speakers")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "error: --speakers without a value, expected at least one; leave it out for the usual ones"
    ]
    assert not (tmp_path / "none").exists()


def test_a_voice_is_in_one_split_alone(study: tuple[Path, str]) -> None:
    for kind in ("strings", "digits"):
        store = Store(study[0] / f"{kind}_theo")
        assert set(store["test"].column("speaker")) == {"theo"}
        assert set(store["valid"].column("speaker")) == {"yweweler"}
        assert set(store["train"].column("speaker")) == {"george", "jackson", "lucas", "nicolas"}


def test_the_table_is_that_of_the_runs(study: tuple[Path, str]) -> None:
    out, told = study
    table = json.loads((out / "speakers.json").read_text(encoding="utf-8"))
    (row,) = table["speakers"].values()
    run = RunFolder(out / "theo_1")
    results = json.loads((run.path / "results.json").read_text(encoding="utf-8"))
    assert row["rate"] == table["mean"] == table["worst"] == results["test"]["wer"]
    assert row["units"] == 6
    assert row["rate"] == pytest.approx(sum(row[kind] for kind in ("substitutions", "deletions", "insertions")) / 6)
    assert row["streamed_otherwise"] == 0
    assert "theo" in told and "mean" in told.splitlines()[-1]
    assert run.config["model"]["arguments"]["centring"] == "loudness"


def test_the_same_command_goes_on_and_reads_no_test_again(
    command: Command, corpus: Path, study: tuple[Path, str]
) -> None:
    out, told = study
    weights = (out / "theo_1" / "model.safetensors").stat().st_mtime_ns
    done = command(SCRIPT, "--source", corpus, "--out", out, "--speakers", "theo", "--epochs", "1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-2:] == told.splitlines()[-2:]
    assert (out / "theo_1" / "model.safetensors").stat().st_mtime_ns == weights
    assert json.loads((out / "theo_1" / "results.json").read_text(encoding="utf-8"))["test_reads"] == 1


def test_a_speaker_who_does_not_exist_is_refused(command: Command, corpus: Path, tmp_path: Path) -> None:
    done = command(SCRIPT, "--source", corpus, "--out", tmp_path / "out", "--speakers", "ben")
    assert done.returncode == 2
    assert "yweweler" in done.stderr
    assert not (tmp_path / "out").exists()


def test_words_train_a_recogniser_of_words_alone(command: Command, study: tuple[Path, str], tmp_path: Path) -> None:
    stores = ("--store", study[0] / "strings_theo", "--words", study[0] / "digits_theo", "--run", tmp_path / "run")
    done = command("recipes/speech_recognition/train.py", *stores)
    assert done.returncode == 2
    assert "--units words" in done.stderr
    assert not (tmp_path / "run").exists()
