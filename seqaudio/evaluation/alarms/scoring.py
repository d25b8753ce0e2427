"""Hits, alarms, thresholds and delays from recorded scores: a detector runs once, whatever the threshold.

A hit lies between the word's start and 1 s after its end. Alarms lie at least 1 s apart: the highest score is one, then
the highest that is no nearer than that to those before, and so on. So neither hits nor alarms rise with the threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from seqaudio.evaluation.alarms.detectors import Recorded
from seqaudio.evaluation.alarms.track import Place
from seqaudio.units import Seconds

AFTER: Seconds = 1.0  # behind a word's end, in which it may still be reported
APART: Seconds = 1.0  # alarms that are nearer to each other are one
MARGIN = 0.05  # of the way from the tenth highest false score to the highest: the threshold lies so far above it
HIGHEST = 10  # false scores that give the margin


class Alarms(NamedTuple):
    """Scores [A] of the alarms on a track without the word, highest first, and their times [A] in seconds."""

    scores: np.ndarray
    times: np.ndarray

    def above(self, threshold: float) -> int:
        """How many alarms there are with a threshold."""
        return int(np.count_nonzero(self.scores >= threshold))


def alarms(recorded: Recorded) -> Alarms:
    """All alarms on a track, each with the highest threshold that lets it through."""
    scores = recorded.scores
    near = max(1, round(APART / recorded.step))
    heard = np.ones(len(scores) + 2 * near, dtype=bool)  # near to an alarm
    heard[near : near + len(scores)] = False
    kept = []
    for place in np.argsort(-scores, kind="stable").tolist():
        if not heard[near + place]:
            kept.append(place)
            heard[place + 1 : place + 2 * near] = True
    places = np.array(kept, dtype=np.int64)
    places = places[np.isfinite(scores[places])]
    return Alarms(scores[places], recorded.lead + places * recorded.step)


class Words(NamedTuple):
    """What a detector made of each word of a track [W]: its highest score in time, and the scores from its start on."""

    highest: np.ndarray  # [W]
    heard: list[np.ndarray]  # scores from the start of each word to the end of its time, and a little on
    allowed: list[int]  # how many of these are in time
    first: np.ndarray  # [W] seconds from the end of each word to the first of these

    def hits(self, threshold: float) -> np.ndarray:
        """Which words are heard with a threshold, [W] bool."""
        found: np.ndarray = self.highest >= threshold
        return found


def words(recorded: Recorded, places: Sequence[Place], wait: Seconds, whole: bool = False) -> Words:
    """The scores around each word. whole: from the beginning of the clip, for clips without the word."""
    highest, heard, allowed, first = [], [], [], []
    for place in places:
        in_time = recorded.within(place.clip_start if whole else place.start, place.end + AFTER)
        part = recorded.scores[in_time]
        later = slice(in_time.start, in_time.stop + round(wait / recorded.step) + 1)
        highest.append(float(part.max()) if len(part) else -np.inf)
        heard.append(recorded.scores[later])
        allowed.append(len(part))
        first.append(recorded.time(in_time.start) - place.end)
    return Words(np.array(highest), heard, allowed, np.array(first))


def delays(found: Words, threshold: float, step: Seconds, wait: Seconds) -> np.ndarray:
    """Seconds from the end of each word that is heard to its report, [H]; negative where it comes before the end.

    A detector that waits for the peak reports with the first score below the highest so far, or after `wait`.
    """
    most = round(wait / step)
    times = []
    for scores, allowed, first in zip(found.heard, found.allowed, found.first.tolist(), strict=True):
        risen = np.flatnonzero(scores[:allowed] >= threshold)
        if len(risen):
            times.append(first + step * _report(scores, int(risen[0]), most))
    return np.array(times)


def _report(scores: np.ndarray, risen: int, most: int) -> int:
    for place in range(risen + 1, min(len(scores), risen + most + 1)):
        if scores[place] < scores[place - 1]:
            return place
    return risen + min(most, max(0, len(scores) - 1 - risen))


def chosen_threshold(found: Alarms, hours: float, per_hour: float, bottom: float, top: float) -> float:
    """The lowest threshold with at most `per_hour` alarms an hour; where it allows none at all, with a margin.

    bottom, top: the lowest threshold, and the highest score that the detector can give.
    """
    allowed = int(per_hour * hours + 1e-9)
    scores = found.scores
    if allowed >= len(scores):
        return bottom
    if allowed:
        return float(np.nextafter(np.float32(scores[allowed]), np.float32(np.inf)))
    return above_all(scores, top)


def above_all(scores: np.ndarray, top: float) -> float:
    """A threshold a little above all false scores [A], highest first; below the top where that is possible."""
    highest = float(scores[0])
    margin = MARGIN * (highest - float(scores[min(HIGHEST, len(scores)) - 1]))
    threshold = highest + max(margin, 1e-6)
    return min(threshold, (highest + top) / 2) if highest < top else threshold


def swept(found: Alarms, heard: Sequence[Words], top: float, most: int = 200) -> list[float]:
    """Thresholds that are worth a point of the curve, rising: scores of alarms and of words, thinned evenly."""
    scores = np.unique(np.concatenate([found.scores, *(part.highest for part in heard)]))
    scores = scores[np.isfinite(scores)]
    if len(scores) > most:
        # many low scores are alike: half of the points at the highest alarms, where the curve is read
        upper = np.unique(found.scores[: most // 2])
        even = scores[np.unique(np.linspace(0, len(scores) - 1, most // 2).round().astype(int))]
        scores = np.unique(np.concatenate([upper, even]))
    last = [above_all(found.scores, top)] if len(found.scores) else []
    return sorted({*scores.tolist(), *last})
