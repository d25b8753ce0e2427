"""A recording: samples at a rate, and how to resample them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import soxr

SAMPLE_RATES = range(100, 1_000_001)  # hertz; a rate outside of these means a damaged header


@dataclass(frozen=True, eq=False)
class Recording:
    """Mono samples [N] float32, full scale -1..1, at `sample_rate` hertz."""

    samples: np.ndarray
    sample_rate: int

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.sample_rate


def resample(samples: np.ndarray, rate: float, wanted: float) -> np.ndarray:
    """Samples [N] or [N, channels] resampled from `rate` to `wanted` hertz by soxr's HQ; the type stays."""
    resampled: np.ndarray = soxr.resample(samples, rate, wanted, quality="HQ")
    return resampled
