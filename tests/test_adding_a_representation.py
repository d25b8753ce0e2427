"""docs/adding_a_representation.md keeps its word: its representation prepares, trains, generates, is tested."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT, Command

PAGE = (ROOT / "docs" / "adding_a_representation.md").read_text(encoding="utf-8")
(CODE,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
SMALL = ("--epochs", "1", "--hidden-size", "8", "--embedding-size", "4", "--device", "cpu", "--quiet")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tune_folder: Path) -> Path:
    """Where somebody works: my_representations.py of the page, and MIDI files in tunes."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "my_representations.py").write_text(CODE, encoding="utf-8")
    (folder / "tunes").symlink_to(tune_folder)
    return folder


def test_the_commands_of_the_page_do_what_it_says(command: Command, folder: Path) -> None:
    prepare, train, generate, _ = map(shlex.split, COMMANDS)
    for line in (prepare, [*train, *SMALL], generate):
        done = command(*line, folder=folder)
        assert done.returncode == 0, done.stderr
    store = json.loads((folder / "stores" / "rhythms" / "store.json").read_text())
    assert store["settings"]["representation"] == {"name": "rhythm", "steps_per_quarter": 4}
    assert store["vocabulary"] == ["<pad>", "<bos>", "<eos>", "rest", "tap"]
    assert (folder / "rhythm.mid").read_bytes()[:4] == b"MThd"


def test_the_representation_passes_the_tests_of_all(folder: Path) -> None:
    (line,) = (line for line in COMMANDS if "pytest" in line)
    _, *arguments = shlex.split(line)
    environment = os.environ | {"PYTHONPATH": str(folder)}
    options = ["-p", "no:cacheprovider", "-q", "--strict-markers"]
    done = subprocess.run(
        [sys.executable, *arguments, *options], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    passed = re.search(r"^(\d+) passed", done.stdout, re.MULTILINE)
    assert passed, done.stdout
    assert int(passed[1]) > 20
