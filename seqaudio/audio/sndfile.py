"""Decode by libsndfile, in blocks, and report files that end too early."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import soundfile

from seqaudio.audio.channels import MeanOfChannels, cancel_remark
from seqaudio.audio.recording import SAMPLE_RATES, Recording, too_long
from seqaudio.audio.unfinished import REMARK, PatchedFile, Patches
from seqaudio.errors import AudioError
from seqaudio.files import open_plain
from seqaudio.ledger import Reason

BLOCK_VALUES = 1 << 20  # values decoded at once, over all channels: 4 MiB, whatever the header promises
SMALL_BLOCK = 1024  # samples, to find the place where decoding stops
MPEG_SLACK = 2 * 1152  # samples by which an encoder's padding may shorten the promised length: two MPEG frames
UNKNOWN_LENGTH = 0x7FFFF000  # the header of a WAV written to a pipe promises this many bytes or more
UNKNOWN_FRAMES = 1 << 62  # libsndfile gives more for a FLAC without a length, as one written to a pipe
UNSUPPORTED = (4, 18)  # error codes SF_ERR_UNSUPPORTED_ENCODING, SFE_UNIMPLEMENTED: a known container, an unknown codec
BAD_FILE = 7  # error code SFE_BAD_FILE, whose message wrongly says that the file does not exist

# what libsndfile logs about a file that ends too early; it corrects the promised length itself
_CHUNK_CUT = re.compile(
    r"^\s*(?:data|SSND|Data Size|Riff size|riff)\s*: (\d+) \(should be (\d+)\)",  # WAV, AIFF, AU, RF64, W64
    re.MULTILINE,
)
_STREAM_CUT = ("STREAM_DECODER_END_OF_STREAM", "Junk after the last page")  # FLAC, Ogg
_SPHERE_COUNT = re.compile(rb"^sample_count -i (\d+)", re.MULTILINE)


class NotDecodedError(Exception):
    """libsndfile does not open the file; with `unsupported_encoding` it knows the container, but not the codec."""

    def __init__(self, message: str, unsupported_encoding: bool) -> None:
        super().__init__(message)
        self.unsupported_encoding = unsupported_encoding


class StoppedError(AudioError):
    """A file whose decoding stopped before the end that its header promises; another decoder may read it."""


def decode_with_sndfile(path: Path, max_seconds: float, patches: Patches | None = None) -> Recording:
    """One recording at its own rate, channels averaged. Samples may be NaN or infinite.

    Args:
        patches: for a file whose header was never finished, what a finished one would have.

    Raises:
        NotDecodedError: libsndfile does not open it.
        StoppedError: truncated or damaged. AudioError: empty or longer than `max_seconds`.
    """
    with _opened(path, patches) as file:
        mean = MeanOfChannels()
        samples, remark = _decode(file, path, max_seconds, mean), REMARK if patches else ""
        if mean.loudest is not None:
            file.seek(0)
            loudest, cancel = mean.loudest, cancel_remark(file.channels, mean.loudest)
            samples = _decode(file, path, max_seconds, lambda block: block[:, loudest])
            remark = f"{remark}; {cancel}" if remark else cancel
        return Recording(samples, file.samplerate, remark)


def stream_with_sndfile(
    path: Path, max_seconds: float, patches: Patches | None = None
) -> tuple[int, str, Iterator[np.ndarray]]:
    """The same recording as its rate, its remark, and blocks of samples [n] float32, n > 0, one after the other.

    A file of several channels is decoded twice, as only its end shows whether they cancel each other. Errors are raised
    as by `decode_with_sndfile`, at the latest in place of the last block.
    """
    remark = REMARK if patches else ""
    mixed: Callable[[np.ndarray], np.ndarray] = MeanOfChannels()
    with _opened(path, patches) as file:
        rate = file.samplerate
        if file.channels > 1:
            mean = MeanOfChannels()
            for _ in _blocks(file, path, max_seconds, mean):
                pass
            if mean.loudest is not None:
                loudest, cancel = mean.loudest, cancel_remark(file.channels, mean.loudest)
                remark = f"{remark}; {cancel}" if remark else cancel
                mixed = lambda block: block[:, loudest]  # noqa: E731

    def blocks() -> Iterator[np.ndarray]:
        with _opened(path, patches) as again:
            yield from _blocks(again, path, max_seconds, mixed)

    return rate, remark, blocks()


def _opened(path: Path, patches: Patches | None) -> soundfile.SoundFile:
    source = PatchedFile(path, patches) if patches else os.fsencode(path) if os.name == "posix" else str(path)
    try:
        return soundfile.SoundFile(source)
    except soundfile.LibsndfileError as error:
        message = "no format is recognised" if error.code == BAD_FILE else _message(error)
        raise NotDecodedError(message, error.code in UNSUPPORTED) from None


def _decode(
    file: soundfile.SoundFile, path: Path, max_seconds: float, mixed: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """All samples [N] float32 of an open file; `mixed` turns blocks [n, C] into one channel [n]."""
    return np.concatenate(list(_blocks(file, path, max_seconds, mixed)))


def _blocks(
    file: soundfile.SoundFile, path: Path, max_seconds: float, mixed: Callable[[np.ndarray], np.ndarray]
) -> Iterator[np.ndarray]:
    """The samples of an open file, block by block, [n] float32, at least one."""
    rate = file.samplerate
    if rate not in SAMPLE_RATES:
        detail = f"its header says {rate} Hz, expected {SAMPLE_RATES.start} to {SAMPLE_RATES[-1]} Hz"
        raise AudioError(path, Reason.DAMAGED, detail)
    most = int(max_seconds * rate)
    promised = file.frames if file.frames < UNKNOWN_FRAMES else 0
    if promised > most:
        raise too_long(path, promised / rate, max_seconds)
    block_frames = max(1, BLOCK_VALUES // file.channels)
    arrived = 0
    try:
        while len(block := file.read(block_frames, dtype="float32", always_2d=True)):
            arrived += len(block)
            if arrived > most:
                raise too_long(path, arrived / rate, max_seconds)
            yield mixed(block)
    except soundfile.LibsndfileError as error:
        arrived = _readable(path)
        reason = Reason.TRUNCATED if any(mark in file.extra_info for mark in _STREAM_CUT) else Reason.DAMAGED
        promise = f" of the {promised / rate:,.2f} s that its header promises" if promised else ""
        detail = f"{_message(error)}; libsndfile reads {arrived / rate:,.2f} s{promise}"
        raise StoppedError(path, reason, detail) from None
    if file.format == "NIST":
        promised = _sphere_count(path, promised)
    if cut := _cut(file, promised, arrived):
        raise StoppedError(path, Reason.TRUNCATED, cut)
    if not arrived:
        raise AudioError(path, Reason.EMPTY, "a header, but no samples")


def _readable(path: Path) -> int:
    """The number of samples before the place at which decoding stops."""
    count = 0
    with soundfile.SoundFile(os.fsencode(path) if os.name == "posix" else str(path)) as file:
        try:
            while read := len(file.read(SMALL_BLOCK, dtype="float32")):
                count += read
        except soundfile.LibsndfileError:
            return count
    return count


def _cut(file: soundfile.SoundFile, promised: int, arrived: int) -> str:
    """A description of what is missing at the end of a decoded file; empty where it is complete."""
    log = file.extra_info
    for match in _CHUNK_CUT.finditer(log):
        written, found = map(int, match.groups())
        if found < written < UNKNOWN_LENGTH:
            return f"its header promises {written} bytes, but only {found} are in the file"
    if any(mark in log for mark in _STREAM_CUT):
        return f"the stream ends early, after {arrived} samples"
    slack = MPEG_SLACK if file.subtype.startswith("MPEG") else 0
    if arrived + slack < promised:
        return f"its header promises {promised} samples, but only {arrived} are in the file"
    return ""


def _sphere_count(path: Path, known: int) -> int:
    """Samples that the header of a SPHERE file promises, which libsndfile ignores; `known` where it gives none."""
    with open_plain(path) as file:
        count = _SPHERE_COUNT.search(file.read(1024))
    return int(count[1]) if count else known


def _message(error: soundfile.LibsndfileError) -> str:
    return str(error.error_string).removeprefix("Error : ").rstrip(".")
