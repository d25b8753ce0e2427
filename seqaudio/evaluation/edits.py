"""Edits that turn a reference into a hypothesis: substitutions, deletions, insertions; error rates and tables.

An alignment has the fewest edits (Levenshtein, 1966). Among equal ones the last units are matched or substituted rather
than deleted, and deleted rather than inserted, so the same pair always gives the same table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from seqaudio.evaluation.intervals import ratio_of_sums

Pair = tuple[str | None, str | None]  # reference and hypothesis; None: inserted, deleted


class Edits(NamedTuple):
    """Counts of an alignment."""

    substitutions: int
    deletions: int
    insertions: int
    units: int  # of the reference

    @property
    def errors(self) -> int:
        return self.substitutions + self.deletions + self.insertions


def distances(reference: Sequence[str], hypothesis: Sequence[str]) -> npt.NDArray[np.int64]:
    """The fewest edits between every beginning of the reference and of the hypothesis, [R + 1, H + 1]."""
    ids: dict[str, int] = {}
    given, heard = (
        np.array([ids.setdefault(unit, len(ids)) for unit in units], dtype=np.int64)
        for units in (reference, hypothesis)
    )
    columns = np.arange(len(heard) + 1)
    table = np.empty((len(given) + 1, len(heard) + 1), dtype=np.int64)
    table[0] = columns
    for row, unit in enumerate(given.tolist(), start=1):
        above = table[row - 1]
        best = above + 1
        best[1:] = np.minimum(best[1:], above[:-1] + (heard != unit))
        # an insertion costs one a column: the least of what is at the left plus the columns between
        table[row] = np.minimum.accumulate(best - columns) + columns
    return table


def aligned(reference: Sequence[str], hypothesis: Sequence[str]) -> list[Pair]:
    """The units of both, in order, side by side."""
    table = distances(reference, hypothesis)
    pairs: list[Pair] = []
    row, column = len(reference), len(hypothesis)
    while row or column:
        here = table[row, column]
        if row and column:
            same = reference[row - 1] == hypothesis[column - 1]
            if here == table[row - 1, column - 1] + (not same):
                row, column = row - 1, column - 1
                pairs.append((reference[row], hypothesis[column]))
                continue
        if row and here == table[row - 1, column] + 1:
            row -= 1
            pairs.append((reference[row], None))
        else:
            column -= 1
            pairs.append((None, hypothesis[column]))
    return pairs[::-1]


def edits_of(pairs: Sequence[Pair]) -> Edits:
    """The counts of an alignment."""
    kinds = Counter(
        "insertions" if given is None else "deletions" if heard is None else "substitutions"
        for given, heard in pairs
        if given != heard
    )
    units = sum(given is not None for given, _ in pairs)
    return Edits(kinds["substitutions"], kinds["deletions"], kinds["insertions"], units)


def error_rate(references: Sequence[Sequence[str]], hypotheses: Sequence[Sequence[str]]) -> float:
    """Edits of all pairs for each unit of all references, which may be above 1. NaN where no reference has a unit."""
    errors = sum(int(distances(a, b)[-1, -1]) for a, b in zip(references, hypotheses, strict=True))
    units = sum(map(len, references))
    return errors / units if units else float("nan")


@dataclass(frozen=True)
class ErrorTable:
    """The alignments of a set of recordings."""

    pairs: tuple[tuple[Pair, ...], ...]  # of each recording

    @classmethod
    def of(cls, references: Sequence[Sequence[str]], hypotheses: Sequence[Sequence[str]]) -> ErrorTable:
        """Align each hypothesis with its reference."""
        return cls(tuple(tuple(aligned(a, b)) for a, b in zip(references, hypotheses, strict=True)))

    @property
    def edits(self) -> list[Edits]:
        """The counts of each recording."""
        return [edits_of(pairs) for pairs in self.pairs]

    @property
    def total(self) -> Edits:
        """The counts of all recordings."""
        return Edits(*np.array(self.edits, dtype=np.int64).reshape(-1, 4).sum(axis=0).tolist())

    @property
    def rate(self) -> float:
        """Errors for each unit of the references."""
        return self.total.errors / self.total.units if self.total.units else float("nan")

    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the rate, by a bootstrap over recordings; None where they are too few."""
        counts = self.edits
        if not self.total.units:
            return None
        return ratio_of_sums([edits.errors for edits in counts], [edits.units for edits in counts])

    def confusions(self, most: int) -> list[tuple[Pair, int]]:
        """The commonest edits with their counts, the most frequent first, then by their units."""
        found = Counter(pair for pairs in self.pairs for pair in pairs if pair[0] != pair[1])
        return sorted(found.items(), key=lambda item: (-item[1], item[0][0] or "", item[0][1] or ""))[:most]

    def worst(self, most: int) -> list[int]:
        """The recordings with the most errors, and of these those with the fewest units first."""
        counts = self.edits
        wrong = [place for place, edits in enumerate(counts) if edits.errors]
        return sorted(wrong, key=lambda place: (-counts[place].errors, counts[place].units, place))[:most]
