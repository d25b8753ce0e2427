"""Any sound file in, mono float32 samples out. Nothing that a header says is believed."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from seqaudio.errors import AudioError, OptionError
from seqaudio.ledger import Reason

SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".caf", ".sph", ".w64"})
BLOCK_VALUES = 1 << 22  # values decoded at once, all channels together: 16 MiB, whatever the header promises
SAMPLE_RATES = range(100, 1_000_001)  # hertz; outside these a header is wrong rather than unusual
MPEG_SLACK = 2 * 1152  # samples that an encoder's padding may take from the promised length: two MPEG frames
UNKNOWN_LENGTH = 0x7FFFF000  # a WAV written to a pipe promises this many bytes or more

# what libsndfile logs of a file that ends too early; it shortens the promised length by itself
_CHUNK_CUT = re.compile(
    r"^\s*(?:data|SSND|Data Size|Riff size|riff)\s*: (\d+) \(should be (\d+)\)",  # WAV, AIFF, AU, RF64, W64
    re.MULTILINE,
)
_STREAM_CUT = ("STREAM_DECODER_END_OF_STREAM", "Junk after the last page")  # FLAC, Ogg
_SPHERE_COUNT = re.compile(rb"^sample_count -i (\d+)", re.MULTILINE)


@dataclass(frozen=True, eq=False)
class Recording:
    """Mono samples [N] float32, full scale -1..1, at `sample_rate` hertz."""

    samples: np.ndarray
    sample_rate: int

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.sample_rate


def is_audio_name(path: Path) -> bool:
    """True for a visible file whose suffix promises sound (`._a.wav` is a shadow that macOS leaves)."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def resample(samples: np.ndarray, rate: float, wanted: float) -> np.ndarray:
    """Samples [N] or [N, channels] at `wanted` hertz instead of `rate`, by soxr's HQ; the same type, float32 or 64."""
    resampled: np.ndarray = soxr.resample(samples, rate, wanted, quality="HQ")
    return resampled


def read_audio(path: Path | str, sample_rate: int | None = None, max_seconds: float = 3600.0) -> Recording:
    """Read one recording, whatever libsndfile decodes: WAV, FLAC, Ogg, Opus, MP3, AIFF, AU, CAF, SPHERE.

    Channels are averaged. Where `sample_rate` (hertz) differs from the file's, samples are resampled with soxr's
    high-quality filter, which gives equal samples on every call.

    Ogg carries no length, so an Ogg file cut between two pages reads as a shorter recording.

    Raises:
        AudioError: the file is missing, unreadable, empty, truncated, damaged, not audio, not finite, or longer than
            `max_seconds`; `reason` says which.
        OptionError: sample_rate outside 100 Hz..1 MHz.
    """
    path = Path(path)
    if sample_rate is not None and sample_rate not in SAMPLE_RATES:
        raise OptionError(f"sample rate {sample_rate} Hz, expected {SAMPLE_RATES.start} to {SAMPLE_RATES[-1]} Hz")
    _check_file(path)
    if path.suffix.lower() == ".raw":
        raise AudioError(path, Reason.NOT_AUDIO, "raw samples without a header; turn the file into a WAV first")
    # the MP3 decoder inside libsndfile writes its warnings to the process's stderr; it has no switch for that, and
    # turning the descriptor away for a moment would swallow what other threads write
    try:
        file = soundfile.SoundFile(os.fsencode(path) if os.name == "posix" else str(path))
    except soundfile.LibsndfileError as error:
        raise _opening_error(path, error) from None
    with file:
        samples = _decode(file, path, max_seconds)
        rate = file.samplerate
    if not np.isfinite(samples).all():
        first = int(np.argmin(np.isfinite(samples)))
        raise AudioError(path, Reason.NOT_FINITE, f"sample {first} of {len(samples)} is {samples[first]}")
    if sample_rate is not None and sample_rate != rate:
        samples = resample(samples, rate, sample_rate)
        rate = sample_rate
    return Recording(samples, rate)


def _check_file(path: Path) -> None:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "neither a file nor a folder"
            raise AudioError(path, Reason.UNREADABLE, f"is {kind}, expected a file")
        with path.open("rb") as file:
            if not file.read(1):
                raise AudioError(path, Reason.EMPTY, "the file has no bytes")
    except FileNotFoundError:
        raise AudioError(path, Reason.MISSING, "no such file") from None
    except OSError as error:
        raise AudioError(path, Reason.UNREADABLE, error.strerror or type(error).__name__) from None


def _decode(file: soundfile.SoundFile, path: Path, max_seconds: float) -> np.ndarray:
    """All samples [N] float32 of an open file, channels averaged."""
    if file.samplerate not in SAMPLE_RATES:
        raise AudioError(path, Reason.DAMAGED, f"its header says {file.samplerate} Hz")
    most = int(max_seconds * file.samplerate)
    promised = file.frames
    if promised > most:
        raise AudioError(path, Reason.TOO_LONG, f"{promised / file.samplerate:,.1f} s, at most {max_seconds:,.1f} s")
    block_frames = max(1, BLOCK_VALUES // file.channels)
    blocks = [np.zeros(0, dtype=np.float32)]
    arrived = 0
    try:
        while len(block := file.read(block_frames, dtype="float32", always_2d=True)):
            with np.errstate(invalid="ignore", over="ignore"):  # infinite samples are reported by the caller
                blocks.append(block[:, 0] if file.channels == 1 else block.mean(axis=1, dtype=np.float32))
            arrived += len(block)
            if arrived > most:
                raise AudioError(path, Reason.TOO_LONG, f"more than {max_seconds:,.1f} s of sound")
    except soundfile.LibsndfileError as error:
        reason = Reason.TRUNCATED if any(mark in file.extra_info for mark in _STREAM_CUT) else Reason.DAMAGED
        detail = f"decoding stopped within {promised} promised samples: {_words(error)}"
        raise AudioError(path, reason, detail) from None
    if file.format == "NIST":
        promised = _sphere_count(path, promised)
    if cut := _cut(file, promised, arrived):
        raise AudioError(path, Reason.TRUNCATED, cut)
    if not arrived:
        raise AudioError(path, Reason.EMPTY, "a header and no samples")
    return np.concatenate(blocks)


def _cut(file: soundfile.SoundFile, promised: int, arrived: int) -> str:
    """What is missing at the end of a decoded file; empty where it is whole."""
    log = file.extra_info
    for match in _CHUNK_CUT.finditer(log):
        written, there = map(int, match.groups())
        if there < written < UNKNOWN_LENGTH:
            return f"its header promises {written} bytes, {there} are there"
    if any(mark in log for mark in _STREAM_CUT):
        return f"the stream breaks off after {arrived} samples"
    slack = MPEG_SLACK if file.format in ("MP3", "MPEG") else 0
    if arrived + slack < promised:
        return f"its header promises {promised} samples, {arrived} arrived"
    return ""


def _sphere_count(path: Path, known: int) -> int:
    """Samples promised by the header of a SPHERE file, which libsndfile ignores."""
    with path.open("rb") as file:
        count = _SPHERE_COUNT.search(file.read(1024))
    return int(count[1]) if count else known


def _opening_error(path: Path, error: soundfile.LibsndfileError) -> AudioError:
    """Say of a file that libsndfile would not open whether it is damaged or no sound at all."""
    with path.open("rb") as file:
        start = file.read(12)
    known = start[:4] in (b"RIFF", b"RF64", b"fLaC", b"OggS", b"FORM", b".snd", b"caff", b"NIST", b"riff")
    if known or start[:3] == b"ID3":
        return AudioError(path, Reason.DAMAGED, f"begins like a sound file, but: {_words(error)}")
    return AudioError(path, Reason.NOT_AUDIO, f"begins with {start!r}, which no known sound format does")


def _words(error: soundfile.LibsndfileError) -> str:
    return str(error.error_string).removeprefix("Error : ").rstrip(".")
