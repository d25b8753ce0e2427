"""`seqaudio listen`: hits as they come from files, stdin and a pipe that stays open; the sound around them; Ctrl-C."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from conftest import RATE, ROOT, Command, assert_refused, two_words
from seqaudio.audio import read_audio
from seqaudio.audio.recording import to_int16
from seqaudio.decoding.excerpts import Excerpts
from seqaudio.decoding.spotting import Hit


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    return two_words()


@pytest.fixture(scope="module")
def file(sound: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("sound") / "a.wav"
    soundfile.write(file, sound, RATE)
    return file


def on_stdin(monkeypatch: pytest.MonkeyPatch, samples: np.ndarray) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(to_int16(samples).tobytes())))


def test_each_hit_is_a_line_of_times_keyword_and_confidence(command: Command, spotting_run: Path, file: Path) -> None:
    done = command("seqaudio", "listen", spotting_run, file)
    assert done.returncode == 0, done.stderr
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert [line[2] for line in lines] == ["two", "one"]
    for line, place in zip(lines, (1.0, 2.35), strict=True):
        assert float(line[0]) == pytest.approx(place, abs=0.25)
        assert float(line[0]) < float(line[1])
        assert 0.5 <= float(line[3]) <= 1
    first, last = done.stderr.splitlines()
    assert first == f"listening to {file} for one, three, two"
    assert last == "after 3.7 s: 2 hits (two 1, one 1)"


def test_pcm_on_stdin_gives_the_hits_of_the_file(
    command: Command, spotting_run: Path, file: Path, sound: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = command("seqaudio", "listen", spotting_run, file, "--json").stdout
    on_stdin(monkeypatch, read_audio(file).samples)
    done = command("seqaudio", "listen", spotting_run, "-", "--rate", str(RATE), "--width", "16", "--json")
    assert (done.returncode, done.stdout) == (0, expected), done.stderr
    hits = [json.loads(line) for line in expected.splitlines()]
    assert [list(hit) for hit in hits] == [["keyword", "start", "end", "confidence"]] * 2
    on_stdin(monkeypatch, np.repeat(sound, 2))
    done = command("seqaudio", "listen", spotting_run, "-", "--rate", str(2 * RATE))
    assert [line.split("\t")[2] for line in done.stdout.splitlines()] == ["two", "one"], "resampled"


def test_the_sound_around_each_hit_is_kept_and_numbered_on(
    command: Command, spotting_run: Path, file: Path, sound: np.ndarray, tmp_path: Path
) -> None:
    for first in (1, 3):
        done = command("seqaudio", "listen", spotting_run, file, "--save", tmp_path / "hits", "--json")
        hits = [json.loads(line) for line in done.stdout.splitlines()]
        names = [f"hit{first:04d}_two.wav", f"hit{first + 1:04d}_one.wav"]
        assert [hit["file"] for hit in hits] == [str(tmp_path / "hits" / name) for name in names]
    assert len(list((tmp_path / "hits").iterdir())) == 4
    for hit in hits:
        kept = read_audio(Path(hit["file"]))
        about = round((hit["start"] - 0.5) * RATE)  # told to a millisecond
        assert kept.seconds == pytest.approx(hit["end"] - hit["start"] + 1, abs=0.01)
        cuts = (sound[place : place + len(kept.samples)] for place in range(about - 5, about + 6))
        assert any(np.allclose(kept.samples, cut, atol=1e-3) for cut in cuts)
    (tmp_path / "taken").touch()
    assert_refused(
        command("seqaudio", "listen", spotting_run, file, "--save", tmp_path / "taken"), "--save", "is a file"
    )


def test_excerpts_hold_the_last_seconds_alone(tmp_path: Path) -> None:
    rate, samples = 1000, np.random.default_rng(0).uniform(-0.9, 0.9, 60_000).astype(np.float32)
    excerpts, files = Excerpts(tmp_path / "hits", rate, longest=0.5), {}
    for place in range(0, len(samples), 80):
        excerpts.push(samples[place : place + 80])
        assert len(excerpts._samples) <= 4.2 * rate
        if place % 8000 == 0:
            end = place / rate
            files[excerpts.add(Hit("a/b c", max(0.0, end - 0.4), end, 0.9, end))] = place
    excerpts.finish()
    for file, place in files.items():
        assert file.name.endswith("_a_b_c.wav")
        expected = samples[max(0, place - 900) : place + 500]
        np.testing.assert_allclose(read_audio(file).samples, expected, atol=1e-4)


def test_thresholds_are_given_by_word_or_for_all(command: Command, spotting_run: Path, file: Path) -> None:
    def words(*options: str) -> list[str]:
        done = command("seqaudio", "listen", spotting_run, file, "--threshold", *options)
        assert done.returncode == 0, done.stderr
        return [line.split("\t")[2] for line in done.stdout.splitlines()]

    assert words("two=1") == ["one"]
    assert words("1") == []
    assert words("1", "two=0.5") == ["two"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("two=2", ("--threshold two=2", "from 0 to 1")),
        ("two", ("--threshold two", "one=0.6")),
        ("two=", ("--threshold two=",)),
        ("two=nan", ("--threshold two=nan",)),
        ("four=0.5", ("'four'", "one, three, two")),
    ],
)
def test_other_thresholds_are_refused(
    command: Command, spotting_run: Path, file: Path, given: str, words: tuple[str, ...]
) -> None:
    done = command("seqaudio", "listen", spotting_run, file, "--threshold", given)
    assert_refused(done, *words)


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C cannot be sent there")
def test_a_hit_is_printed_while_the_pipe_is_open_and_ctrl_c_sums_up(
    spotting_run: Path, sound: np.ndarray, control_c: None
) -> None:
    words = [sys.executable, "-m", "seqaudio.cli.main", "listen", str(spotting_run), "-", "--rate", str(RATE)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(words, cwd=ROOT, **pipes) as listening:
        assert listening.stdin and listening.stdout and listening.stderr
        listening.stdin.write(to_int16(sound[: -RATE // 2]).tobytes())
        listening.stdin.flush()
        assert [listening.stdout.readline().split(b"\t")[2] for _ in range(2)] == [b"two", b"one"]
        listening.send_signal(signal.SIGINT)
        told = listening.stderr.read().decode()
        assert listening.wait(60) == 130
    assert re.fullmatch(r"interrupted after [23]\.\d s: 2 hits \(two 1, one 1\)", told.splitlines()[-1])


def test_without_a_source_it_listens_to_a_microphone(
    command: Command, spotting_run: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    for words in ((), ("--microphone", "2")):
        done = command("seqaudio", "listen", spotting_run, *words)
        assert_refused(done, "a microphone needs the package sounddevice", "| seqaudio listen ... -")
    done = command("seqaudio", "listen", spotting_run, file, "--microphone")
    assert_refused(done, "--microphone and the source", "exclude each other")


def test_a_file_that_is_no_sound_is_refused_in_one_line(command: Command, spotting_run: Path, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF no more")
    assert_refused(command("seqaudio", "listen", spotting_run, tmp_path / "a.wav", "--quiet"), "a.wav")
    assert_refused(command("seqaudio", "listen", spotting_run, tmp_path / "none.wav"), "none.wav: missing")
