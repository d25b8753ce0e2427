"""Checks for rows with equal content, whatever their names: in one split, across splits, with different labels."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from seqaudio.checking.contents import Contents
from seqaudio.checking.report import Finding, Level, counted


class _Place(NamedTuple):
    split: str
    id: str
    label: str


def check_leaks(contents: Contents) -> Finding:
    """Whether a row of one split occurs in another split."""
    leaks = [group for group in _copies(contents) if len({place.split for place in group}) > 1]
    if not leaks:
        return Finding("leaks", Level.GOOD, "no sequence is in more than one split")
    tested = sum(place.split == "test" for group in leaks for place in group)
    return Finding(
        "leaks",
        Level.FAULT,
        f"{counted(len(leaks), 'sequence is', 'sequences are')} in more than one split, with "
        f"{counted(tested, 'row')} of the test split; scores on these measure memory. Remove the copies, or keep all "
        f"copies of a sequence in one split",
        tuple(" = ".join(f"{place.split}/{place.id}" for place in group) for group in leaks),
    )


def check_duplicates(contents: Contents) -> Finding:
    """Whether a split has rows of equal content, and whether their labels agree."""
    groups = [[p for p in group if p.split == split] for group in _copies(contents) for split in contents.splits]
    groups = [group for group in groups if len(group) > 1]
    if not groups:
        return Finding("duplicates", Level.GOOD, "no sequence is in a split twice")
    contradictions = [group for group in groups if len({place.label for place in group}) > 1]
    if contradictions:
        return Finding(
            "duplicates",
            Level.WARNING,
            f"{counted(len(contradictions), 'sequence has', 'sequences have')} rows with different labels; correct "
            f"the wrong ones",
            tuple(" = ".join(f"{place.id} ({place.label})" for place in group) for group in contradictions),
        )
    copies = sum(len(group) - 1 for group in groups)
    total = sum(map(len, contents.splits.values()))
    level = Level.WARNING if copies > 0.01 * total else Level.NOTE
    verdict = f"{copies:,} of {total:,} rows are copies of another row in their split, which gives it more weight"
    return Finding("duplicates", level, verdict, tuple(" = ".join(place.id for place in group) for group in groups))


def _copies(contents: Contents) -> list[list[_Place]]:
    """Groups of at least two rows with equal content. Empty rows are reported by another check."""
    groups = defaultdict(list)
    for split, number, rows in contents.rows():
        if rows.steps[number]:
            groups[rows.contents[number]].append(_Place(split, rows.ids[number], rows.labels[number]))
    return [group for group in groups.values() if len(group) > 1]
