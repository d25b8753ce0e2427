"""Evaluate a keyword model: a guess for each clip, accuracy by condition, a nearest-neighbour baseline."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from seqaudio.batching import Batch, Clips, PaddedBatches
from seqaudio.decoding.spotting import (
    FLUSH,
    Averages,
    clip_probabilities,
    keywords_of,
)
from seqaudio.decoding.torch_logits import quiet_value, state_after_quiet
from seqaudio.evaluation.metrics import MAX_STEPS
from seqaudio.features.settings import FeatureSettings
from seqaudio.models import Model, SpotterModel
from seqaudio.vocabulary import Vocabulary

Label = TypeVar("Label", str, int)
THRESHOLDS = (0.3, 0.35, 0.4, 0.45, 0.5)  # clips have no hours of other sound, on which lower ones could be judged
F1_SLACK = 0.002
CLIPS = 256  # of a batch
NEIGHBOURS = "5-nearest-neighbours"
LEAST = 1e-7  # probability that counts in nats at least: a mean over clips is not ruined by one of them
CHUNK = 512  # rows compared at a time, so that the distances of a large set fit into memory


def stretch(sequence: np.ndarray, frames: int = 24) -> np.ndarray:
    """Resample over time by linear interpolation, first frame on first, last on last.

    sequence: [T, F] with T >= 1; returns [frames, F] float64. Raises ValueError for a sequence without frames.
    """
    T = len(sequence)
    if T == 0:
        raise ValueError("got a sequence of 0 frames, expected at least 1; leave out empty sequences")
    position = np.linspace(0, T - 1, frames)
    before = np.floor(position).astype(np.int64)
    after = np.minimum(before + 1, T - 1)
    share = (position - before)[:, None]
    stretched: np.ndarray = (1 - share) * sequence[before] + share * sequence[after]
    return stretched


class NearestNeighbours(Generic[Label]):
    """Majority vote of the k nearest training sequences, each stretched to 24 frames.

    Distance is Euclidean over the 24 F values, each feature divided by its standard deviation over all stretched
    training frames. A tie goes to the label of the nearest sequence. With fewer than k training
    sequences, all vote.
    """

    def __init__(self, k: int = 5, frames: int = 24) -> None:
        if k < 1 or frames < 1:
            raise ValueError(f"got k {k} and {frames} frames, expected at least 1 of each")
        self.k = k
        self.frames = frames

    def fit(self, sequences: Iterable[np.ndarray], labels: Sequence[Label]) -> NearestNeighbours[Label]:
        """Store the training sequences, each [T, F]. Raises ValueError unless each has one label, or for none."""
        rows = self._rows(sequences)
        if len(rows) != len(labels) or not labels:
            raise ValueError(f"got {len(rows)} sequences and {len(labels)} labels, expected one label for each")
        self._mean = rows.mean(axis=(0, 1))
        spread = rows.std(axis=(0, 1))
        self._scale = np.where(spread > 0, spread, 1.0)
        self._training = self._points(rows)
        self._labels: list[Label] = list(labels)
        return self

    def predict(self, sequences: Iterable[np.ndarray]) -> list[Label]:
        """One label for each sequence [T, F]. Raises ValueError where F differs from the training set."""
        rows = self._rows(sequences)
        if len(rows) and rows.shape[2] != len(self._scale):
            raise ValueError(
                f"got {rows.shape[2]} features a frame, expected {len(self._scale)} as in the training set"
            )
        guesses: list[Label] = []
        for start in range(0, len(rows), CHUNK):
            nearest = self._nearest(self._points(rows[start : start + CHUNK]))
            guesses += [self._vote(neighbours) for neighbours in nearest]
        return guesses

    def _rows(self, sequences: Iterable[np.ndarray]) -> np.ndarray:
        """[N, frames, F]"""
        rows = [stretch(np.asarray(sequence, dtype=np.float64), self.frames) for sequence in sequences]
        return np.stack(rows) if rows else np.zeros((0, self.frames, 0))

    def _points(self, rows: np.ndarray) -> np.ndarray:
        """[N, frames F], each feature standardised over the training frames"""
        points: np.ndarray = ((rows - self._mean) / self._scale).reshape(len(rows), -1)
        return points

    def _nearest(self, points: np.ndarray) -> np.ndarray:
        """[N, k] training rows, the nearest first, the earlier one where two are equally near"""
        # |a - b|^2 = |a|^2 - 2 a b + |b|^2; |a|^2 is the same for every training row
        distances = (self._training**2).sum(axis=1) - 2 * points @ self._training.T
        return np.argsort(distances, axis=1, kind="stable")[:, : self.k]

    def _vote(self, nearest: np.ndarray) -> Label:
        votes: dict[Label, int] = {}
        for row in nearest:
            label = self._labels[row]
            votes[label] = votes.get(label, 0) + 1
        # a dict keeps the order of first votes and max takes the first of equals: the nearest breaks a tie
        return max(votes, key=votes.__getitem__)


@dataclass(frozen=True)
class Guesses:
    """Ids of the true and the guessed label of each row of a split, [N] int64, in the order of the split."""

    truth: np.ndarray
    guess: np.ndarray

    def accuracy(self, rows: np.ndarray | None = None) -> float:
        """Share of the rows (all without a [N] bool selection) whose label was guessed."""
        hits = self.truth == self.guess
        return float(np.mean(hits if rows is None else hits[rows]))

    def by_condition(self, conditions: Sequence[str]) -> dict[str, tuple[float, int]]:
        """Accuracy and number of rows for each condition; empty where there is but one."""
        names = sorted(set(conditions))
        if len(names) < 2:
            return {}
        condition = np.array(conditions)
        return {name: (self.accuracy(condition == name), int(np.sum(condition == name))) for name in names}


@torch.no_grad()
def label_probabilities(
    model: Model,
    clips: Clips,
    labels: Vocabulary,
    settings: FeatureSettings,
    device: torch.device | str = "cpu",
    added: Collection[str] = (),
) -> np.ndarray:
    """Probabilities [N, C] of the labels of each clip.

    A spotter hears each clip with quiet behind it, as a stream (`decoding/spotting.py`); the highest probability of a
    keyword is that of the clip. Labels that the training added to those of its store, such as `silence` for pauses, are
    no answer unless clips have them.
    """
    if isinstance(model, SpotterModel):
        highest = highest_probabilities(model, clips, labels, settings, device)
        result = np.stack([clip_probabilities(row[None], labels) for row in highest])
    else:
        model.eval()
        result = np.empty((len(clips.lengths), len(labels)))
        batches = PaddedBatches(clips, CLIPS, max_steps=MAX_STEPS)
        for rows, batch in zip(batches.rows(0), batches.epoch(0), strict=True):
            logits, _ = model(batch.inputs.to(device), batch.lengths)
            result[rows] = logits.softmax(dim=-1).cpu().numpy()
    return answers(result, clips, labels, added)


@torch.no_grad()
def highest_probabilities(
    model: SpotterModel, clips: Clips, labels: Vocabulary, settings: FeatureSettings, device: torch.device | str = "cpu"
) -> np.ndarray:
    """The highest averaged probability of each label, [N, C], in each clip and the quiet behind it."""
    model.eval()
    result = np.empty((len(clips.lengths), len(labels)))
    batches = PaddedBatches(clips, CLIPS, max_steps=MAX_STEPS)
    for rows, batch in zip(batches.rows(0), batches.epoch(0), strict=True):
        inputs, lengths = with_quiet(batch, settings)
        logits, _ = model(inputs.to(device), lengths, state_after_quiet(model, settings, batch.rows))
        heard = logits.double().softmax(dim=-1).cpu().numpy()  # [T, B, C]
        for column, row in enumerate(rows):
            result[row] = Averages(settings.frame_shift, labels).push(heard[: lengths[column], column]).max(axis=0)
    return result


def chosen_thresholds(highest: np.ndarray, truth: np.ndarray, labels: Vocabulary) -> dict[str, float]:
    """The threshold of each keyword: the highest of THRESHOLDS whose F1 over clips is about as good as the best.

    highest: [N, C], of `highest_probabilities`. truth: labels of the clips, [N].
    """
    chosen = {}
    for name in keywords_of(labels):
        scores, right = highest[:, labels.index(name)], truth == labels.index(name)
        f1 = [
            2 * (right & (scores >= least)).sum() / max(1, right.sum() + (scores >= least).sum())
            for least in THRESHOLDS
        ]
        chosen[name] = max(least for least, value in zip(THRESHOLDS, f1, strict=True) if value >= max(f1) - F1_SLACK)
    return chosen


def with_quiet(batch: Batch, settings: FeatureSettings) -> tuple[Tensor, Tensor]:
    """Inputs [T, B, F] and lengths [B] of a batch of clips with quiet behind each, in which a spotter answers."""
    quiet = quiet_frames(settings)
    inputs = torch.full((batch.steps + quiet, batch.rows, batch.inputs.shape[2]), quiet_value(settings))
    inputs[: batch.steps] = torch.where(batch.mask()[..., None], batch.inputs, inputs[: batch.steps])
    return inputs, batch.lengths + quiet


def quiet_frames(settings: FeatureSettings) -> int:
    """Frames of quiet behind a clip."""
    return round(FLUSH / settings.frame_shift)


def answers(probabilities: np.ndarray, clips: Clips, labels: Vocabulary, added: Collection[str] = ()) -> np.ndarray:
    """Probabilities [N, C] without those of labels that the training added and no clip has."""
    absent = [label for label, name in enumerate(labels) if name in added and not (clips.labels == label).any()]
    result = probabilities.copy()
    result[:, absent] = 0.0
    result /= np.maximum(result.sum(axis=1, keepdims=True), LEAST)
    return result


def clip_metrics(
    model: Model,
    clips: Clips,
    labels: Vocabulary,
    settings: FeatureSettings,
    device: torch.device | str = "cpu",
    added: Collection[str] = (),
) -> dict[str, float]:
    """Accuracy, balanced accuracy (the mean over labels) and nats a clip over all clips, and their count."""
    return metrics_of(clips.labels, label_probabilities(model, clips, labels, settings, device, added))


def metrics_of(truth: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """The metrics of `clip_metrics` from true labels [N] and probabilities [N, C]."""
    hits = probabilities.argmax(axis=1) == truth
    nats = -np.log(np.maximum(probabilities[np.arange(len(truth)), truth], LEAST))
    return {
        "accuracy": float(hits.mean()),
        "balanced_accuracy": float(np.mean([hits[truth == label].mean() for label in np.unique(truth)])),
        "nats_per_clip": float(nats.mean()),
        "count": len(truth),
    }


def neighbour_baselines(training: Clips, clips: Clips) -> dict[str, dict[str, float]]:
    """The accuracy of 5 nearest neighbours, as they are and centred: which is the stronger one differs by corpus."""
    return {
        f"{NEIGHBOURS}{', centred' if centred else ''}": {"accuracy": neighbour_accuracy(training, clips, centred)}
        for centred in (False, True)
    }


def neighbour_accuracy(training: Clips, clips: Clips, centred: bool = False) -> float:
    """Share of the clips that the 5 nearest neighbours among the training clips label correctly.

    centred: each feature of a clip loses its mean and its deviation over the clip, and with them most of the voice.
    """
    change = standardised if centred else np.asarray
    known = [change(training.frames(row)) for row in range(len(training.labels))]
    queries = (change(clips.frames(row)) for row in range(len(clips.labels)))
    guesses = NearestNeighbours().fit(known, training.labels.tolist()).predict(queries)
    return float(np.mean(np.array(guesses) == clips.labels))


def standardised(frames: np.ndarray) -> np.ndarray:
    """Frames [T, F] with mean 0 and deviation 1 of each feature; a constant one becomes 0."""
    spread = frames.std(axis=0)
    result: np.ndarray = (frames - frames.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return result
