"""Recordings that are whole as files and still of no use: nothing to hear, or cut off at full scale."""

from __future__ import annotations

import numpy as np

SILENT = "silent"
CLIPPED = "clipped"
SILENT_PEAK = 1e-3  # of full scale, -60 dB: no sample is louder
FULL = 0.999  # of full scale
CLIPPED_SHARE = 1e-3  # of the samples that are at full scale: single peaks may touch it


def sound_fault(samples: np.ndarray) -> str:
    """What is wrong with samples [N], full scale -1..1, as a remark that begins with SILENT or CLIPPED; or nothing."""
    (fault,) = sound_faults(samples[None])
    return fault


def sound_faults(recordings: np.ndarray) -> list[str]:
    """The same for each of several recordings of one length, [B, N]."""
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
