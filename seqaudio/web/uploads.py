"""Bodies of requests: within bounds of size and time, as bytes or as a file in a folder that is removed in any case.

Names that a client gives are never looked at: the file has one of our own, and what it holds is told by its content.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.requests import ClientDisconnect, Request

from seqaudio.units import Seconds

PREFIX = "seqaudio-serve-"  # of the folders
NAME = "recording"  # of the file
MEGABYTE = 1_000_000
PATIENCE: Seconds = 120.0  # for a whole body
DISCARDED = 256 * MEGABYTE  # of a body that is too large are read, as browsers show no answer that comes before its end


class RefusedError(Exception):
    """A request that is refused: an HTTP status, and a line for the client."""

    def __init__(self, status: int, line: str) -> None:
        super().__init__(line)
        self.status = status


class LeftError(Exception):
    """The client has left, and nobody waits for an answer."""


async def body(request: Request, most: int) -> bytes:
    """The body of a request. Raises as `receive`."""
    parts: list[bytes] = []
    await receive(request, most, parts.append)
    return b"".join(parts)


@asynccontextmanager
async def uploaded(request: Request, most: int) -> AsyncIterator[Path]:
    """The body of a request as a file, which is removed with its folder behind the block. Raises as `receive`."""
    with tempfile.TemporaryDirectory(prefix=PREFIX) as folder:
        path = Path(folder) / NAME
        with path.open("wb") as file:
            await receive(request, most, file.write)
        yield path


async def receive(request: Request, most: int, take: Callable[[bytes], object]) -> None:
    """Give the parts of a body to `take`.

    Raises:
        RefusedError: more than `most` bytes (413), none (400), a client that is too slow (408).
        LeftError: the client has left.
    """
    count = 0
    try:
        async with asyncio.timeout(PATIENCE):
            async for part in request.stream():
                count += len(part)
                if count <= most:
                    take(part)
                elif count > most + DISCARDED:
                    break
    except TimeoutError:
        raise RefusedError(408, f"the upload did not end within {PATIENCE:g} s; send a smaller file") from None
    except ClientDisconnect:
        raise LeftError from None
    if count > most:
        raise RefusedError(413, f"more than {most / MEGABYTE:,g} MB, which is the most; send a shorter recording")
    if not count:
        raise RefusedError(400, "empty: the request has no bytes, expected those of a file")
