"""Find faults of recordings whose files are intact: silence, and clipping at full scale."""

from __future__ import annotations

import numpy as np

SILENT = "silent"
CLIPPED = "clipped"
SILENT_PEAK = 1e-3  # of full scale, -60 dB: a recording with a lower peak is silent
FULL = 0.999  # of full scale: a sample above this is at full scale
CLIPPED_SHARE = 1e-3  # share of samples at full scale in a clipped recording; single peaks may reach it


def sound_fault(samples: np.ndarray) -> str:
    """A remark, beginning with SILENT or CLIPPED, about samples [N], full scale -1..1; empty where they are fine."""
    (fault,) = sound_faults(samples[None])
    return fault


def sound_faults(recordings: np.ndarray) -> list[str]:
    """The remark for each of several recordings of equal length, [B, N]."""
    peaks = np.maximum(recordings.max(axis=1, initial=0.0), -recordings.min(axis=1, initial=0.0))
    return [_fault(samples, peak) for samples, peak in zip(recordings, peaks.tolist(), strict=True)]


def _fault(samples: np.ndarray, peak: float) -> str:
    if peak < SILENT_PEAK:
        return f"{SILENT}: no sample is above -60 dB of full scale"
    if peak >= FULL:
        share = float(np.mean(np.abs(samples) >= FULL))
        if share >= CLIPPED_SHARE:
            return f"{CLIPPED}: {100 * share:.1f} % of the samples are at full scale"
    return ""
