"""Extract features of recordings as NumPy arrays, as preparation and batching do, on one thread a process."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from seqaudio.features.settings import FeatureSettings

if TYPE_CHECKING:
    from seqaudio.features.extractor import FeatureExtractor

KEPT_BYTES = 1 << 24  # 16 MiB, more than the spectra of a block take


def extract_frames(samples: np.ndarray, settings: FeatureSettings) -> np.ndarray:
    """Frames [T, F] float32 of one recording's samples [N] at the rate of the settings; torch works on one thread."""
    frames: np.ndarray = extract_batch(samples[None], settings)[0]
    return frames


def extract_batch(samples: np.ndarray, settings: FeatureSettings) -> np.ndarray:
    """Frames [B, T, F] of recordings [B, N] of equal length, each bit for bit as if extracted alone."""
    import torch

    with _one_thread(), torch.inference_mode():
        frames: np.ndarray = _extractor(settings)(torch.from_numpy(samples)).numpy()  # [T, B, F]
    rows: np.ndarray = np.ascontiguousarray(frames.swapaxes(0, 1))
    return rows


@functools.lru_cache(maxsize=4)
def _extractor(settings: FeatureSettings) -> FeatureExtractor:
    """The extractor for the settings, made once in a process."""
    from seqaudio.features.extractor import FeatureExtractor

    _keep_freed_memory()
    return FeatureExtractor(settings)


def _keep_freed_memory() -> None:
    """Make the C library reuse the freed blocks of spectra instead of returning them to the system.

    glibc returns only blocks larger than the largest that was ever freed. So freeing one block of KEPT_BYTES, never
    touched, is enough; without it a third of the time of short clips goes into page faults.
    """
    block = np.empty(KEPT_BYTES, dtype=np.uint8)
    del block


class _Threads:
    """How many threads of this process extract features now, and how many threads torch used before."""

    lock = threading.Lock()
    inside = 0
    before = 1


@contextmanager
def _one_thread() -> Iterator[None]:
    """Run torch on one thread: workers do not compete for cores, and frames do not depend on their number."""
    import torch

    with _Threads.lock:
        if not _Threads.inside:
            _Threads.before = torch.get_num_threads()
        _Threads.inside += 1
        torch.set_num_threads(1)  # torch keeps this number per calling thread
    try:
        yield
    finally:
        with _Threads.lock:
            _Threads.inside -= 1
            if not _Threads.inside:
                torch.set_num_threads(_Threads.before)
