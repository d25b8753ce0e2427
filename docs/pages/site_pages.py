"""Hooks of mkdocs: pages of the site that do not lie in docs/, and links that a clone and the site read differently.

Every page reads well in a clone as it is. The site has pages of its own for the recipes' READMEs, CONTRIBUTING.md and
CHANGELOG.md; links to other files of the clone lose their target there, because no server is known that has them.
"""

from __future__ import annotations

import os
import posixpath
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from mkdocs.utils import get_relative_url

sys.path.append(str(Path(__file__).parent))

from drawn_graph import drawn

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"(!?)\[((?:[^][]|\[[^][]*\])*)\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^``` *$", re.MULTILINE | re.DOTALL)
# code, which has no equations; an equation on lines of its own; one within a line
EQUATION = re.compile(r"(`[^`]+`)|\$\$(.+?)\$\$|\$(?=[^\s$])([^$\n]+?)(?<=\S)\$", re.DOTALL)
MARK = "\u2039equation {}\u203a"  # stands for an equation until Markdown has become HTML
# the one script of the theme that would come from another server, and the copy that lies here
THEIR_SCRIPT, OUR_SCRIPT = "https://unpkg.com/iframe-worker/shim", "scripts/iframe_worker.js"

# how much the search prefers pages, by how their names begin: answers come before what explains them
PREFERRED = {
    "questions": 8,
    "troubleshooting": 3,
    "tasks/": 4,
    "own_": 3,
    "adding_": 2,
    "reference/": 0.03,
    "primer/tr/": 0.5,
}


def elsewhere() -> dict[str, str]:
    """Pages of the site by the file of the clone that they are."""
    recipes = sorted(ROOT.glob("recipes/*/README.md"))
    pages = {path.relative_to(ROOT).as_posix(): f"recipes/{path.parent.name}.md" for path in recipes}
    return pages | {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie outside docs/."""
    for source, page in elsewhere().items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Links as the site has them; folded parts whose tables and code are read as such; how much the search likes it."""
    boost = next((much for begin, much in PREFERRED.items() if page.file.src_uri.startswith(begin)), 1)
    page.meta.setdefault("search", {"boost": boost})
    sources = {made: source for source, made in elsewhere().items()}
    source = sources.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    equations = page.meta.setdefault("equations", [])
    pieces = (
        as_picture(text) if is_code else without_equations(relink(text, source, page.file.src_uri), equations)
        for is_code, text in pieces_of(markdown)
    )
    return "".join(pieces)


def pieces_of(markdown: str) -> Iterator[tuple[bool, str]]:
    """Prose and fenced code in turn, with whether it is code."""
    last = 0
    for found in FENCE.finditer(markdown):
        yield False, markdown[last : found.start()]
        yield True, found[0]
        last = found.end()
    yield False, markdown[last:]


def as_picture(code: str) -> str:
    """A graph of Mermaid as a picture; any other code as it is."""
    return drawn(code) if code.startswith("```mermaid\n") else code


def without_equations(prose: str, equations: list[str]) -> str:
    """The prose with a mark for each equation, which is added to the list as MathML."""

    def of(found: re.Match[str]) -> str:
        code, block, inline = found.groups()
        if code:
            return code
        text = (block or inline).replace("{aligned}", "{align*}")  # the name that the converter knows
        equations.append(convert(text, display="block" if block else "inline"))
        return MARK.format(len(equations) - 1)

    return EQUATION.sub(of, prose)


def relink(prose: str, source: str, page: str) -> str:
    """The prose of the file `source` of the clone, as the page `page` of the site has it."""

    def of(found: re.Match[str]) -> str:
        mark, words, link = found.groups()
        target = site_target(link, source)
        if target is None:
            return words
        if "://" not in target and not target.startswith("#"):
            target = os.path.relpath(target, posixpath.dirname(page) or ".")
        return f"{mark}[{words}]({target})"

    return LINK.sub(of, prose.replace("<details>", '<details markdown="1">'))


def site_target(link: str, source: str) -> str | None:
    """Where a link of a file of the clone leads within the site; None where the site does not have its target."""
    if "://" in link or link.startswith(("#", "mailto:")):
        return link
    place, mark, anchor = link.partition("#")
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), place))
    if path == "README.md":
        path = "docs/index.md"
    if path in (pages := elsewhere()):
        return pages[path] + mark + anchor
    if path.startswith("docs/") and not (ROOT / path).is_dir() and not path.endswith(".py"):
        return path.removeprefix("docs/") + mark + anchor
    return None


def on_page_content(html: str, page: Page, **_: Any) -> str:
    """The page with its equations in place of their marks."""
    for number, equation in enumerate(page.meta["equations"]):
        html = html.replace(MARK.format(number), equation)
    return html


def on_post_page(output: str, page: Page, **_: Any) -> str:
    """A page that asks no other server for anything."""
    return output.replace(THEIR_SCRIPT, get_relative_url(OUR_SCRIPT, page.url))


def on_post_template(output_content: str, template_name: str, **_: Any) -> str:
    """The same for pages without a source, such as 404.html."""
    return output_content.replace(THEIR_SCRIPT, get_relative_url(OUR_SCRIPT, template_name))
