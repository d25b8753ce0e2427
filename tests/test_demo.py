"""The demo: where it may write, and, in the long tests, what it leaves."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from conftest import Command, assert_refused
from seqaudio.midi import read_midi


def test_the_demo_never_touches_a_folder_of_another_kind(command: Command, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("x")
    assert_refused(command("seqaudio", "demo", "--out", tmp_path), "not a demo")
    assert_refused(command("seqaudio", "demo", "--out", tmp_path, "--force"), "not a demo")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_demo_goes_on_only_with_the_same_options(command: Command, tmp_path: Path) -> None:
    mark = {"words": ["yes"], "keyword_epochs": 1, "chorale_epochs": 1, "seed": 1}
    (tmp_path / "demo.json").write_text(json.dumps(mark))
    assert_refused(command("seqaudio", "demo", "--out", tmp_path), "other options", "--force")


@pytest.fixture(scope="module")
def demo(process: Command, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole demo: minutes of training."""
    out = tmp_path_factory.mktemp("demo") / "demo"
    done = process("seqaudio", "demo", "--out", out, timeout=1700)
    assert done.returncode == 0, done.stderr
    return out


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_demo_leaves_what_it_promises(demo: Path) -> None:
    for name in ("confusion.png", "curves.png", "chorale.mid", "chorale.wav", "chorale.png", "README.txt"):
        assert (demo / name).stat().st_size > 100


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_words_are_recognised_in_voices_that_were_never_heard(demo: Path) -> None:
    test = json.loads((demo / "keywords-run" / "results.json").read_text())["test"]
    assert test["accuracy_clean"] >= 0.94
    assert test["accuracy_noisy"] >= 0.87


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_chorale_is_a_chorale(demo: Path) -> None:
    music = json.loads((demo / "chorales-run" / "results.json").read_text())
    assert music["test"]["nats_per_event"] < music["baselines"]["kneser-ney"]["test"]["nats_per_event"]
    notes = read_midi(demo / "chorale.mid")
    assert notes.end_tick.max() / notes.ticks_per_quarter >= 16
    assert len(np.unique(notes.track)) > 1
    samples, rate = soundfile.read(demo / "chorale.wav")
    assert 0.5 < np.abs(samples).max() < 1
    bar = int(4 * 60 / 80 * rate)
    loud = np.abs(samples[: int(notes.duration * rate)]).max(axis=1) > 1e-3
    gaps = np.diff(np.flatnonzero(np.concatenate([[True], loud, [True]])))
    assert gaps.max() < bar, "a silence longer than a bar"
