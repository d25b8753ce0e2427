"""Listen through a WebSocket: PCM of a client's microphone in, words and probabilities out, as they are heard.

    client   {"rate": 48000}, once; then bytes: 16 bits, little-endian, mono, at that rate, at most MOST_BYTES a message
    server   {"ready": true}; then for each message {"at": seconds, "levels": [C], "words": [...]}

Clients are not trusted: a session holds one stream of bounded state, and ends with a reason where the client sends
something else, sends nothing, or sends faster than it can have heard.
"""

from __future__ import annotations

import asyncio
import time
from asyncio import sleep
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
from starlette.websockets import WebSocket, WebSocketDisconnect

from seqaudio.audio.pcm import to_float
from seqaudio.audio.recording import StreamResampler
from seqaudio.errors import SeqAudioError
from seqaudio.json_files import Range, fitted, parse_json
from seqaudio.units import Seconds
from seqaudio.web.recordings import Ear, Listener

MOST_LISTENERS = 8  # at once
MOST_BYTES = 1 << 16  # of a message: a third of a second at 96 kHz
RATES = Range(8000, 192_000)  # hertz
PATIENCE: Seconds = 10.0  # without a message
AHEAD: Seconds = 5.0  # of sound that may come before its time; more waits
DIGITS = 4
REFUSED, TRY_LATER = 1008, 1013  # codes of a WebSocket's end


class ListenerError(Exception):
    """Something that a client sent, and for which its session ends; the message is for the client."""


class Listeners:
    """The sessions of all clients.

    run: runs a function in a thread, the same for all, as compiled steps of one model are not for two at once.
    """

    def __init__(self, run: Callable[..., Any]) -> None:
        self.now = 0
        self._run = run

    async def serve(self, socket: WebSocket, listener: Listener) -> None:
        """One session, from its acceptance to its end."""
        await socket.accept()
        self.now += 1
        try:
            if self.now > MOST_LISTENERS:
                await socket.close(TRY_LATER, f"{MOST_LISTENERS} are listening already; try again later")
                return
            await self._session(socket, listener)
        except ListenerError as error:
            await socket.close(REFUSED, str(error))
        except WebSocketDisconnect:  # it is gone, maybe while it was answered
            pass
        finally:
            self.now -= 1

    async def _session(self, socket: WebSocket, listener: Listener) -> None:
        rate = rate_of((await _next(socket)).get("text"))
        stream = await self._run(_Stream, listener, rate)
        await socket.send_json({"ready": True})
        begun = time.monotonic()
        while True:
            found = await self._run(stream.push, samples_of(await _next(socket)))
            await socket.send_json(found)
            early = stream.seconds - (time.monotonic() - begun) - AHEAD
            if early > 0:
                await sleep(early)


class _Stream:
    """The sound of one client."""

    def __init__(self, listener: Listener, rate: int) -> None:
        self.ear: Ear = listener.ear()
        self.rate = rate
        self.seconds = 0.0  # of sound so far
        wanted = listener.settings.sample_rate
        self._resampler = None if rate == wanted else StreamResampler(rate, wanted)

    def push(self, samples: np.ndarray) -> dict[str, Any]:
        """The words of the next samples, and the highest probability of each label in them."""
        self.seconds += len(samples) / self.rate
        own = samples if self._resampler is None else self._resampler.push(samples)
        heard = self.ear.push(own)
        levels = None if heard.levels is None else [round(float(value), DIGITS) for value in heard.levels]
        return {"at": round(self.seconds, 3), "levels": levels, "words": heard.words}


async def _next(socket: WebSocket) -> dict[str, Any]:
    """The next message. Raises ListenerError where none comes, WebSocketDisconnect where the client leaves."""
    try:
        async with asyncio.timeout(PATIENCE):
            message = await socket.receive()
    except TimeoutError:
        raise ListenerError(f"no sound came for {PATIENCE:g} s") from None
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect
    return dict(message)


def rate_of(text: str | None) -> int:
    """The rate that the first message of a client names. Raises ListenerError for any other message."""
    try:
        data = parse_json(text or "")
        return int(fitted(Annotated[int, RATES], data.get("rate") if isinstance(data, dict) else None, "rate"))
    except (ValueError, SeqAudioError) as error:
        raise ListenerError(
            f'the first message tells the rate of the sound, such as {{"rate": 48000}}: {error}'[:120]
        ) from None


def samples_of(message: dict[str, Any]) -> np.ndarray:
    """The samples [n] float32 of a message. Raises ListenerError for what is no sound."""
    content = message.get("bytes")
    if content is None or len(content) % 2 or len(content) > MOST_BYTES:
        got = "a text" if content is None else f"{len(content):,} bytes"
        raise ListenerError(f"got {got}, expected samples of 16 bits, at most {MOST_BYTES:,} bytes")
    return to_float(content, "16")
