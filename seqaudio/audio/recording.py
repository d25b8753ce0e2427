"""A recording: samples at a rate; resampling, also streamed, 16-bit integers, faults such as silence and clipping."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr

from seqaudio.errors import AudioError
from seqaudio.ledger import Reason

MAX_SECONDS = 3600.0  # longer recordings are refused unless an option allows them: mistakes, or headers that lie
SAMPLE_RATES = range(100, 1_000_001)  # hertz; a rate outside of these means a damaged header


@dataclass(frozen=True, eq=False)
class Recording:
    """Mono samples [N] float32, full scale -1..1, at `sample_rate` hertz."""

    samples: np.ndarray
    sample_rate: int
    remark: str = ""  # about the file, such as channels that cancel

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.sample_rate


def resample(samples: np.ndarray, rate: float, wanted: float) -> np.ndarray:
    """Samples [N] or [N, channels] resampled from `rate` to `wanted` hertz by soxr's HQ; the type stays."""
    resampled: np.ndarray = soxr.resample(samples, rate, wanted, quality="HQ")
    return resampled


class StreamResampler:
    """Resamples a stream: chunks of any size give, one after the other, the samples that `resample` gives.

    Args:
        rate, wanted: hertz.
    """

    def __init__(self, rate: float, wanted: float) -> None:
        self._stream = soxr.ResampleStream(rate, wanted, 1, dtype="float32", quality="HQ")

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Take the next samples [n] float32, n >= 0. Returns those that are ready, [m], m >= 0."""
        ready: np.ndarray = self._stream.resample_chunk(samples)
        return ready

    def finish(self) -> np.ndarray:
        """The samples that are still held, [m], once, after the last chunk."""
        held: np.ndarray = self._stream.resample_chunk(np.zeros(0, dtype=np.float32), last=True)
        return held


def too_long(path: Path, seconds: float, most: float) -> AudioError:
    """The error for a recording of more seconds than are allowed."""
    detail = (
        f"{seconds:,.1f} s, expected at most {most:,.1f} s; "
        "--max-seconds of prepare, recognize, transcribe, listen and info allows more"
    )
    return AudioError(path, Reason.TOO_LONG, detail)


SILENT = "silent"
CLIPPED = "clipped"
OTHER_UNIT = "another unit"
SILENT_PEAK = 1e-3  # of full scale, -60 dB: a recording with a lower peak is silent
FAR_BEYOND = 10.0  # times full scale, +20 dB: mixes of floats exceed full scale a little, 16-bit units a thousandfold
FULL = 0.999  # of full scale: a sample above this is at full scale
CLIPPED_SHARE = 1e-3  # share of samples at full scale in a clipped recording; single peaks may reach it


def sound_fault(samples: np.ndarray) -> str:
    """A remark on samples [N], full scale -1..1: SILENT, CLIPPED or OTHER_UNIT and a detail; empty if they are fine."""
    (fault,) = sound_faults(samples[None])
    return fault


def sound_faults(recordings: np.ndarray) -> list[str]:
    """The remark for each of several recordings of equal length, [B, N]."""
    peaks = np.maximum(recordings.max(axis=1, initial=0.0), -recordings.min(axis=1, initial=0.0))
    return [_fault(samples, peak) for samples, peak in zip(recordings, peaks.tolist(), strict=True)]


def _fault(samples: np.ndarray, peak: float) -> str:
    if peak < SILENT_PEAK:
        return f"{SILENT}: no sample is above -60 dB of full scale"
    if peak > FAR_BEYOND:
        return f"{OTHER_UNIT}: {_unit(peak)}"
    if peak >= FULL:
        share = float(np.mean(np.abs(samples) >= FULL))
        if share >= CLIPPED_SHARE:
            return f"{CLIPPED}: {100 * share:.1f} % of the samples are at full scale"
    return ""


def require_full_scale(path: Path, samples: np.ndarray) -> None:
    """Raise AudioError for samples [N] far beyond full scale -1..1, such as floats in 16-bit units."""
    peak = max(float(samples.max(initial=0.0)), -float(samples.min(initial=0.0)))
    if peak > FAR_BEYOND:
        raise AudioError(path, Reason.OTHER_UNIT, _unit(peak))


def _unit(peak: float) -> str:
    return (
        f"its peak is {peak:,.0f} times full scale, expected about 1; divide floats in 16-bit units by {FULL_SCALE:,}"
    )


FULL_SCALE = 32768  # the 16-bit value of a float sample of 1.0


def to_int16(samples: np.ndarray) -> np.ndarray:
    """Samples, full scale -1..1, as the nearest int16; values beyond full scale are clipped."""
    scaled = np.rint(samples * np.float32(FULL_SCALE))
    return np.clip(scaled, -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)


def from_int16(samples: np.ndarray) -> np.ndarray:
    """Inverse of `to_int16`: float32, full scale -1..1. Exact for recordings of 16 bits."""
    floats = samples.astype(np.float32)
    floats *= np.float32(1 / FULL_SCALE)
    return floats
