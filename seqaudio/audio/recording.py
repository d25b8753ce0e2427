"""Samples at a rate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import soxr

SAMPLE_RATES = range(100, 1_000_001)  # hertz; outside these a header is wrong rather than unusual


@dataclass(frozen=True, eq=False)
class Recording:
    """Mono samples [N] float32, full scale -1..1, at `sample_rate` hertz."""

    samples: np.ndarray
    sample_rate: int

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.sample_rate


def resample(samples: np.ndarray, rate: float, wanted: float) -> np.ndarray:
    """Samples [N] or [N, channels] at `wanted` hertz instead of `rate`, by soxr's HQ; the same type, float32 or 64."""
    resampled: np.ndarray = soxr.resample(samples, rate, wanted, quality="HQ")
    return resampled
