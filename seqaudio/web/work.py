"""A queue of one worker: what is asked for is done one after the other, in a thread, in the order of arrival."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

TICKET = re.compile(r"[A-Za-z0-9-]{8,64}")  # that a client may choose, to ask for its place


class BusyError(Exception):
    """Too many are waiting; the message is for the client."""


@dataclass(eq=False)
class Turn:
    """One request, from its arrival to its answer."""

    ticket: str  # empty where the client asks for no place


class Work:
    """The worker and its queue.

    most: requests at once, those whose bodies still come included.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.done = 0  # jobs since the start
        self._turns: set[Turn] = set()
        self._line: list[Turn] = []  # the first one's job is being done
        self._lock = asyncio.Lock()  # its waiters are served in their order
        self._thread = ThreadPoolExecutor(1, "seqaudio-serve")

    @asynccontextmanager
    async def turn(self, ticket: str = "") -> AsyncIterator[Turn]:
        """Hold one of the places. Raises BusyError where all are taken."""
        if len(self._turns) >= self.most:
            raise BusyError(f"{len(self._turns)} requests are waiting already; try again in a minute")
        turn = Turn(ticket if TICKET.fullmatch(ticket) else "")
        self._turns.add(turn)
        try:
            yield turn
        finally:
            self._turns.discard(turn)

    async def run(self, turn: Turn, job: Callable[[], T]) -> T:
        """Wait for the turn and do the job in the thread. A cancelled one that waits is skipped."""
        self._line.append(turn)
        try:
            async with self._lock:
                found = await asyncio.get_running_loop().run_in_executor(self._thread, job)
                self.done += 1
                return found
        finally:
            self._line.remove(turn)

    def is_doing(self, turn: Turn) -> bool:
        """Whether its job is being done; before and after it is not."""
        return self._line[:1] == [turn]

    def place(self, ticket: str) -> int | None:
        """How many come first, 0 for the one whose job is being done; None for a ticket that is not in the line."""
        if not ticket:
            return None
        return next((place for place, turn in enumerate(self._line) if turn.ticket == ticket), None)

    def close(self) -> None:
        """Take no more jobs; waits for the one that is being done."""
        self._thread.shutdown(wait=True, cancel_futures=True)
