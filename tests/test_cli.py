"""The command: names, help, completion, what it tells of files."""

from __future__ import annotations

import dataclasses
import inspect
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import soundfile

from conftest import Command, assert_refused
from made_up import token_store
from seqaudio.cli import info
from seqaudio.cli.completion import script
from seqaudio.cli.main import COMMANDS, SCRIPTS, overview
from seqaudio.cli.options import exit_status
from seqaudio.cli.scripts import load, preparations, recipes
from seqaudio.errors import OptionError


def test_the_map_fits_one_screen_and_names_every_command() -> None:
    lines = overview().splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 100
    for name in SCRIPTS | COMMANDS:
        assert any(re.match(rf"  ([a-z]+, )?{name}\b", line) for line in lines), name


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_shows_an_example_and_explains_each_option(name: str) -> None:
    module = import_module(f"seqaudio.cli.{name}")
    assert f"Example: seqaudio {name}" in (module.__doc__ or "")
    # options may be those of a class that several commands share
    source = "\n".join(inspect.getsource(kind) for kind in module.Config.__mro__[:-1])
    for field in dataclasses.fields(module.Config):
        assert re.search(rf"^    {field.name}: .*  # \S", source, re.MULTILINE), f"{name}: {field.name} has no comment"


@pytest.mark.parametrize("name", list(preparations()))
def test_every_preparation_explains_each_option_of_its_own(name: str) -> None:
    path = preparations()[name]
    source = path.read_text(encoding="utf-8")
    for option in load(path).Config.__annotations__:
        assert re.search(rf"^    {option}: .*  # \S", source, re.MULTILINE), f"{option} has no comment"


@pytest.mark.parametrize("path", [*preparations().values(), *recipes("train.py").values()], ids=str)
def test_every_script_shows_its_command_and_runs_by_both_names(path: Path, command: Command) -> None:
    kind, name = ("prepare", path.stem) if path.parent.name == "data_prep" else ("train", path.parent.name)
    done = command("seqaudio", kind, name, "--help")
    assert done.returncode == 0, done.stderr
    assert f"usage: seqaudio {kind} {name}" in done.stdout
    assert done.stdout.count(f"seqaudio {kind} {name}") >= 2, "the docstring shows a command"
    assert "--use FILE" in done.stdout


@pytest.mark.parametrize("kind", ["prepare", "train", "evaluate"])
def test_a_kind_of_script_alone_lists_what_there_is(kind: str, command: Command) -> None:
    done = command("seqaudio", kind)
    assert done.returncode == 0
    for name in preparations() if kind == "prepare" else recipes(f"{kind}.py"):
        assert name in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("prepare", "fsd"), ("did you mean fsdd",)),
        (("train", "keyword"), ("keyword_recognition",)),
        (("evaluate", "{none}"), ("not a run",)),
        (("evaluate", "--split", "test"), ("no run was given",)),
        (("info", "{none}"), ("no such file or folder",)),
        (("info", "{empty}"), ("expected a store", "or a run")),
        (("info",), ("expected one of", "--cells")),
        (("info", "{empty}", "--cells"), ("expected one of", "--cells")),
        (("recognize", "{none}", "{empty}"), ("has no recordings",)),
        (("recognize", "{none}", "x.wav", "--json", "--csv"), ("exclude each other",)),
    ],
)
def test_bad_names_are_one_line_and_exit_status_2(
    command: Command, tmp_path: Path, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    (tmp_path / "empty").mkdir()
    places = {"none": tmp_path / "none", "empty": tmp_path / "empty"}
    assert_refused(command("seqaudio", *(argument.format(**places) for argument in arguments)), *words)


def test_what_the_system_refuses_is_one_line_and_exit_status_2(
    command: Command, word_folder: Path, tmp_path: Path
) -> None:
    """A file stands where a folder is needed: for the store, and for a download."""
    (tmp_path / "a.png").touch()
    place = tmp_path / "a.png" / "new"
    prepared = ("data_prep/audio_folder.py", "--source", word_folder, "--out", place)
    assert_refused(command(*prepared), f"{tmp_path / 'a.png'}: ", "File exists", "choose another path")
    fetched = ("data_prep/yesno.py", "--source", place, "--out", tmp_path / "out", "--download")
    assert_refused(command(*fetched), f"{place}: ", "choose another path")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    shown = command(*prepared, "--debug")
    assert "Traceback" in shown.stderr
    assert "FileExistsError" in shown.stderr


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            OSError(28, "No space left on device"),
            "error: No space left on device; fix this",
        ),
        (
            PermissionError(13, "Permission denied", b"in/a"),
            "error: in/a: Permission denied",
        ),
        (OSError(18, "Invalid link", "a", None, "b"), "error: b: Invalid link"),
        (OSError(5, "Input/output error", 7), "error: 7: Input/output error"),
    ],
)
def test_errors_of_the_system_are_told_with_their_path(
    error: OSError, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def action() -> None:
        raise error

    assert exit_status(action) == 2
    assert capsys.readouterr().err.startswith(line)
    with pytest.raises(type(error)):
        exit_status(action, debug=True)


@pytest.mark.parametrize("error", [OSError("made up by a program"), ValueError("a defect")])
def test_defects_stay_tracebacks(error: Exception) -> None:
    def action() -> None:
        raise error

    with pytest.raises(type(error)):
        exit_status(action)


def test_info_tells_what_a_recording_and_a_tune_hold(command: Command, tune_folder: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "tone.wav", 0.5 * np.sin(np.arange(8000) * 0.3), 8000)
    done = command("seqaudio", "info", tmp_path / "tone.wav")
    assert "1.000 s at 8,000 Hz" in done.stdout
    assert "peak -6.0 dB" in done.stdout
    done = command("seqaudio", "info", tune_folder / "tune00.mid")
    assert "20 notes" in done.stdout
    (tmp_path / "broken.mid").write_bytes(b"MThd")
    assert_refused(command("seqaudio", "info", tmp_path / "broken.mid"), "truncated")


def test_info_lists_what_the_options_of_a_cell_understand(capsys: pytest.CaptureFixture[str]) -> None:
    from seqaudio.cells import CELLS, INITIALISATIONS, WRAPPERS
    from seqaudio.cli import info

    info.main(info.Config(cells=True))
    lines = capsys.readouterr().out.splitlines()
    listed = [re.match(r"  (\w+)\S* +\S", line) for line in lines if line.startswith("  ")]
    assert [entry and entry[1] for entry in listed] == [*CELLS, *WRAPPERS, *INITIALISATIONS]
    assert any(line.startswith("  zoneout=0.05,0.5 ") for line in lines)
    assert any(line.startswith("  chrono=LONGEST_LAG ") for line in lines)


def test_doctor_finds_everything_in_a_whole_installation(command: Command) -> None:
    done = command("seqaudio", "doctor")
    assert done.returncode == 0, done.stdout
    assert "FAILS" not in done.stdout
    assert "wrote a note and read it back" in done.stdout


def test_doctor_names_what_is_missing_and_the_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from seqaudio.cli import doctor

    monkeypatch.setitem(sys.modules, "music21", None)
    doctor.main(doctor.Config())
    assert re.search(r"absent\s+chorales.*pip install music21 .*\.\[chorales\]", capsys.readouterr().out)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(SystemExit) as stop:
        doctor.main(doctor.Config())
    assert stop.value.code == 1
    assert re.search(r"FAILS\s+stores", capsys.readouterr().out)


def complete(text: str, shell: str, *words: str) -> list[str]:
    """The completions that the shell offers for the last word."""
    line = " ".join(f"'{word}'" for word in words)
    code = f"{text}\nCOMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _seqaudio; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    done = subprocess.run([shell, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_completion_offers_commands_names_and_options() -> None:
    text = script("bash")
    assert set(SCRIPTS | COMMANDS) == set(complete(text, "bash", "seqaudio", ""))
    assert complete(text, "bash", "seqaudio", "prepare", "fs") == ["fsdd"]
    assert "--leave-out" in complete(text, "bash", "seqaudio", "prepare", "fsdd", "--")
    assert "--temperature" in complete(text, "bash", "seqaudio", "generate", "run", "--t")
    assert "--no-carry" in complete(text, "bash", "seqaudio", "train", "language_modelling", "--no")
    assert complete(text, "bash", "seqaudio", "evaluate", "run", "--u") == ["--use"]
    assert "compinit" in script("zsh")


def test_quiet_leaves_out_progress(command: Command, tune_folder: Path, tmp_path: Path) -> None:
    options = ("--source", tune_folder, "--out", tmp_path / "store", "--quiet")
    assert command("seqaudio", "prepare", "midi_folder", *options).stderr == ""
    run = ("--store", tmp_path / "store", "--epochs", "1", "--hidden-size", "8", "--device", "cpu")
    loud = command("seqaudio", "train", "music_generation", "--run", tmp_path / "loud", *run)
    quiet = command("seqaudio", "train", "music_generation", "--run", tmp_path / "quiet", *run, "--quiet")
    assert "epoch 1/1" in loud.stderr
    assert (quiet.returncode, quiet.stderr) == (0, "")


def test_info_draws_the_lanes_of_a_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = token_store(tmp_path)
    info.main(info.Config(store.path, lanes=3, window=8))
    drawn = capsys.readouterr().out.splitlines()
    assert drawn[0].startswith(str(store.path))
    assert [line[:8] for line in drawn[-3:]] == ["lane 0  ", "lane 1  ", "lane 2  "]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lanes": 0}, "--lanes 0 --window 128, expected at least 1"),
        ({"lanes": 2, "path": None, "cells": True}, "--lanes 2 needs a store, got --cells"),
    ],
)
def test_lanes_that_cannot_be_drawn_are_refused(options: dict[str, object], message: str, tmp_path: Path) -> None:
    store = token_store(tmp_path)
    with pytest.raises(OptionError, match=message):
        info.main(info.Config(**({"path": store.path} | options)))


@pytest.mark.skipif(os.name == "nt", reason="pipes break otherwise on Windows")
def test_a_reader_that_has_had_enough_is_no_error() -> None:
    code = "import sys; from seqaudio.cli.options import exit_status; "
    code += "sys.exit(exit_status(lambda: print('x' * 1_000_000)))"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    _, told = process.communicate(timeout=60)
    assert process.returncode == 141
    assert told == b""
