"""A wake-word server as Home Assistant's Wyoming integration expects it: audio of many clients in, detections out.

    words = WakeWords([Spotter(RunFolder("runs/hey"))])
    server = AsyncServer.from_uri("tcp://127.0.0.1:10400")
    await server.start(WakeServer(words, log=print))

Protocol and server are those of the package `wyoming`. Clients are not trusted: what each of them may hold is bounded,
and one that misbehaves is told to the log in one line and loses its connection.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeVar, cast

import numpy as np
from wyoming.audio import AudioChunk, AudioChunkConverter, AudioFormat, AudioStart, AudioStop
from wyoming.event import Event, Eventable, async_read_event
from wyoming.info import Attribution, Describe, Info, WakeModel, WakeProgram
from wyoming.ping import Ping, Pong
from wyoming.server import AsyncEventHandler
from wyoming.wake import Detect, Detection, NotDetected

from seqaudio.audio.pcm import to_float
from seqaudio.decoding.spotting import Hit, Spotter
from seqaudio.errors import OptionError
from seqaudio.terminal import few, visible
from seqaudio.units import Seconds
from seqaudio.version import __version__

MOST_BYTES = (
    1 << 20
)  # of the data or the audio of a message: half a minute at 16 kHz; asyncio's limit of a header is 64 KiB
PATIENCE: Seconds = 30.0  # for the rest of a message whose header has come
MOST_CLIENTS = 256  # at once
RATES = range(8000, 192_001)  # hertz
WIDTHS = (1, 2, 3, 4)  # bytes
CHANNELS = (1, 2)  # those that the converter mixes
BLOCK: Seconds = 0.08  # of sound that is spotted at once: fewer and longer steps serve more clients
QUIET_FOR = 60  # seconds after which the system asks whether a silent client is still there
SHOWN = 12  # words that a message names

E = TypeVar("E", bound=Eventable)
Log = Callable[[str], None]


class ClientError(Exception):
    """Something that a client sent, and for which it loses its connection."""


class WakeWords:
    """Spotters that were loaded once, by the words that they know.

    Args:
        spotters: at least one; connections never push into these.
    Raises:
        OptionError: two of them know the same word.
    """

    def __init__(self, spotters: Sequence[Spotter]) -> None:
        self._by_word: dict[str, Spotter] = {}
        for spotter in spotters:
            for word in spotter.keywords:
                if word in self._by_word:
                    raise OptionError(f"two runs know {word!r}; a client could not choose, serve one of them")
                self._by_word[word] = spotter
        self.words = tuple(self._by_word)

    def streams(self, names: Sequence[str] | None) -> list[Spotter]:
        """New streams of the models that know some words, of all models for None or no name."""
        different = {id(spotter): spotter for spotter in map(self._by_word.__getitem__, self.chosen(names))}
        return [spotter.another() for spotter in different.values()]

    def chosen(self, names: Sequence[str] | None) -> tuple[str, ...]:
        """The words that names mean: all for None or no name. Raises ClientError for a word that no model knows."""
        chosen = tuple(names or self.words)
        for name in chosen:
            if name not in self._by_word:
                raise ClientError(f"asked for {few([name], 1)}, expected one of {few(self.words, SHOWN)}")
        return chosen

    def info(self) -> Info:
        """The program and its words, each a model of its own, as Home Assistant lists them."""
        by = Attribution(name="seqaudio", url="")
        models = [
            WakeModel(
                name=word,
                description=word,
                phrase=word,
                attribution=by,
                installed=True,
                version=__version__,
                languages=[],
            )
            for word in self.words
        ]
        about = "keywords of recurrent nets, in streams"
        program = WakeProgram(
            name="seqaudio", description=about, attribution=by, installed=True, version=__version__, models=models
        )
        return Info(wake=[program])


class WakeServer:
    """The handlers of connections, for `AsyncServer.start`.

    words: what is listened for. log: takes a line for each detection and each connection that is closed for its fault.
    """

    def __init__(self, words: WakeWords, log: Log) -> None:
        self.words = words
        self.log = log
        self.info = words.info().event()
        self.clients = 0  # connected now
        self.detections = 0  # since the start

    def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> AsyncEventHandler:
        """The handler of a new connection."""
        return _Connection(self, reader, writer)


class _Format(NamedTuple):
    rate: int
    width: int
    channels: int

    def __str__(self) -> str:
        return f"{self.rate} Hz, {self.width} bytes, {self.channels} channels"


class _Audio:
    """The sound of one client from AudioStart to AudioStop, in blocks that all its streams take."""

    def __init__(self, streams: list[Spotter], names: frozenset[str]) -> None:
        self._streams = streams
        self._names = names  # words that are told; none: all
        self._format: _Format | None = None
        self._converters = {stream.settings.sample_rate: self._converter(stream) for stream in streams}
        self._waiting = {rate: np.zeros(0, dtype=np.float32) for rate in self._converters}

    @staticmethod
    def _converter(stream: Spotter) -> AudioChunkConverter:
        return AudioChunkConverter(rate=stream.settings.sample_rate, width=2, channels=1)

    def push(self, chunk: AudioChunk) -> Iterator[list[Hit]]:
        """The hits of each block that a chunk completes. Raises ClientError for half frames and another format."""
        format_ = format_of(chunk)
        if self._format not in (None, format_):
            raise ClientError(f"audio of {self._format} went on with {format_}")
        self._format = format_
        if len(chunk.audio) % (format_.width * format_.channels):
            raise ClientError(f"{len(chunk.audio):,} bytes are no whole frames of {format_}")
        if not chunk.audio:
            return
        for rate, converter in self._converters.items():
            samples = to_float(converter.convert(chunk).audio, "16")
            samples = np.concatenate([self._waiting[rate], samples])
            size = round(BLOCK * rate)
            whole = len(samples) // size * size
            self._waiting[rate] = samples[whole:]
            for place in range(0, whole, size):
                yield self._told(rate, samples[place : place + size])

    def finish(self) -> list[Hit]:
        """The hits that waited for the end."""
        hits = [hit for rate, samples in self._waiting.items() for hit in self._told(rate, samples)]
        hits += [hit for stream in self._streams for hit in stream.finish() if self._asked(hit)]
        return hits

    def _told(self, rate: int, block: np.ndarray) -> list[Hit]:
        streams = (stream for stream in self._streams if stream.settings.sample_rate == rate)
        return [hit for stream in streams for hit in stream.push(block) if self._asked(hit)]

    def _asked(self, hit: Hit) -> bool:
        return not self._names or hit.keyword in self._names


class _Connection(AsyncEventHandler):
    """One client: its words, its audio, and what it is told."""

    def __init__(self, server: WakeServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super().__init__(reader, writer)
        self.server = server
        self._names: list[str] | None = None
        self._audio: _Audio | None = None
        self._heard = 0  # since AudioStart
        self._milliseconds = 0.0  # of audio since AudioStart
        name = writer.get_extra_info("peername") or ("a client",)
        self._peer = ":".join(str(part) for part in name[:2])

    async def run(self) -> None:
        """Answer events until the client leaves, or misbehaves."""
        self._is_running = True
        self.server.clients += 1
        ask_after_silence(self.writer)
        try:
            if self.server.clients > MOST_CLIENTS:
                raise ClientError(f"more than {MOST_CLIENTS} clients at once")
            while self._is_running and (event := await read_bounded(self.reader)) is not None:
                await self.handle_event(event)
        except ClientError as error:
            self.server.log(f"{self._peer}: closed: {visible(error)}")
        except OSError:  # it is gone, and nobody waits for an answer
            pass
        finally:
            self.server.clients -= 1
            self._audio = None
            self.writer.close()

    async def handle_event(self, event: Event) -> bool:
        """Answer an event; those of other services are ignored. Raises ClientError for what is none."""
        if Describe.is_type(event.type):
            await self.write_event(self.server.info)
        elif Ping.is_type(event.type):
            await self.write_event(Pong(text=parsed(Ping, event).text).event())
        elif Detect.is_type(event.type):
            self._names = names_of(parsed(Detect, event))
            self._audio = None
            self.server.words.chosen(self._names)
        elif AudioStart.is_type(event.type):
            format_of(parsed(AudioStart, event))
            self._start()
        elif AudioChunk.is_type(event.type):
            await self._hear(parsed(AudioChunk, event))
        elif AudioStop.is_type(event.type):
            await self._stop_audio()
        return True

    def _start(self) -> _Audio:
        self._heard, self._milliseconds = 0, 0.0
        self._audio = _Audio(self.server.words.streams(self._names), frozenset(self._names or ()))
        return self._audio

    async def _hear(self, chunk: AudioChunk) -> None:
        audio = self._audio or self._start()  # some clients send no AudioStart
        for hits in audio.push(chunk):
            await self._tell(hits, chunk.timestamp)
            await asyncio.sleep(0)  # a long chunk must not keep the others waiting
        self._milliseconds += 1000.0 * chunk.seconds

    async def _stop_audio(self) -> None:
        if self._audio is not None:
            await self._tell(self._audio.finish(), None)
        if not self._heard:
            await self.write_event(NotDetected().event())
        self._audio, self._heard = None, 0

    async def _tell(self, hits: list[Hit], timestamp: int | None) -> None:
        """Send a detection for each hit, with the time of the chunk in which it was reported."""
        at = round(self._milliseconds) if timestamp is None else timestamp
        for hit in hits:
            self._heard += 1
            self.server.detections += 1
            self.server.log(f"{self._peer}: {hit.keyword} ({hit.confidence:.3f})")
            await self.write_event(Detection(name=hit.keyword, timestamp=at).event())


class _Bounded:
    """A reader that takes no more from a client than messages need, and does not wait for ever for their rest."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self.ended = False

    async def readline(self) -> bytes:
        try:
            line = await self._reader.readline()
        except ValueError:  # beyond the limit of the reader
            raise ClientError("a header of more than 64 KiB") from None
        self.ended = not line
        return line

    async def readexactly(self, count: int) -> bytes:
        if not isinstance(count, int) or count > MOST_BYTES:
            raise ClientError(f"a message of {few([count], 1)} bytes, expected at most {MOST_BYTES:,}")
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._reader.readexactly(count)
        except asyncio.IncompleteReadError:
            raise ClientError("left in the middle of a message") from None
        except TimeoutError:
            raise ClientError(f"sent no more of a message for {PATIENCE:g} s") from None


async def read_bounded(reader: asyncio.StreamReader) -> Event | None:
    """The next event, None at the end. Raises ClientError for bytes that are none, and for more than the bounds."""
    bounded = _Bounded(reader)
    try:
        event = await async_read_event(cast(asyncio.StreamReader, bounded))
    except (AttributeError, KeyError, TypeError, RecursionError):
        event = None
    if not (bounded.ended if event is None else isinstance(event.type, str)):
        raise ClientError("sent what is no message of the Wyoming protocol")
    return event


def parsed(kind: type[E], event: Event) -> E:
    """An event as the package reads it. Raises ClientError where fields are missing."""
    try:
        return cast(E, kind.from_event(event))
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ClientError(f"sent {few([event.type], 1)} without what belongs to it") from None


def format_of(audio: AudioFormat) -> _Format:
    """The audio format of an event. Raises ClientError for an unsupported one, and for an invalid timestamp."""
    found = _Format(audio.rate, audio.width, audio.channels)
    timestamp = getattr(audio, "timestamp", None)
    if not all(type(value) is int for value in found):
        raise ClientError("audio whose rate, width and channels are no integers")
    if found.rate not in RATES or found.width not in WIDTHS or found.channels not in CHANNELS:
        expected = f"{RATES.start} to {RATES.stop - 1} Hz, 1 to 4 bytes, 1 or 2 channels"
        raise ClientError(f"audio of {found}, expected {expected}")
    if timestamp is not None and not isinstance(timestamp, int | float):
        raise ClientError("audio with an invalid timestamp, expected a number")
    return found


def names_of(detect: Detect) -> list[str] | None:
    """The words that a client asks for, None for all. Raises ClientError where they are no list of texts."""
    names: object = detect.names
    if names is not None and not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        raise ClientError("names of words that are no list of texts")
    return cast("list[str] | None", names)


def ask_after_silence(writer: asyncio.StreamWriter) -> None:
    """Let the system ask silent clients whether they are still there, so that lost ones do not add up."""
    connection = writer.get_extra_info("socket")
    if connection is None:
        return
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, QUIET_FOR)
