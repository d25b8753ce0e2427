"""Batches made ahead by a thread: the same ones in the same order, and the thread ends whatever happens."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
import torch

from seqaudio.batching import Batch, CopyProblem, GeneratedBatches
from seqaudio.batching.ahead import AHEAD, made_ahead
from seqaudio.errors import StoreError
from seqaudio.interruption import Interrupted


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "batches-ahead"]


def test_the_items_come_in_order_and_the_thread_ends_with_them() -> None:
    with made_ahead(iter(range(100))) as items:
        assert list(items) == list(range(100))
        assert list(made_nothing()) == []
    assert not threads()


def made_nothing() -> Iterator[int]:
    with made_ahead(iter(())) as items:
        yield from items


def test_batches_are_those_of_the_source() -> None:
    source = GeneratedBatches(CopyProblem(5), "train", batches=7, rows=3, seed=2)
    with made_ahead(source.epoch(1, start=2)) as batches:
        found = list(batches)
    assert len(found) == 5
    for one, other in zip(found, source.epoch(1, start=2), strict=True):
        assert isinstance(one, Batch)
        assert torch.equal(one.inputs, other.inputs)


def test_no_more_are_made_than_wait() -> None:
    made = []

    def items() -> Iterator[int]:
        for number in range(50):
            made.append(number)
            yield number

    with made_ahead(items()) as ahead:
        assert next(ahead) == 0
        eventually(lambda: len(made) == AHEAD + 2)  # one was taken, two wait, one is kept back by the thread
        time.sleep(0.05)
        assert len(made) == AHEAD + 2
    assert not threads()


def eventually(holds: Callable[[], bool]) -> None:
    for _ in range(500):
        if holds():
            return
        time.sleep(0.01)
    raise AssertionError("never")


def test_an_error_is_raised_behind_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise StoreError("train.arrow: row 7 has no frames, expected at least one")

    found = []
    with pytest.raises(StoreError, match="row 7 has no frames"), made_ahead(items()) as ahead:
        found.extend(ahead)
    assert found == [1, 2]
    assert not threads()


@pytest.mark.parametrize("error", [Interrupted("saved"), ValueError("of the training")], ids=["interrupted", "failed"])
def test_the_thread_ends_where_the_training_ends_early(error: BaseException) -> None:
    def items() -> Iterator[int]:
        while True:
            yield 1

    with pytest.raises(type(error)), made_ahead(items()) as ahead:
        next(ahead)
        raise error
    assert not threads()


def test_threads_of_torch_stay_as_they_were_elsewhere() -> None:
    before = torch.get_num_threads()
    with made_ahead(torch.get_num_threads() for _ in range(3)) as numbers:
        assert list(numbers) == [1, 1, 1]
    assert torch.get_num_threads() == before
