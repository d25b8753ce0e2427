"""Fewer cases than all combinations, in which still every two values meet: one wrong cell fails a few, not sixty."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations_with_replacement, product
from typing import Any

import pytest


def all_pairs(*axes: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Combinations of a value of each axis in which any two values of any two axes occur together at least once.

    The same at each call: always the first of the combinations that hold most of the pairs that are still missing.
    """
    cases = list(product(*map(range, map(len, axes))))
    missing = {pair for case in cases for pair in _pairs(case)}
    chosen = []
    while missing:
        best = max(cases, key=lambda case: len(missing.intersection(_pairs(case))))
        missing.difference_update(_pairs(best))
        chosen.append(best)
    return [tuple(axis[place] for axis, place in zip(axes, case, strict=True)) for case in sorted(chosen)]


def _pairs(case: tuple[int, ...]) -> Iterator[tuple[tuple[int, int], ...]]:
    return combinations_with_replacement(enumerate(case), 2)  # a value with itself: of a single axis too


def pairs_of(**axes: Sequence[Any] | Mapping[str, Any]) -> pytest.MarkDecorator:
    """`pytest.mark.parametrize` over `all_pairs` of the arguments' values; a mapping names its values."""
    named = [axis if isinstance(axis, Mapping) else {str(value): value for value in axis} for axis in axes.values()]
    cases = all_pairs(*map(list, named))
    values = [[axis[label] for axis, label in zip(named, case, strict=True)] for case in cases]
    return pytest.mark.parametrize(list(axes), values, ids=["-".join(case) for case in cases])
