"""A server of `seqaudio serve` in a thread of the test's process, and a client that believes nothing."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from seqaudio.cli.serve import server_of
from seqaudio.web.server import Served
from seqaudio.web.work import Work

SECONDS, MEGABYTES = 10.0, 1.0


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def data(self) -> Any:
        return json.loads(self.content)

    @property
    def error(self) -> str:
        """The line that the server refuses with."""
        assert list(self.data) == ["error"], self.content[:300]
        line: str = self.data["error"]
        assert line
        assert line.isprintable()
        assert "Traceback" not in line
        return line


class Place:
    """A server in a thread of this process, and where it keeps temporary files."""

    def __init__(self, served: Served, temporary: Path) -> None:
        self.temporary = temporary
        self._server = server_of(served)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        serving = self._server.serve(sockets=[self._socket])
        self._thread = threading.Thread(target=lambda: asyncio.run(serving), daemon=True)

    @property
    def work(self) -> Work:
        work: Work = self._server.config.app.state.work  # type: ignore[union-attr]
        return work

    def __enter__(self) -> Place:
        self._thread.start()
        wait(lambda: self._server.started)
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.should_exit = True
        self._thread.join(30)
        self._socket.close()
        assert not self._thread.is_alive()

    def ask(
        self, path: str, content: Any = None, headers: Mapping[str, str] | None = None, method: str | None = None
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        with contextlib.closing(connection):
            connection.request(method or ("GET" if content is None else "POST"), path, content, dict(headers or {}))
            found = connection.getresponse()
            return Answer(found.status, dict(found.getheaders()), found.read())

    def hear(self, content: bytes, model: str = "spotter", **headers: str) -> Answer:
        return self.ask(f"/api/hear?model={quote(model)}", content, headers)

    def compose(self, **asked: Any) -> Answer:
        return self.ask("/api/compose", json.dumps({"model": "tunes"} | asked).encode())

    def left_on_disk(self) -> list[Path]:
        # torch keeps a cache of its compiler there, whatever it computes
        return sorted(path for path in self.temporary.rglob("*") if "torchinductor" not in str(path))


def wait(look: Callable[[], Any]) -> None:
    end = time.monotonic() + 60
    while not look():
        assert time.monotonic() < end
        time.sleep(0.01)


@contextlib.contextmanager
def holding(place: Place) -> Iterator[Callable[[], None]]:
    """Keep the server's worker busy until what is yielded is called."""
    event = threading.Event()

    async def hold() -> None:
        async with place.work.turn() as turn:
            await place.work.run(turn, lambda: event.wait(60))

    loop = place._server.servers[0].get_loop()
    done = asyncio.run_coroutine_threadsafe(hold(), loop)
    wait(lambda: place.work._line)
    try:
        yield event.set
    finally:
        event.set()
        done.result(60)
