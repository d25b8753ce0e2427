"""Markdown tables whose columns are aligned, so that they can be read as they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The lines of a table: the names of its columns, a rule, and the rows."""
    widths = [max(len(row[column]) for row in (names, *rows)) for column in range(len(names))]
    for number, row in enumerate((names, *rows)):
        yield "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        if not number:
            yield "|" + "|".join("-" * (width + 2) for width in widths) + "|"
