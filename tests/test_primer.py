"""docs/primer keeps its word: its code prints what it says, its commands run, both languages are one text."""

from __future__ import annotations

import re
import shlex
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import tyro
from matplotlib.figure import Figure

from conftest import ROOT
from legibility import assert_legible
from seqaudio.cli.main import COMMANDS
from seqaudio.cli.scripts import load, preparations, recipes

sys.path.append(str(ROOT / "docs" / "primer"))

from chapters import LANGUAGES, Page, pages
from commands import program, run_commands
from draw import LARGEST, PICTURES, draw_figure, figure_names, figure_script
from examples import faults, run_pages
from glossary import missing_terms, prose_of, read_glossary, rivals_in, words_of
from translation import differences

ENGLISH, TURKISH = pages("en"), pages("tr")
ALL = [*ENGLISH, *TURKISH]
CHAPTERS = [page for language in LANGUAGES for page in pages(language, chapters_only=True)]
FIGURE_WORDS: dict[str, dict[str, dict[str, str]]] = {
    "gradient_flow/figures": load(recipes("figures.py")["gradient_flow"]).WORDS,
    "forecasting/window_figure": load(recipes("window_figure.py")["forecasting"]).WORDS,
} | {name: figure_script(name).WORDS for name in figure_names()}
EXERCISES = {"en": ("Exercises", "Solution"), "tr": ("Alıştırmalar", "Çözüm")}
PAIRS = list(zip(ENGLISH, TURKISH, strict=False))
PAIR_NAMES = [original.path.stem for original, _ in PAIRS]
COMMAND_LINES = list(dict.fromkeys(line for page in ALL for line in (*page.commands, *page.shown_commands)))


def name_of(page: Page) -> str:
    return f"{page.path.parent.name}-{page.path.stem}"


def test_both_languages_have_the_chapters_and_the_four_uses() -> None:
    names = [page.path.stem for page in ENGLISH]
    assert names == [page.path.stem for page in TURKISH]
    assert [name[:2] for name in names[1:8]] == ["01", "02", "03", "04", "05", "06", "07"]
    assert names[0] == "index"
    assert set(names[8:]) == {"uses_series", "uses_text", "uses_speech", "uses_music"}


def test_every_block_prints_what_its_page_says() -> None:
    assert sum(len(page.examples) for page in ENGLISH) > 30
    outcomes = run_pages(ENGLISH, timeout=240)
    found = [fault for outcome in outcomes for fault in faults(outcome)]
    assert not found, "\n".join(found)


@pytest.mark.slow
def test_every_turkish_block_prints_what_its_page_says() -> None:
    found = [fault for outcome in run_pages(TURKISH) for fault in faults(outcome)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(("original", "translated"), PAIRS, ids=PAIR_NAMES)
def test_a_translation_is_the_same_page(original: Page, translated: Page) -> None:
    assert original.path.name == translated.path.name
    assert differences(original, translated) == []


@pytest.mark.parametrize("page", CHAPTERS, ids=name_of)
def test_each_chapter_ends_with_three_exercises_and_folded_solutions_that_run(page: Page) -> None:
    heading, summary = EXERCISES[page.path.parent.name]
    assert [words for level, words in page.headings if level == 2][-1] == heading
    before, exercises = page.text.split(f"\n## {heading}\n")
    assert "<details>" not in before
    assert exercises.rstrip().endswith("</details>")
    assert len(page.solutions) == exercises.count("<details>") == exercises.count("</details>") == 3
    for words, blocks in page.solutions:
        assert words == summary
        assert [block.kind for block in blocks].count("python") >= 1


@pytest.mark.parametrize("page", ALL, ids=name_of)
def test_each_page_has_one_title_and_its_links_lead_somewhere(page: Page) -> None:
    assert [level for level, _ in page.headings].count(1) == 1
    for link in page.links:
        if "://" not in link and not link.startswith("#"):
            assert (page.path.parent / link.partition("#")[0]).exists(), link


@pytest.mark.parametrize("page", ALL, ids=name_of)
def test_each_picture_of_a_page_is_there_in_its_language_has_words_and_a_script(page: Page) -> None:
    for words, file in page.pictures:
        assert len(words) > 10, file
        assert file.parent == PICTURES / page.path.parent.name
        assert file.stem in figure_names()
        assert 1000 < file.stat().st_size <= LARGEST


def test_every_script_draws_a_figure_that_a_page_shows() -> None:
    readmes = "".join(path.read_text(encoding="utf-8") for path in ROOT.glob("recipes/*/README.md"))
    for language in LANGUAGES:
        assert {path.stem for path in (PICTURES / language).glob("*.png")} == set(figure_names())
        shown = {file.stem for page in pages(language) for _, file in page.pictures}
        assert shown | set(re.findall(r"docs/pictures/primer/en/(\w+)\.png", readmes)) == set(figure_names())


@pytest.mark.parametrize("name", FIGURE_WORDS)
def test_figures_have_the_same_words_in_both_languages(name: str) -> None:
    words = FIGURE_WORDS[name]
    assert set(words) == set(LANGUAGES)
    assert words["en"].keys() == words["tr"].keys()
    for key, english in words["en"].items():
        assert sorted(re.findall(r"\{[^}]*\}", english)) == sorted(re.findall(r"\{[^}]*\}", words["tr"][key]))


def test_no_figure_of_two_languages_is_left_out() -> None:
    bilingual = [path for path in (ROOT / "seqaudio").rglob("*.py") if '"tr": {' in path.read_text(encoding="utf-8")]
    assert {path.stem for path in bilingual} <= set(FIGURE_WORDS)


def test_turkish_pages_and_figures_have_one_word_for_a_concept() -> None:
    terms = read_glossary()
    said = {name_of(page): words_of(page) for page in TURKISH}
    said |= {name: "\n".join(words["tr"].values()) for name, words in FIGURE_WORDS.items()}
    found = [f"{name}: {rival}" for name, text in said.items() for rival in rivals_in(text, terms)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(("original", "translated"), PAIRS, ids=PAIR_NAMES)
def test_each_concept_of_a_page_stands_in_its_translation_by_the_term_of_the_glossary(
    original: Page, translated: Page
) -> None:
    assert missing_terms(prose_of(original), words_of(translated), read_glossary()) == []


# --- commands ---


def recipe_of_run(run: str) -> str:
    """The recipe by which a command of the pages makes a run."""
    made = [shlex.split(line) for line in COMMAND_LINES if line.startswith("seqaudio train ")]
    return next(words[2] for words in made if words[words.index("--run") + 1] == run)


@pytest.mark.parametrize("line", COMMAND_LINES)
def test_every_command_is_understood(line: str) -> None:
    program(line)
    first, *rest = shlex.split(line)
    if first != "seqaudio":
        module = load(ROOT / first)
    elif rest[0] == "prepare":
        module, rest = load(preparations()[rest[1]]), rest[2:]
    elif rest[0] == "train":
        module, rest = load(recipes("train.py")[rest[1]]), rest[2:]
    elif rest[0] == "evaluate":
        module, rest = load(recipes("evaluate.py")[recipe_of_run(rest[1])]), ["--run", *rest[1:]]
    else:
        assert rest[0] in COMMANDS
        module, rest = import_module(f"seqaudio.cli.{rest[0]}"), rest[1:]
    tyro.cli(module.Config, args=rest)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("page", [page for page in ENGLISH if page.commands], ids=name_of)
def test_every_command_runs(page: Page, tmp_path: Path) -> None:
    run_commands(page, tmp_path)


# --- figures ---


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", figure_names())
def test_a_figure_is_legible_in_both_languages_and_the_same_each_time(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    written = Figure.savefig

    def checked(figure: Figure, *arguments: Any, **options: Any) -> None:
        assert_legible(figure)
        written(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", checked)
    for language in LANGUAGES:
        first, second = (draw_figure(name, language, tmp_path / turn).read_bytes() for turn in ("first", "second"))
        assert first == second
    assert (tmp_path / "first/en" / f"{name}.png").read_bytes() != (tmp_path / "first/tr" / f"{name}.png").read_bytes()
