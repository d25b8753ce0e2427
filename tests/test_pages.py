"""The pages keep their word: links lead somewhere, commands run, quoted messages are real, the site builds."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from conftest import ROOT
from page_blocks import BEFORE, FENCE, KINDS, NOT_RUN, OWN_TEST, RUN, Block, blocks, pages, run_blocks, words_of
from page_home import furnish, programs, shell
from seqaudio.cli.grouped_help import parse
from seqaudio.cli.main import COMMANDS
from seqaudio.cli.options import take_shared
from seqaudio.cli.scripts import load, preparations, recipes
from seqaudio.ledger import Reason

LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"")
# what a line of a page may begin with, beside seqaudio and python
OTHER_PROGRAMS = {
    "arecord",
    "cp",
    "curl",
    "uv",
    "uvx",
    "pipx",
    "gcc",
    "git",
    "make",
    "mkdir",
    "node",
    "pip",
    "python3",
    "torchrun",
    ".",
    "./kws",
}


# --- links ---


def anchors(text: str) -> set[str]:
    """The anchors of the headings of a page, as GitHub and the site make them."""
    names: list[str] = []
    for heading in re.findall(r"^#+ +(.+?) *$", FENCE.sub("", text), re.MULTILINE):
        name = (
            re.sub(r"[^\w\- ]", "", re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()).strip().replace(" ", "-")
        )
        names.append(name if name not in names else f"{name}-{names.count(name)}")
    return set(names)


@pytest.mark.parametrize("page", pages())
def test_every_link_leads_somewhere(page: str) -> None:
    prose = FENCE.sub("", pages()[page])
    for one, other in LINK.findall(prose):
        link = one or other
        if "://" in link:
            continue
        place, _, anchor = link.partition("#")
        target = ROOT / os.path.normpath((ROOT / page).parent / place) if place else ROOT / page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), link


def test_every_page_stands_in_the_menu_and_on_the_map() -> None:
    menu = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    known = pages()["docs/map.md"] + pages()["docs/index.md"]
    for page in pages():
        name = page.removeprefix("docs/")
        if page.startswith("docs/") and name not in ("index.md", "map.md"):
            assert re.search(rf" {re.escape(name)}$", menu, re.MULTILINE), name
            if not name.startswith(("primer/", "reference/")):
                assert f"({name})" in known, f"{name} is not on the map"


# --- commands ---


@cache
def recipe_of(run: str, page: str) -> str:
    """The recipe by which the pages make a run: this page first."""
    ordered = sorted(blocks(), key=lambda block: block.page != page)
    for block in ordered:
        for command in block.commands if block.kind == "sh" else ():
            if f"--run {run} " in command + " ":
                words = words_of(command)
                return words[2] if words[0] == "seqaudio" else Path(words[1]).parent.name
            if "seqaudio demo" in command and run == "demo/keywords-run":
                return "keyword_recognition"
    return "keyword_recognition"


def options_of(words: list[str], page: str) -> tuple[type, list[str]] | None:
    """The dataclass of the options of a command, and its arguments; None where it has none."""
    if words[0] == "torchrun":
        words = ["python", *words[words.index("--") + 1 :]]
    if words[0] == "seqaudio":
        name, rest = words[1], words[2:]
        if name == "prepare":
            return load(preparations()[rest[0]]).Config, rest[1:]
        if name == "train":
            return load(recipes("train.py")[rest[0]]).Config, rest[1:]
        if name == "evaluate":
            return load(recipes("evaluate.py")[recipe_of(rest[0], page)]).Config, ["--run", *rest]
        if name not in COMMANDS:
            pytest.skip(f"seqaudio {name} is not there yet")
        return import_module(f"seqaudio.cli.{name}").Config, rest
    script = ROOT / words[1]
    if not script.is_file():  # of the reader's own, which the page shows
        assert any(script.name in text for text in pages().values())
        return None
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(script.parent)  # as Python does for a script, whose neighbours it may import
        module = None if script.parent.name == "benchmarks" else load(script)
    return (module.Config, words[2:]) if hasattr(module, "Config") else None


# those of docs/results.md, which its program writes, are many: the long tests parse them; test_primer.py has those of
# the primer
COMMAND_LINES = [
    pytest.param(block.page, line, marks=[pytest.mark.slow] if block.page == "docs/results.md" else [])
    for block in blocks()
    if block.kind == "sh" and not block.page.startswith("docs/primer/")
    for line in block.commands
]


@pytest.mark.parametrize(("page", "line"), COMMAND_LINES)
def test_every_command_is_understood(page: str, line: str) -> None:
    words = words_of(line)
    if "..." in words:
        pytest.skip("an abbreviation")
    if words[0] == "make":
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    elif words[0] in ("python", ".venv/bin/python") and words[1].startswith("-"):
        assert words[1] in ("-m", "-c")
        for file in (word for word in words if re.fullmatch(r"tests/\w+\.py", word)):
            assert (ROOT / file).is_file()
    elif words[0] in ("seqaudio", "python", "torchrun"):
        if found := options_of(words, page):
            parse(found[0], take_shared(found[1])[1], "", words[0])
    else:
        assert words[0] in OTHER_PROGRAMS, "seqaudio, python, or one of OTHER_PROGRAMS"


@pytest.mark.parametrize("block", [b for b in blocks() if b.kind == "python"], ids=lambda b: b.name)
def test_every_python_block_can_be_compiled(block: Block) -> None:
    compile(block.text, block.name, "exec")


# --- how each block is tested ---


def test_every_block_is_run_or_has_its_reason() -> None:
    known = {*map(id, run_blocks())}
    left = [b.name for b in blocks() if b.kind in KINDS and not (b.own_test or b.reason or id(b) in known)]
    assert left == [], "run them by RUN of page_blocks.py, by a test of their own, or give the reason in NOT_RUN"
    assert {b.kind for b in blocks()} <= {"sh", "python", "text", "console", "mermaid", "c", "js", "yaml"}


def test_the_list_of_blocks_has_nothing_that_is_gone() -> None:
    for place, test in OWN_TEST.items():
        assert any(b.own_test == test for b in blocks()), place
        assert (ROOT / "tests" / test).is_file()
    for (page, begin), why in NOT_RUN.items():
        assert why
        assert any(b.page == page and b.text.startswith(begin) for b in blocks()), (page, begin)
    assert [page for page in RUN if page not in pages()] == []


@pytest.fixture(scope="module")
def server() -> Iterator[None]:
    with programs():
        yield


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.timeout(3600)
@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("page", RUN)
def test_the_blocks_of_a_page_run(
    page: str, word_folder: Path, tune_folder: Path, data_folder: Path, tmp_path: Path
) -> None:
    furnish(tmp_path, word_folder, tune_folder, data_folder)
    for line in filter(None, map(str.strip, RUN[page].splitlines())):
        shell(line, tmp_path)
    python = BEFORE.get(page, "")
    for block in run_blocks():
        if block.page != page or any(name in block.text and not shutil.which(name) for name in ("flite", "gcc")):
            continue
        if block.kind == "sh":
            shell(block.text, tmp_path, name=block.name)
        else:
            python = python + block.text if page in BEFORE else block.text
            (tmp_path / "block.py").write_text(python, encoding="utf-8")
            shell("python block.py", tmp_path, name=block.name)


# --- the first page ---


def test_the_first_page_is_short() -> None:
    assert len(pages()["README.md"].splitlines()) < 150
    assert len(pages()["CONTRIBUTING.md"].splitlines()) <= 45
    assert 0 < len(re.findall(r"!\[[^]]+\]\(", pages()["README.md"])) <= 6


@pytest.mark.parametrize("page", ["README.md", "docs/index.md", *sorted(p for p in pages() if "/tasks/" in p)])
def test_every_figure_for_newcomers_stands_in_the_results(page: str) -> None:
    figures = re.findall(r"\d+\.\d+ %|\d\.\d{4}", pages()[page])
    assert len(figures) <= 6, "a newcomer wants few: the others stand in docs/results.md"
    for figure in figures:
        assert figure in pages()["docs/results.md"], figure


# --- messages ---


@cache
def messages() -> tuple[str, ...]:
    """All texts of the code, with a mark where something is filled in."""
    found = []
    for folder in ("seqaudio", "data_prep", "recipes"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.JoinedStr):
                    found.append("".join(v.value if isinstance(v, ast.Constant) else "\0" for v in node.values))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.append(node.value)
    return tuple(found)


def rows(page: str, heading: str) -> list[list[str]]:
    """The cells of the tables of a page whose first column is called so."""
    tables = re.findall(rf"^\| {heading} \|.*\n\|[-| :]+\|\n((?:\|.*\n)+)", pages()[page], re.MULTILINE)
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for t in tables for line in t.splitlines()]


MESSAGES = [row[0].strip("`") for row in rows("docs/troubleshooting.md", "message")]


def test_enough_messages_are_explained() -> None:
    assert len(MESSAGES) > 40


@pytest.mark.parametrize("message", MESSAGES)
def test_every_quoted_message_is_one_of_the_code(message: str) -> None:
    expected = re.compile(".*".join(map(re.escape, message.split("…"))), re.DOTALL)
    assert any(expected.fullmatch(text) for text in messages()), "no such text in the code"


def test_every_reason_of_the_ledger_is_explained() -> None:
    explained = [row[0].strip("`") for row in rows("docs/troubleshooting.md", "reason")]
    assert explained == [reason.value for reason in Reason if reason.value]


# --- the site ---


class Sources(HTMLParser):
    """What a page loads by itself: scripts, styles, pictures, sounds, fonts."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag in ("script", "img", "audio", "video", "source", "iframe", "embed", "object") or (
            tag == "link" and named.get("rel") not in ("canonical", "next", "prev")
        ):
            self.found += [value for name in ("src", "href", "data", "srcset") if (value := named.get(name))]


@pytest.mark.skipif(find_spec("material") is None, reason="needs the extra docs: mkdocs-material, mkdocstrings")
def test_the_site_builds_and_asks_no_other_server_for_anything(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout
    site = sorted((tmp_path / "site").rglob("*.html"))
    assert len(site) > 70
    for page in site:
        sources = Sources()
        sources.feed(page.read_text(encoding="utf-8"))
        assert sources.found, page
        for source in sources.found:
            assert not re.match(r"(?:https?:)?//", source), (page.name, source)
            if not source.startswith(("data:", "/")):  # with a slash: those of 404.html, for servers
                assert (page.parent / source.partition("?")[0].partition("#")[0]).exists(), (page.name, source)
    for style in (tmp_path / "site").rglob("*.css"):
        assert not re.search(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//", style.read_text(encoding="utf-8")), style.name
    assert "GRU" in (tmp_path / "site" / "reference" / "cells.html").read_text(encoding="utf-8")
