"""docs/maintaining.md keeps its word: every library of pyproject.toml has its row, with the rooms that import it."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

from conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PAGE = (ROOT / "docs" / "maintaining.md").read_text(encoding="utf-8")
MANY = 6  # rooms: those that are in more are not listed
IMPORTED_AS = {"python-rtmidi": "rtmidi"}
LOOKS = ("import_module", "find_spec")  # calls that name a package as a text
TOOLS = ("test", "lint", "docs")
# imported, and in no list: they come with others, or are asked for by a message
COME_ALONG = {"llvmlite", "cairosvg", "starlette", "flatbuffers"}


def table(heading: str) -> dict[str, str]:
    """Library and rooms of each row below a heading."""
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| `([\w.-]+)` \| ([^|]*) \|", section, re.MULTILINE))


BASE, EXTRA, TOOL = map(table, ("Libraries of every installation", "Libraries of the extras", "Tools of the project"))


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[><=~]", one)[0] for one in requirements}


@cache
def rooms_of() -> dict[str, set[str]]:
    """The rooms that import each package which is neither ours nor Python's, also by its name as a text."""
    found = defaultdict(set)
    for path in (ROOT / "seqaudio").rglob("*.py"):
        room = path.relative_to(ROOT / "seqaudio").parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                imported = [node.module or ""]
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(LOOKS) and node.args:
                imported = [node.args[0].value] if isinstance(node.args[0], ast.Constant) else []
            else:
                continue
            for name in imported:
                found[name.partition(".")[0]].add(room)
    known = {*sys.stdlib_module_names, "seqaudio", "__future__"}
    return {package: rooms for package, rooms in found.items() if package not in known}


def test_every_library_has_one_row() -> None:
    extras = {name: names(lines) for name, lines in PROJECT["optional-dependencies"].items()}
    optional = set[str]().union(*(packages for name, packages in extras.items() if name not in TOOLS))
    tools = set[str]().union(*(extras[name] for name in TOOLS)) - optional
    required = {name.replace("_", "-") if name not in BASE else name for name in names(PROJECT["dependencies"])}
    assert set(BASE) - COME_ALONG == required
    assert set(EXTRA) - COME_ALONG == optional - required
    assert set(TOOL) == tools


def test_every_import_of_the_code_has_a_row() -> None:
    rows = {IMPORTED_AS.get(name, name).replace("-", "_") for name in BASE | EXTRA}
    assert set(rooms_of()) <= rows


@pytest.mark.parametrize("library", BASE | EXTRA)
def test_the_rooms_of_a_library_are_those_that_import_it(library: str) -> None:
    rooms = rooms_of().get(IMPORTED_AS.get(library, library).replace("-", "_"), {"none"})
    expected = {"many"} if len(rooms) > MANY else rooms
    assert set(re.findall(r"\w+", (BASE | EXTRA)[library])) == expected


@pytest.mark.parametrize("library", TOOL)
def test_the_place_of_a_tool_is_the_extra_that_brings_it(library: str) -> None:
    extra = {"tests": "test"}.get(place := TOOL[library].strip("`"), place)
    assert library in names(PROJECT["optional-dependencies"][extra])


def test_every_row_says_what_takes_its_place() -> None:
    for line in re.findall(r"^\| `.*", PAGE, re.MULTILINE):
        assert len([cell for cell in line.split("|") if cell.strip()]) == 4, line


def test_the_targets_of_the_page_are_there() -> None:
    targets = Path(ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"`make ([\w-]+)`", PAGE):
        assert re.search(rf"^{target}:", targets, re.MULTILINE), target
