"""Evaluate a keyword model: a guess for each clip, accuracy by condition, a nearest-neighbour baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from seqaudio.batching import Clips, PaddedBatches
from seqaudio.evaluation.metrics import MAX_STEPS
from seqaudio.evaluation.neighbours import NearestNeighbours
from seqaudio.models import KeywordModel


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
