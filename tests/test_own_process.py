"""Every command as a process of its own, once with good input and once with bad; other tests run commands in theirs.

What is good for prepare, train, evaluate, recognize, generate and info runs in test_wheel.py, a sweep in test_sweep.py,
listen in test_listen.py, alarms in test_alarms.py, wake in test_wake.py, score in test_surprise.py, fill in
test_fill.py, transcribe in test_speech_recognition.py, export in test_export.py, wyoming in test_wyoming.py, serve in
test_serve.py, the demo among the long checks.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from conftest import RATE, Command, assert_refused, spoken
from seqaudio.cli.main import COMMANDS, SCRIPTS

ELSEWHERE = {
    "prepare", "train", "evaluate", "recognize", "listen", "generate", "forecast", "info", "sweep", "demo", "alarms",
    "wake", "score", "harmonize", "fill", "transcribe", "export", "wyoming", "serve",
}  # fmt: skip
GOOD = {
    "record": ("{take} --labels one --count 1 --out {new}", "prepare audio_folder --source {new}"),
    "render": ("{tune} --png {new}.png", "piano roll"),
    "show": ("{word} --png {new}.png", ".png"),
    "check": ("{words}", "can be trained on, with care"),
    "compare": ("{word_run}", "accuracy"),
    "judge": ("{tunes} --beside {tunes}", "30 pieces are judged beside 30"),
    "probe": ("{word_run} {words}", "KeywordModel: "),
    "ngram": ("{text} --words --out {new}.arpa", "{new}.arpa: order 5 over words, 15 n-grams of 2 words"),
    "models": ("digits", "license: "),
    "doctor": ("", "wrote a note and read it back"),
    "completion": ("bash", "complete -o filenames -F _seqaudio seqaudio"),
}
BAD = {
    "prepare": ("fsd", "did you mean fsdd"),
    "train": ("music_generatoin", "did you mean music_generation"),
    "evaluate": ("{new}", "not a run"),
    "recognize": ("{word_run} {tune}", "tune00.mid"),
    "transcribe": ("{word_run} {word}", "writing text needs one of 'speech_recognition'"),
    "listen": ("{word_run} {word}", "was trained on whole clips"),
    "wyoming": ("{word_run}", "was trained on whole clips"),
    "serve": ("{tunes}", "not a run"),
    "wake": ("hey --language xx --out {new}", "xx"),
    "record": ("{tune} --labels one --out {new}", "tune00.mid"),
    "generate": ("{word_run} --out {new}.mid", "keyword_recognition"),
    "harmonize": ("{word_run} {tune} --out {new}.mid", "keyword_recognition"),
    "fill": ("{word_run} {tune} --bars 2 --out {new}.mid", "keyword_recognition"),
    "judge": ("{tunes} --beside {new} --out {new}", "no such folder"),
    "score": ("{word_run} {tune} --out {new}", "keyword_recognition"),
    "forecast": ("{word_run} --steps 3", "keyword_recognition"),
    "render": ("{new}.mid --png {new}.png", "no such file"),
    "show": ("{tune} --png {new}.png", "tune00.mid"),
    "info": ("{new}", "no such file or folder"),
    "models": ("digit", "did you mean digits"),
    "check": ("{new}", "no such folder"),
    "sweep": ("memory_task", "did you mean memory_tasks"),
    "compare": ("{new}", "{new}"),
    "alarms": ("{new} --positives {word} --background {word} --out {new}", "no such folder"),
    "probe": ("{word_run} {new}", "no such folder"),
    "ngram": ("{words} --out {new}.arpa", "has no texts in the train split"),
    "demo": ("--out {tunes}", "not a demo"),
    "export": ("{word_run} --out {new}.pb", "expected a name that ends in .onnx"),
}
BAD_OPTIONS = {"doctor": "--repair", "completion": "csh"}  # all that these can be given


@pytest.fixture
def places(word_store: Path, word_run: Path, tune_folder: Path, tmp_path: Path) -> dict[str, Path]:
    soundfile.write(tmp_path / "word.wav", spoken(0, 0, 0), RATE)
    soundfile.write(tmp_path / "take.wav", np.pad(spoken(0, 0, 0), RATE), RATE)
    (tmp_path / "text.txt").write_text("yes no yes\n" * 20)
    return {
        "words": word_store,
        "word_run": word_run,
        "tunes": tune_folder,
        "tune": tune_folder / "tune00.mid",
        "word": tmp_path / "word.wav",
        "take": tmp_path / "take.wav",
        "text": tmp_path / "text.txt",
        "new": tmp_path / "new",
    }


def test_no_command_is_left_out() -> None:
    assert set(BAD) | set(BAD_OPTIONS) == set(SCRIPTS | COMMANDS)
    assert set(GOOD) | ELSEWHERE == set(SCRIPTS | COMMANDS)


@pytest.mark.parametrize("name", list(GOOD))
def test_good_input_is_exit_status_0(process: Command, places: dict[str, Path], name: str) -> None:
    arguments, words = GOOD[name]
    done = process("seqaudio", name, *arguments.format(**places).split())
    assert (done.returncode, done.stderr) == (0, "")
    assert words.format(**places) in done.stdout


@pytest.mark.parametrize("name", list(BAD))
def test_bad_input_is_one_line_and_exit_status_2(process: Command, places: dict[str, Path], name: str) -> None:
    arguments, words = BAD[name]
    before = sorted(places["new"].parent.iterdir())
    assert_refused(process("seqaudio", name, *arguments.format(**places).split()), words.format(**places))
    assert sorted(places["new"].parent.iterdir()) == before, "something was left behind"


@pytest.mark.parametrize("name", list(BAD_OPTIONS))
def test_a_bad_option_is_named_and_exit_status_2(process: Command, name: str) -> None:
    done = process("seqaudio", name, BAD_OPTIONS[name])
    assert (done.returncode, done.stdout) == (2, "")
    assert BAD_OPTIONS[name] in done.stderr
    assert "Traceback" not in done.stderr
