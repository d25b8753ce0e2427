"""What `data_prep/` scripts do with each recording: decode it, resample it, extract its features."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from seqaudio.audio import read_audio
from seqaudio.errors import AudioError
from seqaudio.features.settings import FeatureSettings, Seconds
from seqaudio.ledger import Reason
from seqaudio.prepare import Item, Row

if TYPE_CHECKING:
    from seqaudio.features.extractor import FeatureExtractor


@dataclass(frozen=True)
class ExtractFeatures:
    """A `Process` for `build_store`: one recording becomes one row of frames [T, F].

    Raises, when called:
        AudioError: the file cannot be used (see `read_audio`), is shorter than one frame, has another name than
            expected, or has no label.
    """

    settings: FeatureSettings
    names: str = ""  # a regular expression for the whole file name without suffix; empty: any name will do
    example: str = ""  # a name that matches, for the message about one that does not
    max_seconds: Seconds = 3600.0

    def __call__(self, item: Item) -> list[Row]:
        if self.names and not re.fullmatch(self.names, item.file.stem):
            detail = f"named {item.file.name}, expected a name such as {self.example}"
            raise AudioError(item.file, Reason.UNEXPECTED_NAME, detail)
        if not item.label:
            raise AudioError(item.file, Reason.NO_LABEL, "has no label, so there is nothing to learn from it")
        recording = read_audio(item.file, self.settings.sample_rate, self.max_seconds)
        if not self.settings.frames(len(recording.samples)):
            raise AudioError(
                item.file,
                Reason.TOO_SHORT,
                f"{len(recording.samples)} samples at {recording.sample_rate} Hz, shorter than one frame of "
                f"{self.settings.window_samples}",
            )
        return [Row(item.id, extract_frames(recording.samples, self.settings), recording.seconds)]


def extract_frames(samples: np.ndarray, settings: FeatureSettings) -> np.ndarray:
    """Frames [T, F] float32 of one recording's samples [N] at the rate of the settings; torch works on one thread."""
    import torch

    with _one_thread(), torch.inference_mode():
        frames: np.ndarray = _extractor(settings)(torch.from_numpy(samples)).numpy()
    return frames


@functools.lru_cache(maxsize=4)
def _extractor(settings: FeatureSettings) -> FeatureExtractor:
    """One extractor a process, made at its first recording."""
    from seqaudio.features.extractor import FeatureExtractor

    return FeatureExtractor(settings)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Torch on one thread: workers do not fight for cores, and any number of them gives equal frames."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
