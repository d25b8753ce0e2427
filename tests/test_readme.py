"""The README keeps its word: every command parses, and, in the long tests, runs."""

from __future__ import annotations

import re
import shlex
import shutil
from importlib import import_module
from pathlib import Path

import pytest

from conftest import ROOT, Command
from seqaudio.cli.grouped_help import parse
from seqaudio.cli.main import COMMANDS
from seqaudio.cli.scripts import load, preparations, recipes

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
# of a pipe, such as arecord ... | seqaudio listen ..., the last command
SHELL = [line.rpartition("| ")[2] for block in BLOCKS for line in block.splitlines() if line]
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_readme_shows_commands() -> None:
    assert len(SHELL) > 12
    assert all(line.startswith("seqaudio ") for line in SHELL)


def trained_by(run: str) -> str:
    """The recipe by which the README trains a run."""
    return next(line.split()[2] for line in SHELL if line.startswith("seqaudio train ") and f"--run {run}" in line)


@pytest.mark.parametrize("line", SHELL)
def test_every_readme_command_is_understood(line: str) -> None:
    _, name, *rest = shlex.split(line)
    if name == "prepare":
        module = load(preparations()[rest.pop(0)])
    elif name == "train":
        module = load(recipes("train.py")[rest.pop(0)])
    elif name == "evaluate":
        module = load(recipes("evaluate.py")[trained_by(rest[0])])
        rest = ["--run", *rest]
    else:
        assert name in COMMANDS
        module = import_module(f"seqaudio.cli.{name}")
    parse(module.Config, rest, "", f"seqaudio {name}")


@pytest.mark.parametrize("code", PYTHON)
def test_every_readme_example_runs(code: str) -> None:
    exec(compile(code, "README.md", "exec"), {})


def test_every_readme_figure_stands_in_the_results() -> None:
    results = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    figures = re.findall(r"\d+\.\d+ %|\d\.\d{4}", README)
    assert 0 < len(figures) <= 6, "a reader of the first page wants few: the others stand in docs/results.md"
    for figure in figures:
        assert figure in results, figure


def test_the_readme_shows_at_most_six_pictures() -> None:
    assert 0 < len(re.findall(r"!\[[^]]+\]\(", README)) <= 6


def test_the_first_two_commands_are_targets() -> None:
    targets = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\S+)  ", README, re.MULTILINE):
        assert re.search(rf"^{target}:", targets, re.MULTILINE)


def test_every_link_leads_somewhere() -> None:
    for place in re.findall(r"\]\(([^)#]+)\)", README):
        if "://" not in place:
            assert (ROOT / place).exists(), place


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_every_readme_command_runs(process: Command, word_folder: Path, tune_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(word_folder, tmp_path / "WORDS")
    shutil.copytree(tune_folder, tmp_path / "TUNES")
    shutil.copy(word_folder / "one" / "s0_0.wav", tmp_path / "RECORDING.wav")
    shutil.copy(tune_folder / "tune00.mid", tmp_path / "TUNE.mid")
    (tmp_path / "BOOK.txt").write_text("The rain in Spain stays mainly in the plain.\n" * 400)
    files = sorted((tmp_path / "WORDS").rglob("*.wav"))
    rows = [f"{file.relative_to(tmp_path)},{file.parent.name}" for file in files]
    (tmp_path / "SENTENCES.csv").write_text("\n".join(["path,text", *rows]))
    for line in SHELL:
        done = process(*shlex.split(line), folder=tmp_path, timeout=1800)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
    for name in (
        "tune.mid",
        "tune.wav",
        "tune.png",
        "chorale.mid",
        "chorale.wav",
        "chorale.png",
        "recording.png",
        "reach.png",
    ):
        assert (tmp_path / name).stat().st_size > 100
