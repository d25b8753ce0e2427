"""Evaluate a keyword model: a guess for each clip, accuracy by condition, a nearest-neighbour baseline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import torch

from seqaudio.batching import Clips, PaddedBatches
from seqaudio.evaluation.metrics import MAX_STEPS
from seqaudio.models import KeywordModel

Label = TypeVar("Label", str, int)
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
def guess_labels(model: KeywordModel, sequences: Clips, device: torch.device | str = "cpu") -> Guesses:
    """The likeliest label of each row."""
    model.eval()
    guess = np.empty(len(sequences.lengths), dtype=np.int64)
    batches = PaddedBatches(sequences, 256, max_steps=MAX_STEPS)
    for rows, batch in zip(batches.rows(0), batches.epoch(0), strict=True):
        logits, _ = model(batch.inputs.to(device), batch.lengths)
        guess[rows] = logits.argmax(dim=-1).cpu().numpy()
    return Guesses(truth=sequences.labels, guess=guess)


def neighbour_accuracy(training: Clips, clips: Clips) -> float:
    """Share of the clips that the 5 nearest neighbours among the training clips label correctly."""
    known = [training.frames(row) for row in range(len(training.labels))]
    queries = (clips.frames(row) for row in range(len(clips.labels)))
    guesses = NearestNeighbours().fit(known, training.labels.tolist()).predict(queries)
    return float(np.mean(np.array(guesses) == clips.labels))
