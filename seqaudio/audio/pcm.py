"""PCM that comes in by bytes: its format, as options or the header of a WAV give it, and its samples.

Programs such as arecord put the header of a WAV before what they write to a pipe, with a length that they cannot know.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import numpy as np

from seqaudio.audio.channels import MeanOfChannels
from seqaudio.audio.recording import SAMPLE_RATES, from_int16
from seqaudio.errors import AudioError
from seqaudio.ledger import Reason

Width = Literal["8", "16", "24", "32", "float32"]
BYTES: dict[Width, int] = {"8": 1, "16": 2, "24": 3, "32": 4, "float32": 4}
MOST_CHANNELS = 64
HEADER = 1 << 16  # bytes before the samples of a WAV: more are no header
UNKNOWN_LENGTH = 0x7FFFF000  # a header that promises this many bytes or more was written before the sound
LOUDEST = 1e6  # times full scale, +120 dB: louder floats are bytes of something else
OTHERS = {
    b"fLaC": "FLAC",
    b"OggS": "Ogg",
    b"ID3": "MP3",
    b"FORM": "AIFF",
    b"RF64": "RF64",
    b".snd": "AU",
    b"caff": "CAF",
}
# integer samples of another width than stated give noise at full scale, or jump from end to end, as no recording does
NOISE_SECONDS = 1.0  # of the beginning that are looked at
NOISE_POWER = 0.2  # of full scale: evenly distributed samples have 1/3
EXTREME, EXTREME_SHARE = 0.9, 0.2  # samples beyond this share of full scale, and their share of all
NOISE_CHANGE = 1.2  # power of the difference of neighbours over their own: of independent samples 2
_CHUNK = struct.Struct("<4sI")
_FORMAT = struct.Struct("<HHIIHH")  # tag, channels, rate, bytes a second, bytes a frame, bits
_TAGS = {(1, 8): "8", (1, 16): "16", (1, 24): "24", (1, 32): "32", (3, 32): "float32"}
EXTENSIBLE = 0xFFFE

Read = Callable[[int], bytes]  # at most so many bytes, as soon as there are some; none at the end


class PcmFormat(NamedTuple):
    """How bytes become samples: little-endian, 8 bits unsigned, others signed; channels interleaved."""

    rate: int
    width: Width
    channels: int

    @property
    def frame(self) -> int:
        """Bytes of one sample of all channels."""
        return BYTES[self.width] * self.channels

    def __str__(self) -> str:
        bits = self.width if self.width == "float32" else f"{self.width} bits"
        return f"{self.rate:,} Hz, {bits}, {self.channels} channel{'s' if self.channels != 1 else ''}"


class PcmStream:
    """Blocks of mono samples from the bytes of a pipe.

    Where they begin with the header of a WAV, its format counts in place of `given`, and its length where it has one.

    Args:
        read: gives the bytes.
        given: the format of bytes without a header.
        name: of the source, for errors.
        seconds: of a block.
    Raises:
        AudioError: nothing comes, a WAV of another encoding, or another container than WAV.
    """

    def __init__(self, read: Read, given: PcmFormat, name: str, seconds: float) -> None:
        self._read = read
        self.name = name
        self.remarks: list[str] = []  # what is wrong with the sound, complete at its end
        self._rest = self._at_least(12)
        if not self._rest:
            raise AudioError(name, Reason.EMPTY, f"no bytes came, expected raw PCM ({given}) or a WAV")
        self._left: int | None = None  # bytes to come; None: until the end
        self.format = given
        if self._rest[:4] == b"RIFF" and self._rest[8:12] == b"WAVE":
            self._take_header()
        elif other := next((what for mark, what in OTHERS.items() if self._rest.startswith(mark)), ""):
            detail = f"begins as {other}, expected raw PCM or WAV; put ffmpeg -i - -f wav - | before this command"
            raise AudioError(name, Reason.NOT_AUDIO, detail)
        self._most = max(1, round(seconds * self.format.rate)) * self.format.frame
        self._mean = MeanOfChannels()

    def __iter__(self) -> Iterator[np.ndarray]:
        """Mono samples [n] float32, n > 0, full scale -1..1. Raises AudioError where floats are none of a sound."""
        frame, beginning, looked = self.format.frame, [np.zeros(0, dtype=np.float32)], False
        while content := self._next():
            whole = len(content) - len(content) % frame
            self._rest = content[whole:]
            if not whole:
                continue
            block = self._mean(self._samples(content[:whole]))
            if not looked:
                beginning.append(block)
                if looked := sum(map(len, beginning)) >= NOISE_SECONDS * self.format.rate:
                    self._look_at(np.concatenate(beginning))
            yield block
        if not looked:
            self._look_at(np.concatenate(beginning))
        self._finish()

    def _at_least(self, count: int) -> bytes:
        """The next bytes, fewer than `count` only at the end."""
        found = b""
        while len(found) < count and (more := self._read(count - len(found))):
            found += more
        return found

    def _next(self) -> bytes:
        """What is left of the last bytes, and more; empty where no whole sample comes any more."""
        wanted = self._most - len(self._rest)
        if self._left is not None:
            wanted = min(wanted, self._left)
        more = self._read(wanted) if wanted > 0 else b""
        if self._left is not None:
            self._left -= len(more)
        content = self._rest + more
        return content if more or len(content) >= self.format.frame else b""

    def _take_header(self) -> None:
        """Read the header of a WAV up to its samples."""
        found: PcmFormat | None = None
        taken = 12
        while taken < HEADER:
            head = self._at_least(_CHUNK.size)
            if len(head) < _CHUNK.size:
                break
            chunk, size = _CHUNK.unpack(head)
            if chunk == b"data" and found is not None:
                self.format, self._rest = found, b""
                self._left = size if 0 < size < UNKNOWN_LENGTH else None
                return
            if size > HEADER:
                break
            content = self._at_least(size + size % 2)
            taken += len(head) + len(content)
            if chunk == b"fmt " and len(content) >= _FORMAT.size:
                found = self._format(content)
        raise AudioError(self.name, Reason.DAMAGED, "begins as a WAV, but no samples follow its header")

    def _format(self, content: bytes) -> PcmFormat:
        tag, channels, rate, _, _, bits = _FORMAT.unpack_from(content)
        if tag == EXTENSIBLE and len(content) >= 26:
            tag = int.from_bytes(content[24:26], "little")
        width = _TAGS.get((tag, bits))
        if width is None or rate not in SAMPLE_RATES or not 0 < channels <= MOST_CHANNELS:
            detail = (
                f"a WAV of encoding {tag} with {bits} bits, {rate} Hz, {channels} channels; expected PCM or float32"
            )
            raise AudioError(self.name, Reason.NOT_AUDIO, detail)
        return PcmFormat(rate, width, channels)  # type: ignore[arg-type]  # the values of _TAGS are widths

    def _samples(self, content: bytes) -> np.ndarray:
        """Samples [n, C] float32 of whole frames."""
        samples = to_float(content, self.format.width).reshape(-1, self.format.channels)
        if self.format.width == "float32" and not np.abs(samples).max() <= LOUDEST:
            detail = f"not sound when read as {self.format}; is --width right? 16 is usual"
            raise AudioError(self.name, Reason.NOT_FINITE, detail)
        return samples

    def _look_at(self, samples: np.ndarray) -> None:
        """Remark on the beginning [N] of a stream that sounds like bytes of another width."""
        if len(samples) < 2:
            return
        power = float(np.square(samples, dtype=np.float64).mean())
        noise = power > NOISE_POWER and float(np.square(np.diff(samples)).mean()) > NOISE_CHANGE * power
        if noise or float((np.abs(samples) > EXTREME).mean()) > EXTREME_SHARE:
            self.remarks.append(f"begins with noise at full scale when read as {self.format}; is --width right?")

    def _finish(self) -> None:
        if self._rest:
            left = f"the last {len(self._rest)} bytes are no whole sample of {self.format} and are left out"
            self.remarks.append(f"{left}; is --width right?")
        if self._left:
            self.remarks.append(f"ends {self._left:,} bytes before the length that its header promises")
        elif self._left == 0 and self._read(1):
            self.remarks.append("bytes behind the sound that its header names are not read")
        if self._mean.loudest is not None:
            self.remarks.append(f"its {self._mean.channels} channels cancel each other; record one of them")


def to_float(content: bytes, width: Width) -> np.ndarray:
    """The samples in whole frames of bytes, [n] float32, full scale -1..1."""
    if width == "8":
        return (np.frombuffer(content, np.uint8).astype(np.float32) - 128) / 128
    if width == "16":
        return from_int16(np.frombuffer(content, "<i2"))
    if width == "float32":
        return np.frombuffer(content, "<f4").astype(np.float32)
    if width == "24":
        wide = np.zeros((len(content) // 3, 4), dtype=np.uint8)
        wide[:, 1:] = np.frombuffer(content, np.uint8).reshape(-1, 3)
        content = wide.tobytes()
    return (np.frombuffer(content, "<i4") / 2.0**31).astype(np.float32)
