"""Sound as a caller has it, a file or samples, as blocks at the rate of a model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from seqaudio.audio import resample, stream_audio
from seqaudio.audio.reading import resampled
from seqaudio.audio.recording import FAR_BEYOND, FULL_SCALE, MAX_SECONDS, SAMPLE_RATES
from seqaudio.errors import OptionError
from seqaudio.units import Hertz, Seconds

Sound = str | Path | np.ndarray  # a file, or samples


def blocks_of(
    sound: Sound, rate: Hertz | None, wanted: Hertz, max_seconds: Seconds = MAX_SECONDS
) -> Iterable[np.ndarray]:
    """Blocks [n] float32 of a recording at `wanted` hertz.

    Args:
        sound: a file, or samples [N], float of full scale -1..1 or int16.
        rate: of samples, by default `wanted`; a file has its own.
        max_seconds: a longer file is refused.
    Raises:
        AudioError: a file that cannot be read, with the reason.
        OptionError: samples of another shape or type, not finite or far beyond full scale, or a rate out of range.
    """
    if isinstance(sound, str | Path):
        if rate is not None:
            raise OptionError(f"rate {rate:g} with the file {sound}, which has its own; leave it out")
        return stream_audio(Path(sound), round(wanted), max_seconds)[2]
    samples = samples_of(sound)
    _check_rate(rate)
    return (samples if rate in (None, wanted) else resample(samples, float(rate or wanted), wanted),)


def blocks_at(blocks: Iterable[np.ndarray], rate: Hertz | None, wanted: Hertz) -> Iterator[np.ndarray]:
    """Blocks [n] of a stream at `rate` hertz as float32 at `wanted`. Raises OptionError as `blocks_of` does."""
    _check_rate(rate)
    found = map(samples_of, blocks)
    return found if rate in (None, wanted) else resampled(found, round(rate or wanted), round(wanted))


def samples_of(given: np.ndarray) -> np.ndarray:
    """Samples [N] as float32. Raises OptionError for another shape or type, and for values that no sound has."""
    try:
        samples = np.asarray(given)
    except ValueError:
        raise OptionError("samples of several lengths, expected [N], floats or int16") from None
    if samples.ndim != 1 or samples.dtype.kind not in "fi" or (samples.dtype.kind == "i" and samples.dtype != np.int16):
        raise OptionError(
            f"samples of shape {list(samples.shape)} and type {samples.dtype}, expected [N], floats or int16; "
            f"of several channels take the mean"
        )
    if samples.dtype == np.int16:
        return samples.astype(np.float32) / np.float32(FULL_SCALE)
    if not np.isfinite(samples).all():
        raise OptionError("samples hold NaN or infinity; leave these out")
    if (peak := float(np.abs(samples).max(initial=0.0))) > FAR_BEYOND:
        raise OptionError(f"samples up to {peak:,.0f}, expected about 1; divide 16-bit units by {FULL_SCALE:,}")
    return samples.astype(np.float32, copy=False)


def _check_rate(rate: Hertz | None) -> None:
    if rate is not None and not SAMPLE_RATES[0] <= rate <= SAMPLE_RATES[-1]:
        raise OptionError(f"rate {rate} Hz, expected {SAMPLE_RATES[0]} to {SAMPLE_RATES[-1]:,}, such as 16000")
