"""Make batches ahead in a thread, while the model is trained on the one before: for sources that mix sound."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import TypeVar

import torch

READY = 2  # items that wait at most
LOOK = 0.1  # seconds between two looks at whether anyone still waits

Item = TypeVar("Item")


def made_ahead(items: Iterator[Item], ready: int = READY) -> Iterator[Item]:
    """The same items in the same order, made by a thread of their own, at most `ready` ahead of the one in use.

    An error of `items` is raised where its item would have come. Closing the iterator ends the thread.
    """
    made: queue.Queue[tuple[bool, Item | BaseException | None]] = queue.Queue(ready)
    closed, threads = threading.Event(), torch.get_num_threads()

    def put(more: bool, item: Item | BaseException | None) -> None:
        while not closed.is_set():
            try:
                made.put((more, item), timeout=LOOK)
            except queue.Full:
                continue
            return

    def make() -> None:
        torch.set_num_threads(threads)  # which holds for a thread alone
        try:
            for item in items:
                put(True, item)
                if closed.is_set():
                    return
            put(False, None)
        except BaseException as error:  # noqa: BLE001  # raised again by the thread that waits
            put(False, error)

    thread = threading.Thread(target=make, name="batches", daemon=True)
    thread.start()
    try:
        while True:
            more, item = made.get()
            if more:
                yield item  # type: ignore[misc]  # an item, as `more` says
            elif item is None:
                return
            else:
                raise item  # type: ignore[misc]
    finally:
        closed.set()
        thread.join()
