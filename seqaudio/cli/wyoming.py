"""Serve wake words to Home Assistant: a server of the Wyoming protocol that says when a word of a run was heard.

Example: seqaudio wyoming runs/hey
         seqaudio wyoming runs/hey runs/lights --uri tcp://0.0.0.0:10400 --threshold "hey computer=0.6"

Serves many clients at once until Ctrl-C is pressed. Runs are those of keyword_recognition that were trained on streams;
needs the extra wyoming. docs/home_assistant.md says how to add the server there.
"""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import tyro

from seqaudio.errors import OptionError, how_to_install
from seqaudio.interruption import Interrupted
from seqaudio.progress import say
from seqaudio.terminal import few

if TYPE_CHECKING:
    from seqaudio.decoding.wake_server import WakeServer

SHOWN = 12  # words that a line names
# event loops of Windows have no handlers of signals: Ctrl-C is a KeyboardInterrupt there, as in every command
SIGNALS = () if os.name == "nt" else (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True)
class Config:
    """The models, and where they are served."""

    runs: tyro.conf.Positional[tuple[Path, ...]]  # run folders of the recipe keyword_recognition, trained on streams
    uri: str = "tcp://127.0.0.1:10400"  # where to listen; 0.0.0.0 lets other machines in
    threshold: tuple[str, ...] = ()  # from which confidence on a word counts, such as yes=0.6; 0.6 alone: every word


def main(config: Config) -> None:
    """Load the models once, and answer clients until Ctrl-C; detections and refused clients are lines on stderr."""
    check_uri(config.uri)
    if not config.runs:
        raise OptionError("no run to serve; name run folders of keyword_recognition")
    if find_spec("wyoming") is None:
        raise OptionError(f"a server for Home Assistant needs the package wyoming: {how_to_install('wyoming')}")

    from seqaudio.cli.listen import thresholds_of
    from seqaudio.decoding.spotting import Spotter, keywords_of
    from seqaudio.decoding.wake_server import WakeServer, WakeWords
    from seqaudio.run_folder import RunFolder

    runs = [RunFolder(path, ("keyword_recognition",)) for path in config.runs]
    known = [keywords_of(run.vocabulary) for run in runs]
    every = tuple(word for words in known for word in words)
    thresholds = thresholds_of(config.threshold, every)
    for word in thresholds:
        if word not in every:
            raise OptionError(f"--threshold {word}, expected one of the keywords {few(every, SHOWN)}")
    spotters = [
        Spotter(run, {word: value for word, value in thresholds.items() if word in words})
        for run, words in zip(runs, known, strict=True)
    ]
    server = WakeServer(WakeWords(spotters), log=say)
    number = asyncio.run(serve(server, config.uri))
    count = server.detections
    raise Interrupted(f"after {count:,} detection{'' if count == 1 else 's'}", number)


def check_uri(uri: str) -> None:
    """Raise OptionError for what is not tcp://HOST:PORT."""
    try:
        parts = urlsplit(uri)
        fits = parts.scheme == "tcp" and bool(parts.hostname) and parts.port is not None and not parts.path.strip("/")
    except ValueError:
        fits = False
    if not fits:
        raise OptionError(f"--uri {uri}, expected tcp://HOST:PORT, such as tcp://127.0.0.1:10400")


async def serve(server: WakeServer, uri: str) -> int:
    """Serve until SIGINT or SIGTERM comes; its number. Raises OptionError where the address cannot be had."""
    from wyoming.server import AsyncServer, AsyncTcpServer

    came: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def end(number: int) -> None:
        if not came.done():
            came.set_result(number)

    listening = AsyncServer.from_uri(uri)
    assert isinstance(listening, AsyncTcpServer)
    try:
        await listening.start(server)
    except OSError as error:
        raise OptionError(f"--uri {uri}: {error.strerror or error}; choose another address or port") from None
    if urlsplit(uri).port == 0 and isinstance(listening._server, asyncio.Server):  # say which one the system chose
        uri = f"{uri.rpartition(':')[0]}:{listening._server.sockets[0].getsockname()[1]}"
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, end, number)
    try:
        say(f"serving {few(server.words.words, SHOWN)} at {uri}; Ctrl-C ends")
        return await came
    finally:
        await listening.stop()
        for number in SIGNALS:
            loop.remove_signal_handler(number)
