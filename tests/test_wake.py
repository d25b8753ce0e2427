"""`seqaudio wake`: a detector from nothing, its parts, what is refused before anything is spoken, and going on."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tyro

from conftest import ROOT, Command, assert_refused
from seqaudio.cli import wake
from seqaudio.decoding.spotting import spotting_of
from seqaudio.errors import OptionError
from seqaudio.evaluation.alarms.material import clips_of
from seqaudio.rendering.sound import write_wav
from seqaudio.run_folder import RunFolder
from seqaudio.store import Store
from seqaudio.synthesis import unheard
from seqaudio.synthesis.speakers import parse_commands, spoken_word

RATE = 16000
WORD = "hey computer"
PAGE = (ROOT / "docs" / "own_wake_word.md").read_text(encoding="utf-8")
TINY = ("--random-voices", "4", "--minutes", "0.02", "--preset", "tiny", "--workers", "1")


def page(first: str) -> list[str]:
    """The arguments of the page's one command that begins with these words."""
    blocks = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith(f"seqaudio {first}")]
    assert len(lines) == 1, first
    return shlex.split(lines[0])[1:]


@pytest.fixture(scope="module")
def home(command: Command, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which the commands of docs/own_wake_word.md were run, with files in place of a microphone.

    A dozen voices of espeak-ng speak in place of fifty, once each, and 20 seconds of speech judge the first round.
    """
    folder = tmp_path_factory.mktemp("wake")
    draw = np.random.default_rng(1)
    for session in range(1, 5):
        words = [spoken_word(WORD, "f2+en-us", RATE, 130 + 10 * session, 40 + take) for take in range(10)]
        sound = np.concatenate([np.pad(word, (RATE, RATE // 10)) for word in words] + [np.zeros(RATE)])
        write_wav(folder / f"session{session}.wav", sound + 1e-3 * draw.standard_normal(len(sound)), RATE)
    write_wav(folder / "room.wav", 0.02 * draw.standard_normal(181 * RATE), RATE)

    def run(first: str, *more: str, **replaced: str) -> None:
        arguments = [replaced.get(argument.strip("-"), argument) for argument in page(first)]
        done = command("seqaudio", *arguments, *more, folder=folder)
        assert done.returncode == 0, done.stderr
        with (folder / "told.txt").open("a", encoding="utf-8") as told:
            told.write(done.stdout + done.stderr)

    options = wake.spoken_options
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wake, "spoken_options", lambda config: replace(options(config), voices=14, takes=1, unknown=1))
        patch.setattr(wake, "UNHEARD", 20.0)
        patch.setattr(unheard, "PIECE", 5.0)
        run('wake "hey computer" --out', *TINY)
        run("listen runs/first", microphone="session1.wav")
        for session in range(1, 5):
            run("record --labels", f"session{session}.wav")
        run("record --background", "room.wav", **{"1800": "180"})
        run("alarms", "--snr", "clean")
        run('wake "hey computer" --real', *TINY)
        run("listen runs/second", microphone="session2.wav")
        yield folder


def card_of(folder: Path, name: str) -> dict[str, Any]:
    card: dict[str, Any] = json.loads((folder / "runs" / name / "hey_computer" / "card.json").read_text("utf-8"))
    return card


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


def test_the_first_round_of_the_page_makes_a_detector_from_nothing(home: Path) -> None:
    card, told = card_of(home, "first-card"), (home / "told.txt").read_text(encoding="utf-8")
    assert "next: seqaudio listen runs/first --microphone" in told
    assert "made-up speech of synthetic voices" in told
    assert list(spotting_of(RunFolder(home / "runs" / "first")).thresholds) == [WORD]
    store = Store(home / "runs" / "first-store")
    trained, tested = (set(store[split].column("speaker")) for split in ("train", "test"))
    assert tested
    assert not trained & tested
    assert card["material"]["words"]["clips"] == card["material"]["near_misses"]["clips"] == len(tested)
    assert card["material"]["also"]["clips"] == 0
    assert [judged["origin"] for judged in card["detectors"][0]["judged"]] == ["chosen"]


def test_a_second_call_keeps_everything_and_refuses_other_options(command: Command, home: Path) -> None:
    before = files_below(home)
    again = command("seqaudio", *page('wake "hey computer" --out'), *TINY, "--workers", "2", folder=home)
    assert again.returncode == 0, again.stderr
    assert "card.md: kept" in again.stdout
    assert files_below(home) == before
    other = ("--per-hour", "2", "--language", "en-us")
    done = command("seqaudio", *page('wake "hey computer" --out'), *TINY, *other, folder=home)
    assert_refused(done, "was made with other values of --language, --per-hour", "choose another --out")
    assert files_below(home) == before


def test_the_second_round_of_the_page_judges_what_it_did_not_train_on(home: Path) -> None:
    card = card_of(home, "second-card")
    settings = json.loads((home / "runs" / "second" / "config.json").read_text(encoding="utf-8"))["settings"]
    background = card["material"]["background"]
    assert (background["choosing"]["files"], background["judged"]["files"]) == (1, 1)
    (trained,) = settings["speech_folder"]
    (mistake, *_) = sorted((home / "mistakes" / "choosing").iterdir())
    assert Path(trained).stem in mistake.name, "the mistakes are cut out of what is trained on"
    assert settings["more_stores"] == ["runs/second-real-store"]
    assert settings["negatives"] == ["mistakes/choosing", "runs/second-card/mistakes"]
    mined = sorted((home / "runs" / "second-card" / "mistakes" / WORD).iterdir())
    assert [Path(trained).stem in one.name for one in mined] == [True], "a minute of background has one false alarm"
    assert settings["start_from"] == "runs/second-card/first-round"
    earlier = json.loads((home / settings["start_from"] / "config.json").read_text(encoding="utf-8"))["settings"]
    assert (earlier["negatives"], earlier["start_from"]) == (["mistakes/choosing"], None)
    assert earlier["minutes"] + settings["minutes"] == pytest.approx(0.02)

    real = Store(home / "runs" / "second-real-store")
    sessions = {split: {Path(name).name[:9] for name in real[split].ids} for split in ("train", "test")}
    assert (len(sessions["train"]), len(sessions["test"])) == (3, 1)
    judged = clips_of(home / "runs" / "second-card" / "real_hey_computer.csv", {})
    assert {clip.file.name[:9] for clip in judged} == sessions["test"]
    assert all(clip.file.is_file() for clip in judged)
    assert card["material"]["also"]["clips"] == len(judged) == 10
    assert [one["name"] for one in card["detectors"]] == ["second", "first"]
    for detector in card["detectors"]:
        assert [missed["snr"] for missed in detector["judged"][0]["also"]] == card["material"]["snr"]
    told = (home / "told.txt").read_text(encoding="utf-8")
    assert f"real clips of {WORD!r} that are not trained on, and judge in a table of their own: 10" in told
    assert "10 other clips of the word, judged apart" in told


def test_the_other_commands_and_links_of_the_page_are_right() -> None:
    _, *given = page('wake "hey computer" --speak')
    parsed = tyro.cli(wake.Config, args=given)
    assert len(parsed.speak) == 2
    for place in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (ROOT / "docs" / place).exists(), place
    commands = re.findall(r"^\| [^|]+ \| [^|]+ \| `(.+?)` \|", PAGE, re.MULTILINE)
    assert len(commands) == 4
    for line in commands:
        words = shlex.split(line)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(shutil, "which", lambda name: name)
            (parsed_command,) = parse_commands([shlex.join(words)])
        assert parsed_command.words == tuple(words)


@pytest.mark.parametrize("part", ["prepare", "train", "judge"])
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
        monkeypatch.setattr(wake, name, does(name, stops=name == part))
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
