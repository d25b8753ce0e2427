"""The application: the page and what it asks for.

    GET  /                          the page, and its files
    GET  /api/models                the models and the limits
    POST /api/hear?model=NAME       a recording -> what is heard in it, and what that rests on
    POST /api/compose               `pieces.Asked` as JSON -> a piece
    POST /api/roll, /api/sound      a MIDI file -> its notes, or a WAV
    GET  /api/place/TICKET          how many come before the request with the header X-Ticket: TICKET
    WS   /api/listen?model=NAME     see `live.py`

Errors are JSON, {"error": one line}. Requests wait for each other (`work.py`); a client that has left is skipped.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from fastapi import FastAPI, WebSocket
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from seqaudio.errors import InputFileError, SeqAudioError
from seqaudio.json_files import checked, parse_json
from seqaudio.ledger import Reason
from seqaudio.progress import say
from seqaudio.units import Seconds
from seqaudio.version import __version__
from seqaudio.web.live import REFUSED, Listeners
from seqaudio.web.pieces import MIDI_MEGABYTES, MOST_SECONDS, Asked, Musician, notes_of, piece_of, roll, sound_of
from seqaudio.web.recordings import Listener
from seqaudio.web.safety import OwnPage
from seqaudio.web.uploads import MEGABYTE, LeftError, RefusedError, body, uploaded
from seqaudio.web.work import BusyError, Turn, Work

PAGE = Path(__file__).parent / "page"
# by the last part of an address: the only files of the page that are given out
FILES = {"": "index.html"} | {
    name: name for name in ("page.css", "page.js", "plots.js", "sound.js", "capture.js", "icon.svg")
}
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
MOST_WAITING = 32  # requests at once
MOST_CONNECTIONS = 256
MOST_JSON = round(2 * MIDI_MEGABYTES * MEGABYTE)
TOO_LARGE, UNSUPPORTED, NOT_FOUND, BUSY = 413, 415, 404, 503
STATUS = {Reason.TOO_LONG: TOO_LARGE} | dict.fromkeys(
    (Reason.NOT_AUDIO, Reason.NEEDS_EXTRA, Reason.NOT_MIDI), UNSUPPORTED
)

T = TypeVar("T")


@dataclass(frozen=True)
class Served:
    """The models by their names, the bounds of what clients send, and where the server listens."""

    listeners: Mapping[str, Listener]
    musicians: Mapping[str, Musician]
    max_seconds: Seconds
    max_megabytes: float
    host: str
    names: Sequence[str] = ()
    notes: Mapping[str, str] = field(default_factory=dict)  # a line about each model, where there is one


def application(served: Served) -> FastAPI:
    """The application of some models, for a server of ASGI."""
    return _Site(served).app


class _Site:
    def __init__(self, served: Served) -> None:
        self.served = served
        self.work = Work(MOST_WAITING)
        self.live = ThreadPoolExecutor(1, "seqaudio-listen")
        self.listeners = Listeners(self._in_live_thread)
        self._paths = {str(one.run.path): name for name, one in served.listeners.items()}
        self._paths |= {str(one.run.path): name for name, one in served.musicians.items()}
        # no pages about the API: they load scripts from elsewhere
        self.app = FastAPI(
            title="seqaudio",
            version=__version__,
            lifespan=self._lifespan,
            openapi_url=None,
            docs_url=None,
            redoc_url=None,
        )
        self.app.state.work = self.work
        self.app.add_middleware(OwnPage, host=served.host, names=served.names)
        self.app.add_exception_handler(HTTPException, _told_status)
        for address, ask in (
            ("/api/hear", self.hear),
            ("/api/compose", self.compose),
            ("/api/roll", partial(self.midi, lambda content: roll(notes_of(content)))),
            ("/api/sound", partial(self.midi, sound_of)),
        ):
            self.app.add_route(address, self._answering(ask), methods=["POST"])
        self.app.add_route("/api/models", self.models, methods=["GET"])
        self.app.add_route("/api/place/{ticket}", self.place, methods=["GET"])
        self.app.add_api_websocket_route("/api/listen", self.listen)
        self.app.add_route("/{name:path}", self.file, methods=["GET"])

    @asynccontextmanager
    async def _lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        del app
        warm = asyncio.create_task(self._warm())
        yield
        warm.cancel()
        self.work.close()
        self.live.shutdown(wait=True, cancel_futures=True)

    async def _warm(self) -> None:
        """Compile what the first recording would wait for."""
        for listener in self.served.listeners.values():
            async with self.work.turn() as turn:
                await self.work.run(turn, listener.warm)

    async def models(self, request: Request) -> Response:
        served = self.served
        heard = [self._about(name, one) | {"live": one.live} for name, one in served.listeners.items()]
        composed = [self._about(name, one) for name, one in served.musicians.items()]
        limits = {
            "seconds": served.max_seconds,
            "bytes": round(served.max_megabytes * MEGABYTE),
            "midi_bytes": round(MIDI_MEGABYTES * MEGABYTE),
            "piece_seconds": MOST_SECONDS,
        }
        return JSONResponse({"version": __version__, "listeners": heard, "musicians": composed, "limits": limits})

    def _about(self, name: str, model: Listener | Musician) -> dict[str, Any]:
        return {"name": name, "note": self.served.notes.get(name, ""), **model.about()}

    async def place(self, request: Request) -> Response:
        return JSONResponse({"place": self.work.place(request.path_params["ticket"])})

    async def file(self, request: Request) -> Response:
        name = FILES.get(request.path_params["name"])
        if name is None:
            raise HTTPException(NOT_FOUND, "no such address")
        path = PAGE / name
        return FileResponse(path, media_type=TYPES[path.suffix], headers={"Cache-Control": "no-cache"})

    async def hear(self, request: Request, turn: Turn) -> Response:
        listener = _chosen(self.served.listeners, request.query_params.get("model", ""))
        async with uploaded(request, round(self.served.max_megabytes * MEGABYTE)) as path:
            found = await self._done(request, turn, lambda: listener.hear(path, self.served.max_seconds))
        return JSONResponse(found)

    async def compose(self, request: Request, turn: Turn) -> Response:
        content = await body(request, MOST_JSON)
        try:
            asked = checked(Asked, parse_json(content.decode()))
        except ValueError as error:
            raise RefusedError(400, f"the request does not fit: {error}") from None
        musician = _chosen(self.served.musicians, asked.model)
        return JSONResponse(await self._done(request, turn, lambda: piece_of(musician, asked)))

    async def midi(self, use: Callable[[bytes], Any], request: Request, turn: Turn) -> Response:
        content = await body(request, round(MIDI_MEGABYTES * MEGABYTE))
        found = await self._done(request, turn, lambda: use(content))
        return Response(found, media_type="audio/wav") if isinstance(found, bytes) else JSONResponse(found)

    async def listen(self, socket: WebSocket) -> None:
        listener = self.served.listeners.get(socket.query_params.get("model", ""))
        if listener is None or not listener.live:
            await socket.close(REFUSED, "no model of this name listens live")
            return
        await self.listeners.serve(socket, listener)

    async def _in_live_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.live, partial(function, *arguments))

    async def _done(self, request: Request, turn: Turn, job: Callable[[], T]) -> T:
        """The result of a job, in its turn. Raises LeftError for a client that leaves while it waits."""
        task = asyncio.ensure_future(self.work.run(turn, job))
        leaving = asyncio.ensure_future(_left(request))
        try:
            await asyncio.wait((task, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not task.done() and not self.work.is_doing(turn):
                raise LeftError
            return await task  # what is being done cannot be broken off
        finally:
            leaving.cancel()
            task.cancel()

    def _line(self, line: str) -> str:
        """A line of a command as one for the page: fields in place of options, models in place of folders."""
        for path in sorted(self._paths, key=len, reverse=True):  # one may begin as another
            line = line.replace(path, self._paths[path])
        return " ".join(line.replace("--", "").split())

    def _answering(
        self, ask: Callable[[Request, Turn], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        """An address whose errors are told in one line."""

        async def answer(request: Request) -> Response:
            try:
                async with self.work.turn(request.headers.get("x-ticket", "")) as turn:
                    return await ask(request, turn)
            except BusyError as error:
                return JSONResponse({"error": str(error)}, BUSY, {"Retry-After": "30"})
            except RefusedError as error:
                return JSONResponse({"error": str(error)}, error.status)
            except LeftError:
                return Response(status_code=499)  # nobody reads it
            except InputFileError as error:
                return JSONResponse({"error": _line(error)}, STATUS.get(error.reason, 400))
            except SeqAudioError as error:
                return JSONResponse({"error": self._line(str(error))}, 400)
            except (OSError, MemoryError, RuntimeError, ValueError) as error:
                say(f"error: {request.url.path}: {type(error).__name__}: {error}")
                return JSONResponse({"error": "the server failed at this; its log has the reason"}, 500)

        return answer


def _chosen(models: Mapping[str, T], name: str) -> T:
    """The model of a name. Raises RefusedError for any other."""
    if name not in models:
        raise RefusedError(
            NOT_FOUND, f"no model of this name is served for this; there are: {', '.join(models) or 'none'}"
        )
    return models[name]


async def _left(request: Request) -> None:
    """Return when the client leaves."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _line(error: InputFileError) -> str:
    """The reason and the detail, without the path, which is the server's."""
    detail = error.detail
    if error.reason is Reason.TOO_LONG:
        detail = detail.partition("; ")[0]  # options of commands, which a client does not have
    return f"{error.reason.value.replace('_', ' ')}: {' '.join(detail.split())}"


async def _told_status(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail.lower()}, error.status_code)
