"""Rows that hold the same: within a split, across splits, under different labels. By content, whatever their names."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from seqaudio.checking.contents import Contents
from seqaudio.checking.report import Finding, Level


class _Place(NamedTuple):
    split: str
    id: str
    label: str


def check_leaks(contents: Contents) -> Finding:
    """Whether any row of one split is in another as well."""
    leaks = [group for group in _copies(contents) if len({place.split for place in group}) > 1]
    if not leaks:
        return Finding("leaks", Level.GOOD, "no sequence is in two splits")
    tested = sum(place.split == "test" for group in leaks for place in group)
    return Finding(
        "leaks",
        Level.FAULT,
        f"{len(leaks):,} sequences are in several splits, {tested:,} rows of the test split among them; a score on "
        f"those measures memory. Leave the copies out, or put all copies of one into one split",
        tuple(" = ".join(f"{place.split}/{place.id}" for place in group) for group in leaks),
    )


def check_duplicates(contents: Contents) -> Finding:
    """Whether rows of one split hold the same, and whether they are labelled alike."""
    groups = [[p for p in group if p.split == split] for group in _copies(contents) for split in contents.splits]
    groups = [group for group in groups if len(group) > 1]
    if not groups:
        return Finding("duplicates", Level.GOOD, "no sequence comes twice in a split")
    quarrels = [group for group in groups if len({place.label for place in group}) > 1]
    if quarrels:
        return Finding(
            "duplicates",
            Level.WARNING,
            f"{len(quarrels):,} sequences come several times under different labels; one of the labels is wrong",
            tuple(" = ".join(f"{place.id} ({place.label})" for place in group) for group in quarrels),
        )
    spare = sum(len(group) - 1 for group in groups)
    total = sum(map(len, contents.splits.values()))
    level = Level.WARNING if spare > 0.01 * total else Level.NOTE
    verdict = f"{spare:,} of {total:,} rows are copies of another in their split; they count more than others"
    return Finding("duplicates", level, verdict, tuple(" = ".join(place.id for place in group) for group in groups))


def _copies(contents: Contents) -> list[list[_Place]]:
    """Rows of equal content, where there is more than one; rows without a single step are told elsewhere."""
    groups = defaultdict(list)
    for split, number, rows in contents.rows():
        if rows.steps[number]:
            groups[rows.contents[number]].append(_Place(split, rows.ids[number], rows.labels[number]))
    return [group for group in groups.values() if len(group) > 1]
