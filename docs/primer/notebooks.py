"""The pages of the primer as Jupyter notebooks: build/notebooks/{en,tr}/NAME.ipynb.

    python docs/primer/notebooks.py      what `make notebooks` runs

Format 4.5 (https://nbformat.readthedocs.io). Prose and commands become cells of Markdown, python blocks cells of code
with the output that the page shows. Pictures travel inside the notebook, so it opens wherever it is copied to.
Solutions are folded as in the page: a fold cannot hold cells, so the words of a solution are one, its code another.
"""

from __future__ import annotations

import argparse
import base64
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chapters import LANGUAGES, LINK, PICTURE, ROOT, Page, PageError, Piece, pages

from seqaudio.files import write_json

NOTEBOOKS = ROOT / "build" / "notebooks"
FOLDS = re.compile(r"(<details>\s*<summary>.*?</summary>|</details>)", re.DOTALL)
GOES_ON = "…"  # stands on the fold of what follows the code of a solution
FOLDED = {"collapsed": True, "jupyter": {"source_hidden": True, "outputs_hidden": True}}


def notebook(page: Page, out: Path) -> dict[str, Any]:
    """The page as the JSON of a notebook that will stand at `out`."""
    cells = [{"id": f"cell-{number:03d}"} | cell for number, cell in enumerate(_cells(page, out), 1)]
    metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python", "file_extension": ".py", "mimetype": "text/x-python"},
        "title": page.title,
    }
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells}


def _cells(page: Page, out: Path) -> Iterator[dict[str, Any]]:
    """Cells without their ids."""
    printed = {id(example.code): example.printed for example in page.examples}
    shown = {id(piece) for piece in printed.values()}
    words: list[Piece] = []
    folded = False
    for piece in page.pieces:
        if piece.kind != "python":
            words += [] if id(piece) in shown else [piece]
            continue
        text, folded = _fold("".join(part.source for part in words), folded)
        words = []
        yield from _markdown(page, text, out)
        yield _code(piece, printed[id(piece)], folded)
    text, _ = _fold("".join(part.source for part in words), folded)
    yield from _markdown(page, text, out)


def _fold(text: str, folded: bool) -> tuple[str, bool]:
    """Text of one cell with its folds closed, and whether the code behind it is of a solution.

    folded: whether the text begins inside of a solution.
    """
    summary = GOES_ON if folded else ""
    parts = []
    for part in FOLDS.split(text):
        if part == "</details>":
            summary = ""
        elif part.startswith("<details>"):
            summary = part.partition("<summary>")[2].removesuffix("</summary>").strip()
        elif part.strip() and summary:
            parts.append(f"<details><summary>{summary}</summary>\n\n{part.strip()}\n\n</details>\n")
        elif summary != GOES_ON:
            parts.append(f"**{summary}**\n" if summary else part)
    return "".join(parts), bool(summary)


def _code(piece: Piece, printed: Piece | None, folded: bool) -> dict[str, Any]:
    outputs = []
    if printed is not None:
        outputs.append({"output_type": "stream", "name": "stdout", "text": printed.body.splitlines(keepends=True)})
    return {
        "cell_type": "code",
        "metadata": FOLDED if folded else {},
        "execution_count": None,
        "source": piece.body.rstrip("\n").splitlines(keepends=True),
        "outputs": outputs,
    }


def _markdown(page: Page, text: str, out: Path) -> Iterator[dict[str, Any]]:
    """The cell of what stands between two blocks of code; none where that is blank."""
    attached: dict[str, Any] = {}

    def attach(match: re.Match[str]) -> str:
        file = (page.path.parent / match[2]).resolve()
        if not file.is_file():
            raise PageError(f"{page.path.name}: no picture {match[2]}; make figures draws them")
        attached[file.name] = {"image/png": base64.b64encode(file.read_bytes()).decode("ascii")}
        return f"![{match[1]}](attachment:{file.name})"

    def lead(match: re.Match[str]) -> str:
        return match[0].replace(f"({match[1]})", f"({_link(page, match[1], out)})")

    text = PICTURE.sub(attach, LINK.sub(lead, text))
    if text.strip():
        cell = {"cell_type": "markdown", "metadata": {}, "source": text.strip().splitlines(keepends=True)}
        yield cell | ({"attachments": attached} if attached else {})


def _link(page: Page, link: str, out: Path) -> str:
    """Where a link of the page leads from the notebook: other pages are notebooks too, files stay where they are."""
    if "://" in link or link.startswith("#"):
        return link
    place, mark, heading = link.partition("#")
    target = (page.path.parent / place).resolve()
    if target.parent == page.path.parent and target.suffix == ".md" and target.stem != "sozluk":
        return f"{target.stem}.ipynb{mark}{heading}"
    return Path(os.path.relpath(target, out.parent)).as_posix() + mark + heading


def build(language: str, folder: Path) -> list[Path]:
    """Write the notebooks of a language into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for page in pages(language):
        path = folder / f"{page.path.stem}.ipynb"
        write_json(path, notebook(page, path))
        written.append(path)
    return written


def main() -> int:
    """0, or 1 where a page cannot become a notebook."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=NOTEBOOKS, help="folder of the languages' folders")
    options = parser.parse_args()
    try:
        for language in LANGUAGES:
            for path in build(language, options.out.resolve() / language):
                print(path)
    except PageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
