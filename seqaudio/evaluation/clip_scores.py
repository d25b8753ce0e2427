"""Score the answers to clips: intervals of accuracy, precision and recall of each label, calibration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from seqaudio.evaluation.intervals import wilson
from seqaudio.pictures import GRID, INK, INKS, add_title, new_figure

BINS = 10  # of equal width over the probability of an answer


class LabelScore(NamedTuple):
    """How well one label is told apart: shares are NaN where there is nothing to take a share of."""

    label: str
    precision: float  # share of the answers with this label that are right
    answers: int
    recall: float  # share of the clips of this label that are recognised
    clips: int


class Bin(NamedTuple):
    """Answers whose probability lies in one range."""

    confidence: float  # mean probability of the answers
    accuracy: float  # share that is right
    answers: int


class ClipScores(NamedTuple):
    """What the truth [N] and the probabilities [N, C] of clips tell."""

    accuracy: tuple[float, float]  # 95 % interval
    balanced_accuracy: tuple[float, float]  # 95 % interval
    labels: list[LabelScore]
    bins: list[Bin]  # that have answers, from the least certain
    calibration_error: float

    @classmethod
    def of(cls, truth: np.ndarray, probabilities: np.ndarray, names: Sequence[str]) -> ClipScores:
        """Score at least one clip.

        Intervals take clips as independent: Wilson (1927), and for the mean over labels the limits of each recall
        combined as by Zou & Donner (2008). Expected calibration error: Guo et al. (2017).
        """
        guess = probabilities.argmax(axis=1)
        hits = guess == truth
        labels = [_label_score(label, name, truth, guess) for label, name in enumerate(names)]
        certain = probabilities.max(axis=1)
        places = np.minimum((certain * BINS).astype(np.int64), BINS - 1)
        bins = [
            Bin(float(certain[here].mean()), float(hits[here].mean()), int(here.sum()))
            for here in (places == place for place in range(BINS))
            if here.any()
        ]
        error = sum(part.answers * abs(part.accuracy - part.confidence) for part in bins) / len(truth)
        recalls = [(score.recall, score.clips) for score in labels if score.clips]
        return cls(wilson(float(hits.mean()), len(truth)), mean_interval(recalls), labels, bins, error)

    def as_json(self) -> dict[str, Any]:
        """The scores as a run keeps them."""
        return {
            "accuracy_interval": list(self.accuracy),
            "balanced_accuracy_interval": list(self.balanced_accuracy),
            "labels": {score.label: _without_label(score) for score in self.labels},
            "calibration": {"error": self.calibration_error, "bins": [part._asdict() for part in self.bins]},
        }

    def summary(self, balanced_accuracy: float) -> list[str]:
        """Lines with the errors, the intervals, balanced accuracy and calibration."""
        low, high = self.accuracy
        lowest, highest = self.balanced_accuracy
        clips = sum(part.answers for part in self.bins)
        wrong = round(sum(part.answers * (1 - part.accuracy) for part in self.bins))
        return [
            f"  {wrong:,} error{'s' * (wrong != 1)} of {clips:,} clips, 95 % interval of the accuracy "
            f"{100 * low:.2f} to {100 * high:.2f} %",
            f"  balanced accuracy {100 * balanced_accuracy:.2f} %, {100 * lowest:.2f} to {100 * highest:.2f} %",
            f"  expected calibration error {self.calibration_error:.3f}",
        ]

    def table(self) -> list[str]:
        """Lines with precision and recall of each label that clips or answers have."""
        shown = [score for score in self.labels if score.clips or score.answers]
        width = max(len("label"), *(len(score.label) for score in shown))
        heading = f"  {'label':<{width}}  {'recall':>9}  of clips  precision  of answers"
        return [heading] + [
            f"  {score.label:<{width}}  {_percent(score.recall):>9}  {score.clips:>8,}  "
            f"{_percent(score.precision):>9}  {score.answers:>10,}"
            for score in shown
        ]


def mean_interval(shares: Sequence[tuple[float, int]]) -> tuple[float, float]:
    """The 95 % interval of the mean of independent shares, each with its number of items.

    The limits l, u of each share combine to  m - |p - l| / C,  m + |u - p| / C.  Source: Zou & Donner (2008).
    """
    limits = np.array([wilson(share, count) for share, count in shares])
    values = np.array([share for share, _ in shares])
    below, above = np.sqrt(np.square(limits - values[:, None]).sum(axis=0)) / len(values)
    mean = float(values.mean())
    return max(0.0, mean - float(below)), min(1.0, mean + float(above))


def reliability_figure(scores: ClipScores, title: str = "") -> Figure:
    """Accuracy over the probability of answers, with 95 % intervals; below, how many answers have it."""
    figure = new_figure(5.6, 5.4)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    figure.subplots_adjust(left=0.13, right=0.96, top=0.84, bottom=0.1, hspace=0.1)
    add_title(figure, title)
    summary = f"expected calibration error {scores.calibration_error:.3f}"
    figure.text(0.15 / 5.6, 1 - 0.42 / 5.4, summary, fontsize=10, color=INK, va="top")
    confidence = [part.confidence for part in scores.bins]
    accuracy = np.array([part.accuracy for part in scores.bins])
    limits = np.array([wilson(part.accuracy, part.answers) for part in scores.bins])
    errors = np.abs(limits - accuracy[:, None]).T
    upper.plot([0, 1], [0, 1], "--", color=GRID, linewidth=1.2, label="calibrated")
    upper.errorbar(
        confidence, accuracy, yerr=errors, fmt="o-", color=INKS[0], markersize=5, linewidth=1.4, capsize=2.5,
        label="answers, 95 % interval",
    )  # fmt: skip
    upper.set_ylabel("share right", fontsize=10, color=INK)
    upper.set_ylim(-0.03, 1.03)
    upper.legend(fontsize=9, frameon=False, loc="lower right")
    lower.bar(confidence, [part.answers for part in scores.bins], width=0.6 / BINS, color=INKS[2])
    lower.set_yscale("log")
    lower.set_ylim(bottom=0.5)
    lower.set_ylabel("answers", fontsize=10, color=INK)
    lower.set_xlabel("probability of the answer", fontsize=10, color=INK)
    lower.set_xlim(0, 1.03)
    for axes in (upper, lower):
        axes.grid(color=GRID, linewidth=0.5, alpha=0.6)
        axes.tick_params(labelsize=9, labelcolor=INK)
    return figure


def _label_score(label: int, name: str, truth: np.ndarray, guess: np.ndarray) -> LabelScore:
    clips, answers = int((truth == label).sum()), int((guess == label).sum())
    right = int(((truth == label) & (guess == label)).sum())
    return LabelScore(
        name, right / answers if answers else float("nan"), answers, right / clips if clips else float("nan"), clips
    )


def _without_label(score: LabelScore) -> dict[str, float | int]:
    return {name: value for name, value in score._asdict().items() if name != "label"}


def _percent(share: float) -> str:
    return "-" if np.isnan(share) else f"{100 * share:.2f} %"
