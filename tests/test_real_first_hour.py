"""The first hour: hints that can be followed, whatever is installed, and help that says what there is."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from conftest import ROOT, Command
from seqaudio.cli.as_json import json_text
from seqaudio.cli.completion import script
from seqaudio.cli.scripts import as_commands, preparations, recipes
from seqaudio.errors import EXTRAS, how_to_install


def test_each_hint_names_an_extra_and_its_packages() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for extra, package in EXTRAS.items():
        assert [re.split("[>=]", line)[0] for line in extras[extra]] == package.split()
        assert how_to_install(extra) == f'pip install {package} (in a clone: pip install ".[{extra}]")'


def test_no_hint_names_a_package_that_is_on_no_index() -> None:
    for folder in ("seqaudio", "recipes", "data_prep"):
        for path in (ROOT / folder).rglob("*.py"):
            assert "seqaudio[" not in path.read_text(encoding="utf-8"), path


SCRIPTS = [*preparations().values(), *recipes("train.py").values(), *recipes("evaluate.py").values()]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_the_help_of_an_installation_shows_no_path_of_a_clone(path: Path) -> None:
    doc = path.read_text(encoding="utf-8").partition('"""')[2].partition('"""')[0]
    assert not re.search(r"(data_prep|recipes)/\w+(/train|/evaluate)?\.py", as_commands(doc))
    for name in re.findall(r"seqaudio prepare (\w+)", as_commands(doc)):
        assert name in preparations()


def test_the_preparations_are_listed_with_content_licence_and_size(command: Command) -> None:
    lines = command("seqaudio", "prepare").stdout.splitlines()[2:]
    assert [line.split()[0] for line in lines] == list(preparations())
    assert all(len(line) <= 120 and "tested" not in line for line in lines)
    for name, path in preparations().items():
        if re.search(r"^    (Licence|Source) ", path.read_text(encoding="utf-8"), re.MULTILINE):
            (line,) = (line for line in lines if line.split()[0] == name)
            assert line.count(";") >= 1, line
            assert "download" in line


def offered(*words: str) -> list[str]:
    """The completions that bash offers for the last word."""
    line = " ".join(f"'{word}'" for word in words)
    code = f'{script("bash")}\nCOMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _seqaudio; echo "${{COMPREPLY[@]}}"'
    return subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.parametrize(
    ("words", "values"),
    [
        ("train keyword_recognition --cell ", {"lstm", "gru", "min_gru"}),
        ("train forecasting --model ", {"window_mlp", "recurrent"}),
        ("train music_generation --bptt tr", {"truncated"}),
        ("prepare midi_folder --representation ", {"performance", "melody", "chorale"}),
        ("prepare audio_folder --features ", {"default", "log_mel", "asr"}),
        ("evaluate run --split ", {"valid", "test"}),
        ("forecast run --until ", {"train", "valid", "test"}),
        ("completion ", {"bash", "zsh", "fish"}),
        ("train ", {"keyword_recognition", "forecasting"}),
        ("sweep ", {"keyword_recognition", "forecasting"}),
    ],
)
def test_values_of_options_are_completed(words: str, values: set[str]) -> None:
    assert values <= set(offered("seqaudio", *words.split(" ")))


def test_fish_completes_the_same(tmp_path: Path) -> None:
    text = script("fish")
    assert "-n '__seqaudio_after train keyword_recognition' -l cell -x -a '" in text
    assert "-n '__seqaudio_after evaluate' -l split -x -a 'valid test'" in text
    (names,) = re.findall(r"__seqaudio_after prepare; and .* -f -a '([^']*)'", text)
    assert names.split() == list(preparations())
    for line in text.splitlines():
        assert line.replace("\\'", "").count("'") % 2 == 0, line
    if fish := shutil.which("fish"):
        (tmp_path / "seqaudio.fish").write_text(text)
        typed = ["seqaudio tr", "seqaudio train key", "seqaudio evaluate run --split ", "seqaudio completion "]
        ask = "; ".join(["source seqaudio.fish", *(f"complete -C '{words}'" for words in typed)])
        done = subprocess.run(
            [fish, "--no-config", "-c", ask], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert done.stderr == ""
        found = [line.partition("\t")[0] for line in done.stdout.splitlines()]
        assert found == ["train", "keyword_recognition", "test", "valid", "bash", "fish", "zsh"]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_zsh_takes_the_script_before_and_after_its_own_completion_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "seqaudio.zsh").write_text(script("zsh"))
    for before in ("", "autoload -U compinit; compinit -i; "):
        ask = f"{before}source ./seqaudio.zsh && print -r -- $_comps[seqaudio]"
        environment = os.environ | {"HOME": str(tmp_path), "ZDOTDIR": str(tmp_path)}
        done = subprocess.run(["zsh", "-fc", ask], cwd=tmp_path, capture_output=True, text=True, env=environment)
        assert (done.returncode, done.stderr) == (0, "")
        assert "_seqaudio" in done.stdout


def test_where_a_name_is_expected_no_file_is_offered() -> None:
    assert set(offered("seqaudio", "train", "")) == set(recipes("train.py"))
    assert set(offered("seqaudio", "completion", "")) == {"bash", "zsh", "fish"}


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a terminal")
@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_help_on_a_terminal_has_no_escape_codes_with_no_color(no_color: str, coloured: bool) -> None:
    reader, writer = os.openpty()
    environment = os.environ | {"NO_COLOR": no_color, "TERM": "xterm"}
    command = [sys.executable, "-m", "seqaudio.cli.main", "doctor", "--help"]
    with subprocess.Popen(command, stdout=writer, stderr=writer, env=environment) as child:
        os.close(writer)
        text = b""
        while True:
            try:
                part = os.read(reader, 65536)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            text += part
        assert child.wait() == 0
    os.close(reader)
    assert b"usage" in text
    assert (b"\x1b" in text) == coloured


def test_help_elsewhere_has_no_escape_codes(command: Command) -> None:
    assert "\x1b" not in command("seqaudio", "info", "--help").stdout


def test_info_evaluate_and_doctor_print_one_json_object(
    command: Command, word_store: Path, word_run: Path, word_folder: Path, tune_folder: Path
) -> None:
    def printed(*words: str | Path) -> dict[str, Any]:
        done = command("seqaudio", *words, "--json")
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout, parse_constant=pytest.fail)  # NaN and Infinity are no JSON
        assert isinstance(found, dict)
        return found

    store = printed("info", word_store)
    assert (store["is"], store["kind"], store["vocabulary"]) == ("store", "features", ["one", "three", "two"])
    assert sum(split["rows"] for split in store["splits"].values()) == 72 == sum(i["count"] for i in store["inputs"])
    run = printed("info", word_run)
    assert (run["is"], run["recipe"], run["epochs"]) == ("run", "keyword_recognition", 12)
    assert run["results"]["baselines"]
    tune = printed("info", tune_folder / "tune00.mid")
    (song,) = tune["songs"]
    assert (tune["is"], song["notes"], len(song["tracks"])) == ("MIDI", 20, 2)
    recording = printed("info", word_folder / "one" / "s0_0.wav")
    assert (recording["is"], recording["sample_rate"]) == ("recording", 8000)
    assert 0 < recording["rms"] < recording["peak"] <= 1
    assert "lstm" in printed("info", "--cells")["cells"]
    evaluation = printed("evaluate", word_run)
    assert evaluation["split"] == "valid"
    assert evaluation["metrics"]["count"] == store["splits"]["valid"]["rows"]
    assert set(evaluation["baselines"]) == {"5-nearest-neighbours", "5-nearest-neighbours, centred"}
    doctor = printed("doctor")
    assert doctor["works"] is True
    assert {"part", "status", "found"} == set(doctor["checks"][0])


def test_json_has_null_where_a_number_is_not_finite() -> None:
    given = {"a": float("nan"), "b": [1.5, float("-inf")], 3: "x"}
    assert json_text(given) == '{"a": null, "b": [1.5, null], "3": "x"}'
