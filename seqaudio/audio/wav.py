"""Read usual WAV files, of plain 16-bit samples, without libsndfile: corpora have hundreds of thousands of them.

Samples equal those of libsndfile to the bit, in a tenth of the time. Files that are unusual in any way (another format,
a chunk or a length that does not fit) are left to libsndfile and its errors.
"""

from __future__ import annotations

import struct

import numpy as np

from seqaudio.audio.channels import MeanOfChannels, cancel_remark
from seqaudio.audio.recording import SAMPLE_RATES, Recording, from_int16
from seqaudio.audio.unfinished import many_behind

LARGEST = 1 << 24  # bytes of a file; larger ones are better read in blocks
PCM = 1
_CHUNK = struct.Struct("<4sI")
_FORMAT = struct.Struct("<HHIIHH")  # tag, channels, rate, bytes a second, bytes a frame, bits


def read_plain_wav(content: bytes) -> Recording | None:
    """The recording in the bytes of a whole file, channels averaged; None where it is not a plain 16-bit WAV."""
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE" or content[4:8] == bytes(4):  # a size never written
        return None
    frame: tuple[int, ...] | None = None
    place = 12
    while place + _CHUNK.size <= len(content):
        name, size = _CHUNK.unpack_from(content, place)
        place += _CHUNK.size
        if name == b"fmt " and size >= _FORMAT.size and place + size <= len(content):
            frame = _FORMAT.unpack_from(content, place)
        elif name == b"data":
            return _samples(content, place, size, frame)
        place += size + size % 2
    return None


def _samples(content: bytes, start: int, size: int, frame: tuple[int, ...] | None) -> Recording | None:
    if frame is None:
        return None
    tag, channels, rate, _, width, bits = frame
    plain = tag == PCM and bits == 16 and channels >= 1 and width == 2 * channels and rate in SAMPLE_RATES
    behind = len(content) - start - size
    if not plain or not size or size % width or behind < 0 or many_behind(behind, size):
        return None
    samples = from_int16(np.frombuffer(content, "<i2", size // 2, start))
    if channels > 1:
        mean, frames = MeanOfChannels(), samples.reshape(-1, channels)
        samples = mean(frames)
        if mean.loudest is not None:
            return Recording(frames[:, mean.loudest].copy(), rate, cancel_remark(channels, mean.loudest))
    return Recording(samples, rate)
