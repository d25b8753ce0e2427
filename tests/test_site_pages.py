"""Pages of the site as they differ from those of the clone: links, folded parts, equations, graphs, the search."""

from __future__ import annotations

import re
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from conftest import ROOT

pytest.importorskip("mkdocs", reason="needs the extra docs")
pytest.importorskip("latex2mathml", reason="needs the extra docs")
sys.path.append(str(ROOT / "docs" / "pages"))

import drawn_graph
import site_pages


def page_of(name: str) -> Any:
    return SimpleNamespace(file=SimpleNamespace(src_uri=name), meta={}, url=name.replace(".md", ".html"))


@pytest.mark.parametrize(
    ("link", "source", "target"),
    [
        ("probe.md#verdict", "docs/bptt.md", "probe.md#verdict"),
        ("../README.md", "docs/python.md", "index.md"),
        ("../../recipes/forecasting/README.md", "docs/tasks/forecast.md", "recipes/forecasting.md"),
        ("../CONTRIBUTING.md", "docs/map.md", "contributing.md"),
        ("../../docs/results/studies/x.json", "recipes/gradient_flow/README.md", "results/studies/x.json"),
        ("../memory_tasks/README.md", "recipes/gradient_flow/README.md", "recipes/memory_tasks.md"),
        ("../recipes/forecasting/train.py", "docs/forecasting.md", None),
        ("results", "docs/results.md", None),
        ("https://example.org/a.md", "docs/results.md", "https://example.org/a.md"),
        ("#seeds", "docs/results.md", "#seeds"),
    ],
)
def test_a_link_of_the_clone_leads_to_a_page_of_the_site(link: str, source: str, target: str | None) -> None:
    assert site_pages.site_target(link, source) == target


def test_links_are_relative_to_their_page_and_code_stays_as_it_is() -> None:
    text = (
        "See [probe](../probe.md), [code](../../seqaudio/store.py).\n\n```sh\necho '[a](../../README.md)' $x $y\n```\n"
    )
    made = site_pages.on_page_markdown(text, page_of("tasks/cells.md"))
    assert made == text.replace("[code](../../seqaudio/store.py)", "code")
    made = site_pages.on_page_markdown("[the probe](../../docs/probe.md)", page_of("recipes/forecasting.md"))
    assert made == "[the probe](../probe.md)"


def test_equations_become_mathml_where_they_stand() -> None:
    page = page_of("primer/en/05_lstm.md")
    text = "With $c_t$ and `$HOME`, for $5 each:\n\n$$\n\\begin{aligned} a &= b \\\\ c &= d \\end{aligned}\n$$\n"
    html = site_pages.on_page_content(site_pages.on_page_markdown(text, page), page)
    assert re.findall(r'display="(\w+)"', html) == ["inline", "block"]
    assert "<msub><mi>c</mi><mi>t</mi></msub>" in html
    assert html.count("<mtr>") == 2
    assert "`$HOME`, for $5 each" in html


def test_answers_come_before_the_reference_in_the_search() -> None:
    boosts = []
    for name in ("reference/cells.md", "bptt.md", "tasks/cells.md", "questions.md"):
        page = page_of(name)
        site_pages.on_page_markdown("", page)
        boosts.append(page.meta["search"]["boost"])
    assert boosts == sorted(boosts)
    assert len(set(boosts)) == 4


def test_a_graph_has_each_name_above_all_that_its_arrows_lead_to() -> None:
    svg = drawn_graph.drawn("graph TD\n  a --> b\n  a --> c\n  b --> d\n  c --> d\n")
    place = {name: float(y) for y, name in re.findall(r'<text x="\d+" y="(\d+)"[^>]*>(\w)</text>', svg)}
    assert place["a"] < place["b"] == place["c"] < place["d"]
    assert svg.count("<path") == 4 + 1, "a path an arrow, and the tip of all"
