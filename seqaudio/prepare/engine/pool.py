"""Run tasks in this process, in several worker processes, or on any executor."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from multiprocessing import connection, get_context, parent_process
from typing import ParamSpec, TypeVar

from seqaudio.errors import StoreError
from seqaudio.interruption import ctrl_c_later, end_at_ctrl_c

SAFE_PATH = "PYTHONSAFEPATH"  # the environment's name for Python's option -P
AHEAD_EACH = 2  # tasks submitted for each of our workers: one running, one ready
AHEAD_EXECUTOR = 256  # tasks submitted to an executor of unknown size

Task = TypeVar("Task")
Result = TypeVar("Result")
P = ParamSpec("P")
T = TypeVar("T")


def completed(
    work: Callable[[Task], Result], tasks: Iterable[Task], workers: int, executor: Executor | None
) -> Iterator[Result]:
    """The results of all tasks, in the order in which they finish.

    Raises StoreError where a worker process dies.
    """
    if executor is None and workers == 1:
        yield from map(work, tasks)
        return
    with _executor(workers, executor) as pool:
        ahead = AHEAD_EACH * workers if executor is None else AHEAD_EXECUTOR
        running: set[Future[Result]] = set()
        try:
            for task in tasks:
                running.add(pool.submit(work, task))
                if len(running) >= ahead:
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    yield from (future.result() for future in done)
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        except BrokenExecutor:
            raise StoreError(
                "a worker process died (out of memory, or killed); finished work is kept: run the command again, "
                "with fewer --workers if memory was short"
            ) from None
        finally:
            for future in running:
                future.cancel()


@contextmanager
def _executor(workers: int, executor: Executor | None) -> Iterator[Executor]:
    if executor is not None:
        yield executor
        return
    with own_workers(workers) as pool:
        yield pool


class _Workers(ProcessPoolExecutor):
    """Processes are started in `submit`."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        with ctrl_c_later():
            return super().submit(fn, *args, **kwargs)


@contextmanager
def own_workers(workers: int) -> Iterator[Executor]:
    """Processes that end with this one, and import nothing from the current folder, such as a `pickle.py` there."""
    # spawn, since a forked child of a process with running torch threads can hang
    with safe_path(), _Workers(workers, mp_context=get_context("spawn"), initializer=_begin_worker) as pool:
        yield pool


@contextmanager
def safe_path() -> Iterator[None]:
    """Let the processes that start meanwhile import nothing from the current folder."""
    before = os.environ.get(SAFE_PATH)
    os.environ[SAFE_PATH] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[SAFE_PATH]
        else:
            os.environ[SAFE_PATH] = before


def _begin_worker() -> None:
    """Let Ctrl-C end this worker, and the end of its parent: one that was killed would be waited for for ever."""
    end_at_ctrl_c()
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
