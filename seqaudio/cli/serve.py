"""Serve a page in the browser: record or drop sound and see what a model hears, compose music and hear it.

Example: seqaudio serve
         seqaudio serve digits runs/hey runs/tunes --port 9000

Runs are those of keyword_recognition, speech_recognition, music_generation and polyphonic_music, or names of models
that come with seqaudio; by default all of these models. Only this machine can open the page: --host 0.0.0.0 lets other
machines in, without passwords or encryption, and browsers then offer no microphone. Needs the extra web. docs/serve.md
has the limits, and says what is stored. Ctrl-C ends it.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from seqaudio.errors import OptionError, RunError, how_to_install
from seqaudio.interruption import Interrupted, number_of
from seqaudio.progress import say
from seqaudio.terminal import few
from seqaudio.trained import card_of, packaged

if TYPE_CHECKING:
    import uvicorn

    from seqaudio.web.pieces import Musician
    from seqaudio.web.recordings import Listener
    from seqaudio.web.server import Served

SHOWN = 12  # models that a line names
MUSICAL = ("music_generation", "polyphonic_music")  # recipes
PACKAGES = ("fastapi", "uvicorn", "websockets")


@dataclass(frozen=True)
class Config:
    """The models, and where and within which limits they are served."""

    runs: tyro.conf.Positional[tuple[Path, ...]]  # run folders, or names of packaged models; by default all of these
    host: str = "127.0.0.1"  # where to listen; 0.0.0.0 lets other machines in
    port: int = 8000  # where to listen; 0 takes a free one
    name: tuple[str, ...] = ()  # further host names under which the page is opened, such as that of a proxy
    max_seconds: float = 60.0  # longer recordings are refused
    max_megabytes: float = 32.0  # larger uploads are refused


def main(config: Config) -> None:
    """Load the models once, and serve until Ctrl-C."""
    if missing := [name for name in PACKAGES if find_spec(name) is None]:
        raise OptionError(f"serve needs {' and '.join(missing)}: {how_to_install('web')}")
    served = models(config)
    listening = bound(config.host, config.port)
    where = f"[{config.host}]" if ":" in config.host else config.host
    address = f"http://{where}:{listening.getsockname()[1]}/"
    names = few([*served.listeners, *served.musicians], SHOWN)
    try:
        server = server_of(served)
        say(f"serving {names} at {address}; Ctrl-C ends")
        asyncio.run(server.serve(sockets=[listening]))  # raises a signal again once it has ended
    except KeyboardInterrupt as interrupt:
        raise Interrupted("", number_of(interrupt)) from None
    finally:
        listening.close()


def models(config: Config) -> Served:
    """The models of the runs, loaded, by name. Raises RunError for a run that cannot be served."""
    from seqaudio.api.music import Music
    from seqaudio.run_folder import RunFolder
    from seqaudio.web.pieces import Musician
    from seqaudio.web.recordings import SPEECH, listener_of
    from seqaudio.web.server import Served

    shown = (*SPEECH, *MUSICAL)
    listeners: dict[str, Listener] = {}
    musicians: dict[str, Musician] = {}
    notes: dict[str, str] = {}
    for path in config.runs or tuple(map(Path, packaged())):
        run = RunFolder(path, shown)
        name = _free_name(run.path.resolve().name, {*listeners, *musicians})
        if run.recipe not in shown:
            raise RunError(f"{path}: a run of {run.recipe!r}; the page shows those of {', '.join(shown)}")
        if run.recipe in SPEECH:
            listeners[name] = listener_of(run)
        else:
            musicians[name] = Musician(Music(run))
        if card := card_of(run.path):
            notes[name] = f"{card.about} Licence: {card.licence}."
    limits = (config.max_seconds, config.max_megabytes)
    return Served(listeners, musicians, *limits, config.host, config.name, notes)


def _free_name(name: str, taken: set[str]) -> str:
    """The name, or it with a number where another run has it."""
    numbered = (f"{name}-{number}" for number in range(2, len(taken) + 3))
    return next(one for one in (name, *numbered) if one not in taken)


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises OptionError where the address cannot be had."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError, UnicodeError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or error
        raise OptionError(f"--host {host} --port {port}: {why}; choose another address or port") from None


def server_of(served: Served) -> uvicorn.Server:
    """The server of some models, not yet started."""
    import uvicorn

    from seqaudio.web.live import MOST_BYTES
    from seqaudio.web.server import MOST_CONNECTIONS, application

    config = uvicorn.Config(
        application(served),
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        ws="websockets-sansio",
        ws_max_size=MOST_BYTES,
        ws_max_queue=16,
        ws_per_message_deflate=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=3,
    )
    return uvicorn.Server(config)
