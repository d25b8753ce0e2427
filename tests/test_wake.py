"""`seqaudio wake`: a detector from nothing, its parts, what is refused before anything is spoken, and going on."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import Command, assert_refused
from seqaudio.cli import wake
from seqaudio.decoding.spotting import spotting_of
from seqaudio.errors import OptionError
from seqaudio.evaluation.alarms.material import clips_of, split_background
from seqaudio.rendering.sound import write_wav
from seqaudio.run_folder import RunFolder
from seqaudio.store import Store
from seqaudio.synthesis.speakers import spoken_word

RATE = 16000
WORD = "hey computer"
TINY = ("--random-voices", "4", "--minutes", "0.02", "--preset", "tiny", "--workers", "1")


@pytest.fixture
def few_voices(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dozen voices of espeak-ng in place of fifty, once each, and two minutes of speech to judge on."""
    options = wake.spoken_options
    changes = {"voices": 14, "takes": 1, "unknown": 1}
    monkeypatch.setattr(wake, "spoken_options", lambda config: replace(options(config), **changes))
    monkeypatch.setattr(wake, "UNHEARD", 120.0)


@pytest.fixture
def takes(tmp_path: Path) -> Path:
    """Takes of a word as `seqaudio record` writes them: four sessions of two."""
    for session in range(1, 5):
        for take in range(1, 3):
            file = tmp_path / "takes" / WORD / f"session{session:02d}_take{take:02d}.wav"
            file.parent.mkdir(parents=True, exist_ok=True)
            word = spoken_word(WORD, "f2+en-us", RATE, 140 + 10 * session, 40 + 5 * take)
            write_wav(file, np.pad(word, RATE // 10), RATE)
    return tmp_path / "takes"


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """Four files of noise."""
    (tmp_path / "sound").mkdir()
    for number in range(4):
        noise = 0.02 * np.random.default_rng(number).standard_normal(4 * RATE)
        write_wav(tmp_path / "sound" / f"noise{number}.wav", noise.astype(np.float32), RATE)
    return tmp_path / "sound"


def files_below(folder: Path) -> dict[str, int]:
    return {str(file.relative_to(folder)): file.stat().st_mtime_ns for file in folder.rglob("*") if file.is_file()}


def test_from_nothing_to_a_detector_and_a_second_call_keeps_it(
    command: Command, few_voices: None, tmp_path: Path
) -> None:
    options = (WORD, "--out", tmp_path / "hey", *TINY)
    done = command("seqaudio", "wake", *options)
    assert done.returncode == 0, done.stderr
    assert f"next: seqaudio listen {tmp_path / 'hey'} --microphone" in done.stdout
    assert "made-up speech of synthetic voices" in done.stderr
    assert list(spotting_of(RunFolder(tmp_path / "hey")).thresholds) == [WORD]
    card = json.loads((tmp_path / "hey-card" / "hey_computer" / "card.json").read_text(encoding="utf-8"))
    store = Store(tmp_path / "hey-store")
    trained = {name.split("+")[0] for name in store["train"].column("speaker")}
    tested = {name.split("+")[0] for name in store["test"].column("speaker")}
    assert tested and not trained & tested
    assert card["material"]["words"]["clips"] == len(tested)
    assert card["material"]["near_misses"]["clips"] == len(tested)
    assert card["material"]["also"]["clips"] == 0
    assert card["detectors"][0]["judged"][0]["origin"] == "chosen"

    before = files_below(tmp_path)
    again = command("seqaudio", "wake", *options)
    assert again.returncode == 0, again.stderr
    assert "card.md: kept" in again.stdout
    assert files_below(tmp_path) == before
    other = command("seqaudio", "wake", *options, "--per-hour", "2", "--language", "en-us")
    assert_refused(other, "was made with other values of --language, --per-hour")
    assert files_below(tmp_path) == before


def test_own_takes_and_background_train_and_judge_apart(
    command: Command, few_voices: None, takes: Path, sound: Path, tmp_path: Path
) -> None:
    options = (WORD, "--real", takes, "--background", sound, "--negatives", sound / "noise0.wav", *TINY)
    done = command("seqaudio", "wake", *options, "--out", tmp_path / "own")
    assert done.returncode == 0, done.stderr
    card = json.loads((tmp_path / "own-card" / "hey_computer" / "card.json").read_text(encoding="utf-8"))
    config = json.loads((tmp_path / "own" / "config.json").read_text(encoding="utf-8"))["settings"]
    (trained,) = config["speech_folder"]
    background = card["material"]["background"]
    assert (background["choosing"]["files"], background["judged"]["files"]) == (1, 2)
    assert Path(trained) in split_background(sorted(sound.iterdir()), 0.33, 1)[0], "that on which alarms chooses"
    assert config["more_stores"] == [str(tmp_path / "own-real-store")]

    real = Store(tmp_path / "own-real-store")
    sessions = {split: {Path(name).name[:9] for name in real[split].ids} for split in ("train", "test")}
    assert (len(sessions["train"]), len(sessions["test"])) == (3, 1)
    judged = clips_of(tmp_path / "own-card" / "real_hey_computer.csv", {})
    assert {clip.file.name[:9] for clip in judged} == sessions["test"]
    assert card["material"]["also"]["clips"] == len(judged) == 2
    assert [missed["snr"] for missed in card["detectors"][0]["judged"][0]["also"]] == card["material"]["snr"]
    assert f"2 real clips of {WORD!r} are not trained on" in done.stderr
    assert "2 other clips of the word, judged apart" in done.stdout


@pytest.mark.parametrize("part", ["prepare", "train", "speak_unheard"])
def test_what_is_done_is_kept_when_it_is_interrupted(
    part: str, command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    called: list[str] = []

    def does(name: str, stops: bool) -> Callable[..., None]:
        def does_it(*arguments: Any) -> None:
            called.append(name)
            if stops:
                raise KeyboardInterrupt

        return does_it

    for name in ("prepare", "train", "judge"):
        monkeypatch.setattr(wake, name, does(name, name == part or (name, part) == ("judge", "speak_unheard")))
    done = command("seqaudio", "wake", WORD, "--out", tmp_path / "hey")
    assert done.returncode == 130
    assert done.stderr.splitlines()[-1].endswith("what is done is kept; give the same command to go on")
    assert not (tmp_path / "hey.lock").exists()
    for name in ("prepare", "train", "judge"):
        monkeypatch.setattr(wake, name, does(name, stops=False))
    called.clear()
    assert command("seqaudio", "wake", WORD, "--out", tmp_path / "hey", "--workers", "1").returncode == 0
    assert called == ["prepare", "train", "judge"]


def test_speech_that_was_cut_short_is_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from seqaudio.synthesis import unheard

    spoken_in = {"en-us": {"yes": ["j", "E", "s"]}}
    monkeypatch.setattr(unheard, "PIECE", 2.0)
    written = unheard.write_wav

    def stop(file: Path, samples: np.ndarray, rate: int) -> None:
        if file.stem == "001":
            raise KeyboardInterrupt
        written(file, samples, rate)

    monkeypatch.setattr(unheard, "write_wav", stop)
    with pytest.raises(KeyboardInterrupt):
        unheard.write_speech(tmp_path / "speech", spoken_in, ["f3"], 6.0, RATE, 1)
    assert not (tmp_path / "speech").exists()
    monkeypatch.setattr(unheard, "write_wav", written)
    assert unheard.write_speech(tmp_path / "speech", spoken_in, ["f3"], 6.0, RATE, 1) == 3
    assert [path.name for path in sorted(tmp_path.rglob("*.wav"))] == ["000.wav", "001.wav", "002.wav"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((WORD, "--language", "xx"), ("xx",)),
        (("yes", "yes"), ("'yes' is given twice",)),
        (("and/or",), ("'and/or' cannot be the name of a folder",)),
        ((WORD, "--background", "{sound}/noise0.wav"), ("has 1 file", "cannot be split", "at least 3")),
        ((WORD, "--background", "{sound}/none.wav"), ("none.wav: no such file or folder",)),
        ((WORD, "--real", "{sound}"), ("none of its folders is called 'hey computer'",)),
        ((WORD, "--negatives", "{sound}/none"), ("no such file or folder",)),
        ((WORD, "--noise-folder", "{empty}"), ("has no recordings",)),
        ((WORD, "--speak", "no-such-program {{text}} {{wav}}"), ("no command 'no-such-program'",)),
        ((WORD, "--beside", "pocketsphynx"), ("did you mean pocketsphinx",)),
        ((WORD, "--per-hour", "-1"), ("--per-hour",)),
    ],
)
def test_what_would_fail_later_is_refused_before_anything_is_made(
    options: tuple[str, ...], words: tuple[str, ...], command: Command, sound: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    places = {"sound": sound, "empty": tmp_path / "empty"}
    before = files_below(tmp_path)
    given = [option.format(**places) for option in options]
    done = command("seqaudio", "wake", *given, "--out", tmp_path / "new" / "hey")
    if "--per-hour" in options:
        assert done.returncode == 2
        assert "--per-hour" in done.stderr
    else:
        assert_refused(done, *words)
    assert files_below(tmp_path) == before
    assert not (tmp_path / "new").exists()


def test_folders_of_anything_else_stay(command: Command, sound: Path, tmp_path: Path) -> None:
    for name in ("sound", "other-store"):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "mine.txt").touch()
        done = command("seqaudio", "wake", WORD, "--out", tmp_path / name.removesuffix("-store"))
        assert_refused(done, f"{tmp_path / name} exists and was not made by seqaudio wake")
    with pytest.raises(OptionError, match="has no name"):
        wake.main(wake.Config((WORD,), Path("..")))


def test_a_bad_language_is_one_line_in_a_process_of_its_own(process: Command, tmp_path: Path) -> None:
    assert_refused(process("seqaudio", "wake", "hey", "--language", "xx", "--out", tmp_path / "hey"), "xx")
