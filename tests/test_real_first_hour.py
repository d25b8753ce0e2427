"""The first hour: hints that can be followed, whatever is installed, and help that says what there is."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from conftest import ROOT, Command
from seqaudio.cli.scripts import as_commands, preparations, recipes
from seqaudio.errors import EXTRAS, how_to_install


def test_each_hint_names_an_extra_and_its_package() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for extra, package in EXTRAS.items():
        assert [re.split("[>=]", line)[0] for line in extras[extra]] == [package]
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
