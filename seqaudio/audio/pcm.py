"""Convert 16-bit integers to floats and back: full scale is 32768, as in a WAV file."""

from __future__ import annotations

import numpy as np

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
