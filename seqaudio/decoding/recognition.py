"""Recognise the keywords in a recording of any length, streamed through the spotter of a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from seqaudio.audio import stream_audio
from seqaudio.audio.recording import MAX_SECONDS
from seqaudio.decoding.clip_lengths import SLACK, clip_seconds_of
from seqaudio.decoding.spotting import Hit, Spotter, answer_without_keyword, clip_probabilities
from seqaudio.run_folder import RunFolder
from seqaudio.units import Seconds

BLOCK: Seconds = 10.0  # of a recording that is computed at once


class Recognition(NamedTuple):
    """What was recognised in a recording.

    label, probability: of a clip as a whole; of a longer recording those of the surest word, or `silence`, or `unknown`
        where there was speech, but no keyword.
    hits: the keywords above their thresholds, in order of time.
    seconds: length of the recording. is_clip: whether it is as long as the clips of the training.
    """

    label: str
    probability: float
    hits: tuple[Hit, ...]
    seconds: Seconds
    is_clip: bool


class StreamRecognizer:
    """The spotter of a run, for recordings. Raises RunError as `Spotter` does."""

    def __init__(self, run: RunFolder) -> None:
        self.spotter = Spotter(run)
        self.clip = clip_seconds_of(run)

    def recognize(self, file: Path, max_seconds: Seconds = MAX_SECONDS) -> Recognition:
        """The words in a recording, which is read in blocks. Raises AudioError with the reason."""
        _, _, blocks = stream_audio(file, self.spotter.settings.sample_rate, max_seconds)
        return self.recognize_samples(blocks)

    def recognize_samples(self, blocks: Iterable[np.ndarray]) -> Recognition:
        """The words in a recording that comes as blocks [n] float32, at the rate of the run's features."""
        spotter, rate = self.spotter, self.spotter.settings.sample_rate
        spotter.reset()
        hits: list[Hit] = []
        count = 0
        for block in _cut(blocks, round(BLOCK * rate)):
            hits += spotter.push(block)
            count += len(block)
        hits += spotter.finish()
        seconds = count / rate
        within = [hit._replace(start=min(hit.start, seconds), end=min(hit.end, seconds)) for hit in hits]
        within.sort(key=lambda hit: (hit.start, hit.end))
        is_clip = seconds <= SLACK * self.clip.longest
        label, probability = self._clip_answer() if is_clip else self._answer(within)
        return Recognition(label, probability, tuple(within), seconds, is_clip)

    def _clip_answer(self) -> tuple[str, float]:
        """The likeliest label of a clip; those that the training added to its store's are none, if others are left."""
        labels = self.spotter.labels
        probabilities = clip_probabilities(self.spotter.highest[None], labels)
        known = np.array([name not in self.spotter.about.added for name in labels])
        if known.sum() > 1:
            probabilities = np.where(known, probabilities, 0.0)
            probabilities /= max(probabilities.sum(), 1e-12)
        best = int(probabilities.argmax())
        return labels[best], float(probabilities[best])

    def _answer(self, hits: list[Hit]) -> tuple[str, float]:
        """The surest word of a longer recording, or what it is without one."""
        if hits:
            surest = max(hits, key=lambda hit: hit.confidence)
            return surest.keyword, surest.confidence
        return answer_without_keyword(self.spotter.highest, self.spotter.labels)


def _cut(blocks: Iterable[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """Blocks of at most `size` samples."""
    for block in blocks:
        for start in range(0, len(block), size):
            yield block[start : start + size]
