"""docs/adding_a_cell.md keeps its word: its cell trains from the command line and passes the tests of all cells."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT, Command, assert_refused
from made_up import token_store

PAGE = (ROOT / "docs" / "adding_a_cell.md").read_text(encoding="utf-8")
(CODE,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
SMALL = ("--epochs", "1", "--hidden-size", "8", "--embedding-size", "4", "--device", "cpu", "--quiet")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where somebody works: my_cells.py of the page, and a small store in stores/tunes."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "my_cells.py").write_text(CODE, encoding="utf-8")
    (folder / "stores").mkdir()
    token_store(folder).path.rename(folder / "stores" / "tunes")
    return folder


def test_the_cell_fits_thirty_lines() -> None:
    lines = CODE[CODE.index("class ") :].splitlines()
    assert len([line for line in lines if line.strip()]) <= 30


def test_the_commands_of_the_page_do_what_it_says(command: Command, folder: Path) -> None:
    info, train, evaluate, _ = map(shlex.split, COMMANDS)
    listed = command(*info, folder=folder)
    assert listed.returncode == 0, listed.stderr
    assert re.search(r"^  indrnn +An independently recurrent network", listed.stdout, re.MULTILINE)
    for line in ([*train, *SMALL], evaluate):
        done = command(*line, folder=folder)
        assert done.returncode == 0, done.stderr
        assert "warning" not in done.stderr
    config = json.loads((folder / "runs" / "indrnn" / "config.json").read_text())
    assert config["model"]["arguments"]["cell"] == "indrnn"
    assert [entry["file"] for entry in config["use"]] == ["my_cells.py"]

    without = evaluate[: evaluate.index("--use")]
    assert_refused(command(*without, folder=folder), "my_cells.py (sha256 ", "give --use my_cells.py")


def test_the_cell_passes_the_tests_of_all_cells(folder: Path) -> None:
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
    assert int(passed[1]) > 50
