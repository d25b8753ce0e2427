"""Check that a page and its translation agree: the same headings, blocks, commands, pictures and exercises.

Python blocks may differ in comments and in the words of strings, a formatted string may say its values in another
order, and a translation may import a `print` that writes numbers in its language; all else of their syntax is equal.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

from chapters import PROSE, Page

NUMERALS = "seqaudio.numerals"
LANGUAGE_OPTION = re.compile(r" --language \w+")


def differences(original: Page, translated: Page) -> list[str]:
    """The differences between a page and its translation, one line each."""
    name = original.path.name
    found = []
    outlines = [_outline(page) for page in (original, translated)]
    if outlines[0] != outlines[1]:
        found.append(f"{name}: blocks {_first_difference(*outlines)}")
    levels = [[level for level, _ in page.headings] for page in (original, translated)]
    if levels[0] != levels[1]:
        found.append(f"{name}: levels of headings {_first_difference(*levels)}")
    shapes = [_shape(page) for page in (original, translated)]
    if shapes[0] != shapes[1]:
        found.append(f"{name}: paragraphs, list items and rows of tables {_first_difference(*shapes)}")
    pictures = [[file.name for _, file in page.pictures] for page in (original, translated)]
    if pictures[0] != pictures[1]:
        found.append(f"{name}: pictures {_first_difference(*pictures)}")
    commands = [[LANGUAGE_OPTION.sub("", line) for line in _commands(page)] for page in (original, translated)]
    if commands[0] != commands[1]:
        found.append(f"{name}: commands {_first_difference(*commands)}")
    for left, right in zip(original.examples, translated.examples, strict=False):
        if syntax(left.code.body) != syntax(right.code.body):
            lines = f"{original.path.parent.name}:{left.code.line}, {translated.path.parent.name}:{right.code.line}"
            found.append(f"{name}: the blocks at {lines} differ in more than words")
    return found


def syntax(code: str) -> str:
    """The syntax tree without the words of its strings."""
    return ast.dump(_Wordless().visit(ast.parse(code)))


class _Wordless(ast.NodeTransformer):
    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.ImportFrom | None:
        return None if node.module == NUMERALS else node

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        return ast.Constant("") if isinstance(node.value, str) else node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.Tuple:
        # how a value is formatted (the 3f of {x:.3f}) is no word, so what stands within a value is left as it is
        values = [part for part in node.values if isinstance(part, ast.FormattedValue)]
        return ast.Tuple(sorted(values, key=ast.dump), ast.Load())


def _commands(page: Page) -> list[str]:
    return [*page.commands, *page.shown_commands]


def _outline(page: Page) -> list[str]:
    return [piece.kind for piece in page.pieces if piece.kind != PROSE]


def _shape(page: Page) -> list[str]:
    """Of each paragraph what it is, with a mark for each item of a list and each row of a table."""
    paragraphs = re.split(r"\n\s*\n", page.prose.strip())
    return ["".join(re.findall(r"^(?:- |\*\*\d|\||#+|!|\$\$)", text, re.MULTILINE)) or "words" for text in paragraphs]


def _first_difference(left: Sequence[object], right: Sequence[object]) -> str:
    place = next((n for n, pair in enumerate(zip(left, right, strict=False)) if pair[0] != pair[1]), None)
    if place is None:
        return f"are {len(left)} in the original, {len(right)} in the translation"
    return f"differ at number {place + 1}: {left[place]!r}, {right[place]!r}"
