"""Batches made ahead in a thread: the same items, the same errors, and nothing left behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from seqaudio.batching.ahead import made_ahead


def threads() -> int:
    return sum(thread.name == "batches" for thread in threading.enumerate())


def test_items_come_in_order_and_the_thread_ends() -> None:
    assert list(made_ahead(iter(range(50)))) == list(range(50))
    assert threads() == 0


def test_an_error_comes_where_its_item_would() -> None:
    def items() -> Iterator[int]:
        yield from range(3)
        raise ValueError("the fourth")

    found: list[int] = []
    with pytest.raises(ValueError, match="the fourth"):
        found += made_ahead(items())
    assert found == [0, 1, 2]
    assert threads() == 0


def test_at_most_a_few_are_made_ahead_and_closing_ends_the_thread() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for number in range(1000):
            made.append(number)
            yield number

    with closing(made_ahead(items(), ready=2)) as batches:
        assert next(batches) == 0
        assert next(batches) == 1
    assert len(made) <= 2 + 2 + 2  # used, waiting, in the maker's hands
    assert threads() == 0
