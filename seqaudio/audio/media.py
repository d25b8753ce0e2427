"""Decode by FFmpeg, through PyAV, the formats that libsndfile does not know. Runs in a guarded child process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import numpy as np

from seqaudio.audio.channels import MeanOfChannels, cancel_remark
from seqaudio.audio.recording import SAMPLE_RATES, Recording, too_long
from seqaudio.errors import AudioError
from seqaudio.ledger import Reason

SHORTFALL = 0.1  # seconds by which a file may be shorter than its header says: encoders pad, and round up


def decode_with_av(path: Path, max_seconds: float) -> Recording:
    """The first sound stream of a file, at its own rate, channels averaged.

    Raises:
        AudioError: no sound stream, truncated, damaged, or longer than `max_seconds`.
    """
    try:
        mean = MeanOfChannels()
        recording = _opened(path, max_seconds, mean)
        loudest = mean.loudest
        if loudest is None:
            return recording
        recording = _opened(path, max_seconds, lambda block: block[:, loudest])
        return replace(recording, remark=cancel_remark(mean.channels, loudest))
    except (av.FFmpegError, ValueError) as error:
        raise AudioError(path, Reason.DAMAGED, f"FFmpeg: {_message(error)}") from None


def _opened(path: Path, max_seconds: float, mixed: Callable[[np.ndarray], np.ndarray]) -> Recording:
    with av.open(str(path), mode="r", metadata_errors="replace") as container:
        return _decode(container, path, max_seconds, mixed)


def _decode(
    container: av.container.InputContainer,
    path: Path,
    max_seconds: float,
    mixed: Callable[[np.ndarray], np.ndarray],
) -> Recording:
    """The samples; `mixed` turns blocks [n, C] into one channel [n]."""
    if not container.streams.audio:
        raise AudioError(path, Reason.NOT_AUDIO, f"has no sound; it holds {_kinds(container)}")
    stream = container.streams.audio[0]
    if stream.codec_context is None:
        raise AudioError(path, Reason.DAMAGED, "names a codec that FFmpeg has no decoder for")
    if stream.codec_context.name == "flac":
        stream.codec_context.options = {
            "err_detect": "crccheck+explode"
        }  # else FFmpeg invents samples for damaged frames
    rate = stream.codec_context.sample_rate
    if rate not in SAMPLE_RATES:
        detail = f"its header says {rate} Hz, expected {SAMPLE_RATES.start} to {SAMPLE_RATES[-1]} Hz"
        raise AudioError(path, Reason.DAMAGED, detail)
    most = int(max_seconds * rate)
    promised = _promised(container, stream)
    if promised > max_seconds:
        raise too_long(path, promised, max_seconds)
    planes = av.AudioResampler(format="fltp", rate=rate)  # converts the format only; the rate stays
    blocks = [np.zeros(0, dtype=np.float32)]
    arrived = 0
    for frame in container.decode(stream):
        for part in planes.resample(frame):
            values = part.to_ndarray()  # [channels, N]
            blocks.append(mixed(values.T))
            arrived += values.shape[1]
        if arrived > most:
            raise too_long(path, arrived / rate, max_seconds)
    if not arrived:
        raise AudioError(path, Reason.EMPTY, "a header, but no samples")
    if arrived / rate + SHORTFALL < promised:
        detail = f"its header promises {promised:,.2f} s, but only {arrived / rate:,.2f} s are in the file"
        raise AudioError(path, Reason.TRUNCATED, detail)
    return Recording(np.concatenate(blocks), rate)


def _promised(container: av.container.InputContainer, stream: av.AudioStream) -> float:
    """Seconds of sound according to the header; 0 where it gives no length."""
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    only = len(container.streams) == 1
    return container.duration / av.time_base if only and container.duration else 0.0


def _kinds(container: av.container.InputContainer) -> str:
    return ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"


def _message(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).rstrip(".")
