"""A page of the primer taken apart: prose, code that is run, what it prints, commands.

    ```python     run in order, all blocks of a page in one namespace
    ```text       where it follows a python block with nothing but blank lines between: what that block prints
    ```sh         commands of a shell, one a line
    ```console    commands that need other data or more time: never run, but parsed like the others
    <details>     a folded solution; its blocks are blocks like all others

The pieces of a page, put together again, are the page to the byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PRIMER = Path(__file__).resolve().parent
ROOT = PRIMER.parents[1]
LANGUAGES = ("en", "tr")
FENCE = "```"
PROSE = "prose"
SOLUTION = re.compile(r"<details>\s*<summary>(.*?)</summary>(.*?)</details>", re.DOTALL)
PICTURE = re.compile(r"!\[([^]]*)\]\(([^)\s]+)\)")
LINK = re.compile(r"(?<!!)\[[^]]*\]\(([^)\s]+)\)")


class PageError(Exception):
    """A page that cannot be taken apart, or does not keep its word; one line with its place."""


@dataclass(frozen=True)
class Piece:
    """Prose, or one fenced block."""

    kind: str  # PROSE, or the word behind the fence: python, text, sh ...
    body: str  # without the fences
    line: int  # of the first line, from 1; of a block the line of its fence

    @property
    def source(self) -> str:
        """As it stands in the page."""
        return self.body if self.kind == PROSE else f"{FENCE}{self.kind}\n{self.body}{FENCE}\n"


@dataclass(frozen=True)
class Example:
    """A python block and what the page says that it prints; None where the page says nothing."""

    code: Piece
    printed: Piece | None


@dataclass(frozen=True)
class Page:
    """One page of one language."""

    path: Path
    pieces: tuple[Piece, ...]

    @property
    def text(self) -> str:
        return "".join(piece.source for piece in self.pieces)

    @property
    def title(self) -> str:
        """The first heading."""
        return next((heading for level, heading in self.headings if level == 1), self.path.stem)

    @property
    def headings(self) -> list[tuple[int, str]]:
        """Level and words of each heading."""
        found = re.finditer(r"^(#+) +(.+?) *$", self.prose, re.MULTILINE)
        return [(len(match[1]), match[2]) for match in found]

    @property
    def prose(self) -> str:
        """All that is not in a block."""
        return "".join(piece.body for piece in self.pieces if piece.kind == PROSE)

    @property
    def examples(self) -> list[Example]:
        """The python blocks in their order."""
        places = [place for place, piece in enumerate(self.pieces) if piece.kind == "python"]
        return [Example(self.pieces[place], self._printed_at(place)) for place in places]

    @property
    def commands(self) -> list[str]:
        """Lines of the sh blocks, continued lines joined, comments left out."""
        return self._command_lines("sh")

    @property
    def shown_commands(self) -> list[str]:
        """Those of the console blocks."""
        return self._command_lines("console")

    @property
    def solutions(self) -> list[tuple[str, list[Piece]]]:
        """Of each folded part its summary and its blocks."""
        found = SOLUTION.finditer(self.text)
        return [(match[1].strip(), [p for p in take_apart(match[2]) if p.kind != PROSE]) for match in found]

    @property
    def pictures(self) -> list[tuple[str, Path]]:
        """Of each picture its words for those who do not see it, and its file."""
        found = PICTURE.finditer(self.prose)
        return [(match[1], (self.path.parent / match[2]).resolve()) for match in found]

    @property
    def links(self) -> list[str]:
        """Where the page leads to, within the project or outside."""
        return LINK.findall(self.prose)

    def with_printed(self, printed: list[str]) -> Page:
        """The page with these outputs behind its examples, one each; an empty one leaves no block."""
        outputs = iter(printed)
        pieces: list[Piece] = []
        followed = {id(example.printed) for example in self.examples}
        for place, piece in enumerate(self.pieces):
            if id(piece) in followed:
                continue
            if self._is_gap(place) and id(self.pieces[place + 1]) in followed:
                continue
            pieces.append(piece)
            if piece.kind == "python" and (output := next(outputs)):
                pieces += [Piece(PROSE, "\n", 0), Piece("text", output, 0)]
        return Page(self.path, tuple(take_apart("".join(piece.source for piece in pieces), self.path.name)))

    def _command_lines(self, kind: str) -> list[str]:
        blocks = (piece.body.replace("\\\n", " ") for piece in self.pieces if piece.kind == kind)
        lines = (line.strip() for block in blocks for line in block.splitlines())
        return [line for line in lines if line and not line.startswith("#")]

    def _printed_at(self, place: int) -> Piece | None:
        following = self.pieces[place + 1 : place + 3]
        if following and self._is_gap(place + 1):
            following = following[1:]
        return following[0] if following and following[0].kind == "text" else None

    def _is_gap(self, place: int) -> bool:
        """Whether nothing but blank lines stands there, between two blocks."""
        piece = self.pieces[place]
        return piece.kind == PROSE and not piece.body.strip() and 0 < place < len(self.pieces) - 1


def take_apart(text: str, name: str = "") -> Iterator[Piece]:
    """Prose and blocks in their order. Raises PageError for a fence that is never closed, or has no word behind it."""
    kind, lines, first = PROSE, list[str](), 1
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        if kind == PROSE and line.startswith(FENCE):
            if lines:
                yield Piece(PROSE, "".join(lines), first)
            kind, lines, first = line[len(FENCE) :].strip(), [], number
            if not kind:
                raise PageError(f"{name}:{number}: a block without a language; write ```python, ```text or ```sh")
        elif kind != PROSE and line.rstrip() == FENCE:
            yield Piece(kind, "".join(lines), first)
            kind, lines, first = PROSE, [], number + 1
        else:
            lines.append(line)
    if kind != PROSE:
        raise PageError(f"{name}:{first}: the block is never closed; write ``` behind it")
    if lines:
        yield Piece(PROSE, "".join(lines), first)


def read_page(path: Path) -> Page:
    """Read one page."""
    return Page(path, tuple(take_apart(path.read_text(encoding="utf-8"), path.name)))


def pages(language: str, chapters_only: bool = False) -> list[Page]:
    """The pages of a language in reading order: the index, the chapters, the examples of uses."""
    pattern = "[0-9][0-9]_*.md" if chapters_only else "*.md"
    paths = [path for path in (PRIMER / language).glob(pattern) if path.stem != "sozluk"]
    return [read_page(path) for path in sorted(paths, key=lambda path: (path.stem != "index", path.stem))]
