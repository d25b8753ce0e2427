"""Read one recording from any file, whole or block by block."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from seqaudio.audio.containers import begins_like_sound, is_safe, media_name
from seqaudio.audio.recording import (
    MAX_SECONDS,
    SAMPLE_RATES,
    Recording,
    StreamResampler,
    require_full_scale,
    resample,
    too_long,
)
from seqaudio.audio.sndfile import NotDecodedError, StoppedError, decode_with_sndfile, stream_with_sndfile
from seqaudio.audio.unfinished import bytes_behind, missing_sizes
from seqaudio.audio.wav import LARGEST, read_plain_wav
from seqaudio.errors import AudioError, OptionError, how_to_install
from seqaudio.files import open_plain
from seqaudio.ledger import Reason

VERSION = 2  # of reading: raise it whenever a file gives other samples (tests/test_code_versions.py)
HEAD = 512  # bytes, enough to recognise the container
SUFFIX = r"\.\w{1,8}"  # of a file that is written for a decoder
LOUDEST = 1e6  # times full scale, +120 dB: louder samples are flipped bits, and spoil all results


def read_audio(
    path: Path | str, sample_rate: int | None = None, max_seconds: float = MAX_SECONDS, content: bytes | None = None
) -> Recording:
    """Read one recording: WAV, FLAC, Ogg, Opus, MP3, AIFF, AU, CAF, SPHERE and other formats of libsndfile.

    With the extra `media`, also the formats of FFmpeg: M4A, WebM, the sound of videos and more. MP3 and all formats of
    FFmpeg are decoded in a child process, so that a damaged file cannot crash this one.

    Channels are averaged; where they cancel each other, the loudest is taken. Where `sample_rate` (hertz) differs from
    the file's, samples are resampled with soxr's high-quality filter, which gives equal samples on every call. Where
    the header was never finished, the sound is read to the end of the file. The recording's `remark` says so.

    `content`: the bytes of the file, where the caller has them, so that a usual WAV is not read again.

    Ogg files do not contain their length, so one that is cut between two pages reads as a shorter recording.

    Raises:
        AudioError: the file is missing, unreadable, empty, truncated, damaged, not audio, not finite or beyond a
            million times full scale, longer than `max_seconds`, or needs the extra; `reason` says which.
        OptionError: sample_rate outside 100 Hz..1 MHz.
    """
    path = path if isinstance(path, Path) else Path(path)  # parsing a path again costs more than opening it
    _check_rate(sample_rate)
    start = _start(path) if not content else content if content[:4] == b"RIFF" else content[:HEAD]
    recording = read_plain_wav(start)
    if recording is None:
        recording = _decode(path, start, max_seconds)
        _check_values(path, recording.samples)
    elif recording.seconds > max_seconds:
        raise too_long(path, recording.seconds, max_seconds)
    if sample_rate is None or sample_rate == recording.sample_rate:
        return recording
    resampled = resample(recording.samples, recording.sample_rate, sample_rate)
    return Recording(resampled, sample_rate, recording.remark)


def read_audio_bytes(
    content: bytes, name: Path | str, sample_rate: int | None = None, max_seconds: float = MAX_SECONDS
) -> Recording:
    """Read one recording from the bytes of its file; all is as in `read_audio`. `name`: of the file, for errors.

    Anything but a plain WAV is written to a temporary file, since decoders, those in child processes too, take files.
    """
    path = Path(name)
    if not content:
        raise AudioError(path, Reason.EMPTY, "the file has no bytes")
    if len(content) <= LARGEST and read_plain_wav(content) is not None:
        return read_audio(path, sample_rate, max_seconds, content)
    with tempfile.TemporaryDirectory(prefix="seqaudio-") as folder:
        # the name comes from the data set, the suffix alone tells something
        copy = Path(folder) / f"recording{path.suffix if re.fullmatch(SUFFIX, path.suffix) else ''}"
        copy.write_bytes(content)
        try:
            return read_audio(copy, sample_rate, max_seconds)
        except AudioError as error:
            raise AudioError(path, error.reason, error.detail) from None


def stream_audio(
    path: Path, sample_rate: int | None = None, max_seconds: float = MAX_SECONDS
) -> tuple[int, str, Iterator[np.ndarray]]:
    """Read one recording block by block: its rate in hertz, its remark, and blocks [n] float32, n > 0, of full scale 1.

    The blocks are the samples of `read_audio`, one after the other. What libsndfile reads in this process (WAV, FLAC,
    Ogg and more) takes a few megabytes of memory, however long it is; other formats are decoded whole.

    Raises:
        AudioError, OptionError: as `read_audio`, and for samples far beyond full scale; damage that only the end of a
            file shows is raised behind the blocks before it.
    """
    _check_rate(sample_rate)
    start = _start(path)
    whole = read_plain_wav(start) is not None or path.suffix.lower() == ".raw" or media_name(start)
    found: tuple[int, str, Iterator[np.ndarray]] | None = None
    if not whole and is_safe(start):
        with suppress(NotDecodedError, StoppedError):  # read_audio knows what else to try, or how to say it
            found = stream_with_sndfile(path, max_seconds, missing_sizes(path))
    if found is None:
        recording = read_audio(path, sample_rate, max_seconds, start)
        require_full_scale(path, recording.samples)
        return recording.sample_rate, recording.remark, iter((recording.samples,))
    rate, remark, blocks = found
    if start[:4] == b"RIFF" and not remark and (rest := bytes_behind(path)):
        remark = _behind(rest)
    checked = _checked(path, blocks, max_seconds)
    if sample_rate is None or sample_rate == rate:
        return rate, remark, checked
    return sample_rate, remark, resampled(checked, rate, sample_rate)


def resampled(blocks: Iterable[np.ndarray], rate: int, wanted: int) -> Iterator[np.ndarray]:
    """Blocks [n] float32 of a stream at another rate, in hertz; those that are empty are left out."""
    stream = StreamResampler(rate, wanted)
    for block in blocks:
        if len(ready := stream.push(block)):
            yield ready
    if len(held := stream.finish()):
        yield held


def _checked(path: Path, blocks: Iterator[np.ndarray], max_seconds: float) -> Iterator[np.ndarray]:
    """The blocks, each checked; where libsndfile loses sync in a FLAC, the rest comes from another decoder."""
    given = 0
    try:
        for block in blocks:
            _check_values(path, block, given)
            require_full_scale(path, block)
            given += len(block)
            yield block
    except StoppedError:
        rest = read_audio(path, max_seconds=max_seconds).samples[given:]
        require_full_scale(path, rest)
        yield rest


def _check_rate(sample_rate: int | None) -> None:
    if sample_rate is not None and sample_rate not in SAMPLE_RATES:
        raise OptionError(f"sample rate {sample_rate} Hz, expected {SAMPLE_RATES.start} to {SAMPLE_RATES[-1]} Hz")


def _behind(rest: int) -> str:
    return f"{rest:,} bytes behind the sound that its header names are not read"


def _start(path: Path) -> bytes:
    """All bytes of a small WAV, or the first bytes of any other file."""
    try:
        with open_plain(path, buffering=0) as file:
            start = file.read(HEAD)
            if start[:4] == b"RIFF" and len(start) < (size := os.fstat(file.fileno()).st_size) <= LARGEST:
                start += file.read(size - len(start))
    except FileNotFoundError:
        raise AudioError(path, Reason.MISSING, "no such file") from None
    except OSError as error:
        raise AudioError(path, Reason.UNREADABLE, error.strerror or type(error).__name__) from None
    if not start:
        raise AudioError(path, Reason.EMPTY, "the file has no bytes")
    return start


def _decode(path: Path, start: bytes, max_seconds: float) -> Recording:
    """The recording at its own rate, by the decoder for the format that its first bytes show."""
    if path.suffix.lower() == ".raw":
        raise AudioError(path, Reason.NOT_AUDIO, "raw samples without a header; convert the file to WAV first")
    if media := media_name(start):
        return _guarded(path, "media", media, max_seconds)
    try:
        if not is_safe(start):
            return _guarded(path, "sndfile", "", max_seconds)
        recording = decode_with_sndfile(path, max_seconds, missing_sizes(path))
        if start[:4] == b"RIFF" and not recording.remark and (rest := bytes_behind(path)):
            return replace(recording, remark=_behind(rest))
        return recording
    except StoppedError as error:
        if start[:4] != b"fLaC":
            raise
        return _other_flac_decoder(path, error, max_seconds)
    except NotDecodedError as error:
        if error.unsupported_encoding:
            return _guarded(path, "media", f"in a codec that libsndfile does not know ({error})", max_seconds)
        if begins_like_sound(start):
            raise AudioError(path, Reason.DAMAGED, f"begins like a sound file, but: {error}") from None
        detail = f"begins with {start[:12]!r}, unlike any known sound format"
        raise AudioError(path, Reason.NOT_AUDIO, detail) from None


def _other_flac_decoder(path: Path, error: AudioError, max_seconds: float) -> Recording:
    """A FLAC in which libsndfile lost sync, as FFmpeg reads it. Raises the first error where FFmpeg stops too."""
    if find_spec("av") is None:
        detail = f"{error.detail}; another decoder may read it: {how_to_install('media')}"
        raise AudioError(path, error.reason, detail) from None
    try:
        recording = _guarded(path, "media", "a FLAC", max_seconds)
    except AudioError:
        raise error from None
    return replace(recording, remark=f"read by FFmpeg ({error.detail})")


def _check_values(path: Path, samples: np.ndarray, before: int | None = None) -> None:
    """Raise AudioError for samples [N] that are NaN, infinite or so large that resampling or squares would overflow.

    before: samples that precede them, where they are a block of a recording.
    """
    if samples.max() <= LOUDEST and samples.min() >= -LOUDEST:  # false for NaN, which max and min propagate
        return
    first = int(np.argmin(np.abs(samples) <= LOUDEST))
    place = f"sample {first} of {len(samples)}" if before is None else f"sample {before + first}"
    detail = f"{place} is {samples[first]:g}, expected at most {LOUDEST:,.0f} times full scale"
    raise AudioError(path, Reason.NOT_FINITE, detail)


def _guarded(path: Path, decoder: str, what: str, max_seconds: float) -> Recording:
    from seqaudio.audio.guard import decode_in_child

    return decode_in_child(path, decoder, what, max_seconds)
