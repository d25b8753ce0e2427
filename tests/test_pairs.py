"""Cases by pairs: all pairs are there, and few cases."""

from __future__ import annotations

from itertools import combinations, product

import pytest

from pairs import all_pairs, pairs_of


@pytest.mark.parametrize(
    ("sizes", "at_most"), [((9, 3, 4, 2), 40), ((9, 2, 4), 36), ((2, 2, 2, 2, 2), 8), ((5, 7), 35), ((3,), 3)]
)
def test_any_two_values_of_any_two_axes_meet(sizes: tuple[int, ...], at_most: int) -> None:
    axes = [[f"{axis}{value}" for value in range(size)] for axis, size in enumerate(sizes)]
    cases = all_pairs(*axes)
    assert len(cases) <= at_most
    assert set(cases) <= set(product(*axes))
    for one, other in combinations(range(len(axes)), 2):
        assert {(case[one], case[other]) for case in cases} == set(product(axes[one], axes[other]))
    assert {case[0] for case in cases} == set(axes[0])


def test_cases_have_the_names_of_their_values() -> None:
    mark = pairs_of(rows=[1, 2], kind={"none": None}).mark
    assert mark.args == (["rows", "kind"], [[1, None], [2, None]])
    assert mark.kwargs == {"ids": ["1-none", "2-none"]}
