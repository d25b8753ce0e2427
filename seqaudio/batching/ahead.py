"""Batches made ahead by a thread, while the one before them is trained on."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch

Item = TypeVar("Item")

AHEAD = 2  # batches that wait; more would only take memory
WAIT = 0.1  # seconds between two looks whether nobody wants more


@contextmanager
def made_ahead(items: Iterable[Item], count: int = AHEAD) -> Iterator[Iterator[Item]]:
    """Yield an iterator over items that a thread makes, in order, at most `count` before they are asked for.

        with made_ahead(source.epoch(3)) as batches:
            for batch in batches:

    What making one raises is raised where it is asked for, as without the thread. The thread ends with the items, or at
    the end of the block, after the item that it is making; leaving by an error or an interruption is such an end.
    Items must not draw from generators that others use meanwhile.
    """
    made: queue.Queue[tuple[str, Item | BaseException | None]] = queue.Queue(count)
    stopped = threading.Event()

    def put(kind: str, value: Item | BaseException | None) -> None:
        while not stopped.is_set():
            try:
                made.put((kind, value), timeout=WAIT)
            except queue.Full:
                continue
            return

    def make() -> None:
        torch.set_num_threads(1)  # of this thread; the others have work
        try:
            for item in items:
                put("item", item)
                if stopped.is_set():
                    return
            put("end", None)
        except BaseException as error:  # noqa: BLE001  # raised again where the item is asked for
            put("error", error)

    def taken() -> Iterator[Item]:
        while True:
            kind, value = made.get()
            if kind == "end":
                return
            if kind == "error":
                assert isinstance(value, BaseException)
                raise value
            yield value  # type: ignore[misc]  # an item

    thread = threading.Thread(target=make, name="batches-ahead", daemon=True)
    thread.start()
    try:
        yield taken()
    finally:
        stopped.set()
        thread.join()
