"""`seqaudio wyoming`: an unmodified client gets its detections, a hostile one loses its connection and harms nobody."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from conftest import RATE, ROOT, Command, assert_refused, spoken
from seqaudio.audio.recording import to_int16
from seqaudio.decoding.spotting import Spotter
from seqaudio.errors import OptionError
from seqaudio.run_folder import RunFolder
from seqaudio.state import flatten

pytest.importorskip("wyoming", reason='the extra is not installed: pip install ".[wyoming]"')

from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.event import Event
from wyoming.info import Describe, Info
from wyoming.ping import Ping, Pong
from wyoming.server import AsyncTcpServer
from wyoming.wake import Detect, Detection, NotDetected

from seqaudio.decoding.wake_server import BLOCK, MOST_BYTES, WakeServer, WakeWords, _Audio


class Place:
    """A server in this process, its port, and the lines that it has logged."""

    def __init__(self, words: WakeWords) -> None:
        self.lines: list[str] = []
        self.server = WakeServer(words, self.lines.append)
        self.port = 0

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[Place]:
        listening = AsyncTcpServer("127.0.0.1", 0)
        await listening.start(self.server)
        assert listening._server is not None
        self.port = listening._server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            await listening.stop()

    def client(self) -> AsyncTcpClient:
        return AsyncTcpClient("127.0.0.1", self.port, read_timeout=60)

    async def closed(self) -> None:
        """Wait until every connection is closed."""
        for _ in range(600):
            if not self.server.clients:
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"{self.server.clients} connections are still open")


@pytest.fixture(scope="module")
def words(spotting_run: Path) -> WakeWords:
    return WakeWords([Spotter(RunFolder(spotting_run))])


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    """`two` after a second of quiet, `one` after another, and a second more, [N] float32."""
    quiet = 1e-3 * np.random.default_rng(0).standard_normal((3, RATE)).astype(np.float32)
    return np.concatenate([quiet[0], spoken(1, 1, 2), quiet[1], spoken(0, 1, 2), quiet[2]])


async def heard(
    client: AsyncTcpClient, pcm: bytes, rate: int, width: int, channels: int, seconds: float
) -> list[Event]:
    """What the server answers to audio in chunks, up to and without the pong behind its end."""
    await client.write_event(AudioStart(rate, width, channels).event())
    size = round(seconds * rate) * width * channels
    for place in range(0, len(pcm), size):
        time = 1000 * place // (width * channels * rate)
        await client.write_event(AudioChunk(rate, width, channels, pcm[place : place + size], timestamp=time).event())
    await client.write_event(AudioStop().event())
    await client.write_event(Ping().event())
    answers = []
    while True:
        event = await client.read_event()
        assert event is not None, "the server has left"
        if Pong.is_type(event.type):
            return answers
        answers.append(event)


async def detections(place: Place, sound: np.ndarray, names: list[str] | None = None) -> list[str | None]:
    """The words of a client that sends sound in chunks of 64 ms; none for NotDetected."""
    async with place.client() as client:
        await client.write_event(Detect(names=names).event())
        events = await heard(client, to_int16(sound).tobytes(), RATE, 2, 1, 0.064)
    if [event.type for event in events] == [NotDetected().event().type]:
        return []
    assert all(Detection.is_type(event.type) for event in events)
    return [Detection.from_event(event).name for event in events]


def test_a_client_is_told_the_words(words: WakeWords) -> None:
    async def session() -> Info:
        async with Place(words).serving() as place, place.client() as client:
            await client.write_event(Describe().event())
            event = await client.read_event()
            assert event is not None
            return Info.from_event(event)

    (program,) = asyncio.run(session()).wake
    assert program.installed
    assert [(model.name, model.phrase, model.installed) for model in program.models] == [
        (word, word, True) for word in ("one", "three", "two")
    ]


def test_a_word_is_a_detection_with_the_time_of_its_chunk(words: WakeWords, sound: np.ndarray) -> None:
    async def session() -> list[Event]:
        async with Place(words).serving() as place, place.client() as client:
            await client.write_event(Detect().event())
            return await heard(client, to_int16(sound).tobytes(), RATE, 2, 1, 0.064)

    found = [Detection.from_event(event) for event in asyncio.run(session())]
    assert [detection.name for detection in found] == ["two", "one"]
    spotter = words.streams(None)[0]
    hits = spotter.push(sound) + spotter.finish()
    for detection, hit in zip(found, hits, strict=True):
        assert detection.timestamp == pytest.approx(1000 * hit.at, abs=160), "a block and a chunk later at most"


def test_only_words_that_were_asked_for_are_told(words: WakeWords, sound: np.ndarray) -> None:
    async def session() -> list[list[str | None]]:
        async with Place(words).serving() as place:
            return [await detections(place, sound, names) for names in (["one"], ["three"], ["one", "two"], [])]

    assert asyncio.run(session()) == [["one"], [], ["two", "one"], ["two", "one"]]


def test_silence_is_not_detected_and_the_next_stream_begins_anew(words: WakeWords, sound: np.ndarray) -> None:
    async def session() -> list[list[str]]:
        async with Place(words).serving() as place, place.client() as client:
            parts = (np.zeros(3 * RATE, dtype=np.float32), sound, np.zeros(0, dtype=np.float32))
            heards = [await heard(client, to_int16(part).tobytes(), RATE, 2, 1, 0.1) for part in parts]
            return [[event.type for event in events] for events in heards]

    assert asyncio.run(session()) == [["not-detected"], ["detection", "detection"], ["not-detected"]]


@pytest.mark.parametrize(("times", "width", "channels"), [(2, 2, 1), (1, 4, 1), (1, 2, 2), (2, 3, 2), (1, 1, 1)])
def test_other_formats_are_converted(
    words: WakeWords, sound: np.ndarray, times: int, width: int, channels: int
) -> None:
    ends = np.arange(len(sound) * times) / times
    wide = np.interp(ends, np.arange(len(sound)), 0.45 * sound)  # channels are added
    whole = np.round(wide * (2 ** (8 * width - 1) - 1)).astype("<i8") + (128 if width == 1 else 0)
    pcm = np.repeat(whole, channels).view(np.uint8).reshape(-1, 8)[:, :width].tobytes()

    async def session() -> list[Event]:
        async with Place(words).serving() as place, place.client() as client:
            return await heard(client, pcm, RATE * times, width, channels, 0.05)

    assert [Detection.from_event(event).name for event in asyncio.run(session())] == ["two", "one"]


def test_two_clients_at_once_hear_what_each_hears_alone(words: WakeWords, sound: np.ndarray) -> None:
    async def session() -> list[list[str | None]]:
        async with Place(words).serving() as place:
            return await asyncio.gather(detections(place, sound), detections(place, sound[RATE // 2 + RATE :]))

    assert asyncio.run(session()) == [["two", "one"], ["one"]]


def test_fifty_clients_at_once_are_served_and_forgotten(words: WakeWords, sound: np.ndarray) -> None:
    async def session() -> None:
        async with Place(words).serving() as place:
            part = sound[RATE // 2 : 2 * RATE]
            found = await asyncio.gather(*(detections(place, part) for _ in range(50)))
            assert found == [["two"]] * 50
            await place.closed()
            assert len(place.lines) == place.server.detections == 50

    asyncio.run(session())


def message(kind: str = "audio-chunk", payload: bytes = b"", **data: object) -> bytes:
    head = {"type": kind, "data": {"rate": RATE, "width": 2, "channels": 1} | data, "payload_length": len(payload)}
    return json.dumps(head).encode() + b"\n" + payload


HOSTILE = {
    "garbage": (b"GET / HTTP/1.1\r\n\r\n", "no message of the Wyoming protocol"),
    "bytes": (bytes(range(128, 256)) + b"\n", "no message of the Wyoming protocol"),
    "a list": (b"[1, 2]\n", "no message of the Wyoming protocol"),
    "no type": (b'{"data": {}}\n', "no message of the Wyoming protocol"),
    "type of number": (b'{"type": 5}\n', "no message of the Wyoming protocol"),
    "nested": (b"[" * 60_000 + b"\n", "no message of the Wyoming protocol"),
    "length of text": (b'{"type": "ping", "payload_length": "9"}\n', "no message of the Wyoming protocol"),
    "endless length": (b'{"type": "ping", "payload_length": 1e999}\n', "a message of inf bytes"),
    "long header": (b'{"type": "' + b"x" * 200_000, "a header of more than 64 KiB"),
    "large payload": (b'{"type": "ping", "payload_length": 99999999999}\n', f"expected at most {MOST_BYTES:,}"),
    "large data": (b'{"type": "ping", "data_length": 2000000}\n', f"expected at most {MOST_BYTES:,}"),
    "cut off": (b'{"type": "ping", "payload_length": 100}\nabc', "left in the middle of a message"),
    "half frame": (message(payload=b"\0" * 33), "33 bytes are no whole frames of 8000 Hz, 2 bytes, 1 channels"),
    "rate of 1": (message(rate=1), "audio of 1 Hz, 2 bytes, 1 channels, expected 8000 to 192000 Hz"),
    "rate of text": (message(rate="8000"), "no integers"),
    "width": (message("audio-start", width=9), "9 bytes"),
    "channels": (message("audio-start", channels=0), "0 channels"),
    "no rate": (b'{"type": "audio-start", "data": {}}\n', "audio-start without what belongs to it"),
    "data of a list": (b'{"type": "detect", "data": [1]}\n', "detect without what belongs to it"),
    "timestamp": (message(timestamp="now"), "invalid timestamp, expected a number"),
    "other format": (message(payload=b"\0" * 4) + message(rate=16000), "went on with 16000 Hz"),
    "names": (b'{"type": "detect", "data": {"names": "one"}}\n', "no list of texts"),
    "unknown name": (b'{"type": "detect", "data": {"names": ["four\\n"]}}\n', "asked for four\\n, expected one of one"),
}  # fmt: skip


def test_whoever_misbehaves_is_closed_with_one_line_and_the_others_hear(words: WakeWords, sound: np.ndarray) -> None:
    async def attack(place: Place, content: bytes) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
        writer.write(content)
        writer.write_eof()
        with contextlib.suppress(ConnectionError):  # closed while bytes were on the way
            assert await reader.read() == b""
        writer.close()

    async def session() -> None:
        async with Place(words).serving() as place, place.client() as other:
            await other.write_event(Describe().event())
            assert await other.read_event() is not None
            for name, (content, line) in HOSTILE.items():
                before = len(place.lines)
                await asyncio.wait_for(attack(place, content), 30)
                assert len(place.lines) == before + 1, name
                assert re.fullmatch(r"127\.0\.0\.1:\d+: closed: [^\n]{10,200}", place.lines[-1]), name
                assert line in place.lines[-1], name
            assert place.server.clients == 1
            events = await heard(other, to_int16(sound).tobytes(), RATE, 2, 1, 0.08)
            assert [Detection.from_event(event).name for event in events] == ["two", "one"]

    asyncio.run(session())


def test_clients_that_leave_at_any_moment_are_forgotten_without_a_word(words: WakeWords) -> None:
    async def session() -> None:
        async with Place(words).serving() as place:
            for content in (b"", message("describe"), message("audio-start"), message(payload=bytes(RATE))):
                _, writer = await asyncio.open_connection("127.0.0.1", place.port)
                writer.write(content)
                await writer.drain()
                writer.close()
            assert await detections(place, np.zeros(100, dtype=np.float32)) == []
            await place.closed()
            assert place.lines == []

    asyncio.run(session())


def test_more_clients_than_the_most_are_turned_away(words: WakeWords, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seqaudio.decoding.wake_server.MOST_CLIENTS", 1)

    async def session() -> None:
        async with Place(words).serving() as place, place.client() as first:
            await first.write_event(Ping().event())
            assert await first.read_event() is not None
            async with place.client() as second:
                assert await second.read_event() is None
            await first.write_event(Ping().event())
            assert await first.read_event() is not None
            assert [line.partition(": ")[2] for line in place.lines] == ["closed: more than 1 clients at once"]

    asyncio.run(session())


def test_long_silence_is_nothing_and_leaves_a_stream_as_large_as_it_was(words: WakeWords) -> None:
    (stream,) = words.streams(None)
    audio = _Audio([stream], frozenset())
    chunk = AudioChunk(RATE, 2, 1, bytes(2 * RATE + 200))  # not a whole number of blocks

    def size() -> tuple[int, ...]:
        parts = [
            stream._source._extractor.state.samples,
            stream._averages._odds._past,
            *flatten(stream._source._state).values(),
        ]
        return tuple(int(np.prod(part.shape)) for part in parts)

    assert not any(audio.push(chunk))
    before = size()
    for _ in range(300):
        assert not any(audio.push(chunk))
        assert all(len(waiting) < BLOCK * RATE for waiting in audio._waiting.values())
    assert all(after <= 2 * first for after, first in zip(size(), before, strict=True))
    assert audio.finish() == []


def test_two_runs_with_one_word_are_refused(words: WakeWords) -> None:
    with pytest.raises(OptionError, match="two runs know 'one'"):
        WakeWords([*words.streams(None), *words.streams(None)])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--uri", "tcp://127.0.0.1"], "expected tcp://HOST:PORT"),
        (["--uri", "unix:///tmp/a"], "expected tcp://HOST:PORT"),
        (["--uri", "tcp://127.0.0.1:99999"], "expected tcp://HOST:PORT"),
        (["--uri", "nonsense"], "expected tcp://HOST:PORT"),
        (["--uri", "tcp://192.0.2.1:10400"], "choose another address or port"),
        (["--threshold", "four=0.5"], "expected one of the keywords one, three, two"),
        (["--threshold", "one=7"], "from 0 to 1"),
    ],
)
def test_what_cannot_be_served_is_refused_in_one_line(
    command: Command, spotting_run: Path, options: list[str], told: str
) -> None:
    assert_refused(command("seqaudio", "wyoming", spotting_run, *options), told)


def test_without_the_package_one_line_says_what_to_install(
    command: Command, spotting_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seqaudio.cli.wyoming.find_spec", lambda name: None)
    assert_refused(command("seqaudio", "wyoming", spotting_run), "pip install wyoming")


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C cannot be sent there")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_command_serves_until_a_signal_ends_it(
    spotting_run: Path, sound: np.ndarray, control_c: None, number: signal.Signals, status: int
) -> None:
    async def session(port: int) -> list[str | None]:
        place.port = port
        return await detections(place, sound)

    place = Place.__new__(Place)
    words = [sys.executable, "-m", "seqaudio.cli.main", "wyoming", str(spotting_run), "--uri", "tcp://127.0.0.1:0"]
    with subprocess.Popen(words, cwd=ROOT, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        ready = re.fullmatch(
            r"serving one, three, two at tcp://127\.0\.0\.1:(\d+); Ctrl-C ends\n", server.stderr.readline()
        )
        assert ready is not None
        assert asyncio.run(session(int(ready[1]))) == ["two", "one"]
        server.send_signal(number)
        rest = server.stderr.read().splitlines()
        assert server.wait(60) == status
    assert rest[-1] == "interrupted after 2 detections"
    assert len(rest) == 3, "a line for each detection"
