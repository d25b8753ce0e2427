"""Detectors as the scorecard hears them: samples in, a score after each step out; a run of the project's own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import soxr

from seqaudio.decoding.spotting import FLUSH, Spotter
from seqaudio.errors import OptionError
from seqaudio.evaluation.alarms.material import RATE
from seqaudio.registry import did_you_mean
from seqaudio.run_folder import RunFolder
from seqaudio.units import Seconds
from seqaudio.version import __version__

PROBABILITY = "probability"  # the scale of most detectors


class Detector(Protocol):
    """A detector of one word in a stream at RATE. Score i is known lead + i * step after the stream began."""

    name: str
    word: str
    version: str
    step: Seconds  # between two scores
    lead: Seconds  # of sound that the first score needs
    usual: float | None  # its own threshold, where it has one
    bottom: float  # the lowest threshold; minus infinity is the score where there is nothing to report
    top: float  # the highest score that it can give; infinity where there is no bound
    scale: str  # what a score is
    wait: Seconds  # at most, from a score above the threshold to the report: it waits for the peak; 0: at once

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Take the next samples [n] float32; the scores [t] that are known now, higher where the word is likelier."""
        ...

    def finish(self) -> np.ndarray:
        """The scores that were held back; then a new stream begins."""
        ...


@dataclass(frozen=True, eq=False)
class Recorded:
    """All scores [T] float64 of a detector on a track."""

    scores: np.ndarray
    step: Seconds
    lead: Seconds

    def time(self, place: int) -> Seconds:
        """When a score was known."""
        return self.lead + place * self.step

    def within(self, start: Seconds, end: Seconds) -> slice:
        """The scores that were known from start to end, inclusive."""
        first = int(np.ceil((start - self.lead) / self.step - 1e-6))
        last = int(np.floor((end - self.lead) / self.step + 1e-6))
        return slice(max(0, first), max(0, last + 1))


def record(detectors: Sequence[Detector], blocks: Iterable[np.ndarray]) -> list[Recorded]:
    """The scores of each detector on a track, all fed with the same blocks."""
    found: list[list[np.ndarray]] = [[] for _ in detectors]
    for block in blocks:
        for scores, detector in zip(found, detectors, strict=True):
            scores.append(detector.push(block))
    for scores, detector in zip(found, detectors, strict=True):
        scores.append(detector.finish())
    return [
        Recorded(np.concatenate(scores).astype(np.float64), detector.step, detector.lead)
        for scores, detector in zip(found, detectors, strict=True)
    ]


class SpotterDetector:
    """A spotter run: the averaged probability of a keyword after each frame.

    word: one of the run's keywords; None for the only one.
    Raises:
        RunError: as `Spotter`.
        OptionError: no such keyword, or several and none is named.
    """

    def __init__(self, run: RunFolder, word: str | None = None) -> None:
        self.spotter = Spotter(run)
        names = self.spotter.keywords
        if word is None and len(names) != 1:
            raise OptionError(f"{run.path} knows {', '.join(names)}; choose one with --word")
        if word is not None and word not in names:
            raise OptionError(f"--word {word}: {run.path} knows no such keyword; {did_you_mean(word, list(names))}")
        self.word = word or names[0]
        self.name = run.path.name or "run"
        self.version = __version__
        settings = self.spotter.settings
        self.step, self.lead, self.wait = settings.frame_shift, settings.frame_length, FLUSH
        self.bottom, self.top, self.scale = 0.0, 1.0, PROBABILITY
        self.usual = self.spotter.about.thresholds.get(self.word)
        self._place = self.spotter.labels.index(self.word)
        self._rate = settings.sample_rate
        self._begin()

    def push(self, samples: np.ndarray) -> np.ndarray:
        """As `Detector.push`."""
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(samples)
        return self._scores(samples)

    def finish(self) -> np.ndarray:
        """As `Detector.finish`."""
        scores = np.zeros(0)
        if self._resampler is not None:
            rest = self._resampler.resample_chunk(np.zeros(0, dtype=np.float32), last=True)
            scores = self._scores(rest)
        self._begin()
        return scores

    def _scores(self, samples: np.ndarray) -> np.ndarray:
        scores: np.ndarray = self.spotter.averages(samples)[:, self._place]
        return scores

    def _begin(self) -> None:
        self.spotter.reset()
        self._resampler = None if self._rate == RATE else soxr.ResampleStream(RATE, self._rate, 1, dtype="float32")
