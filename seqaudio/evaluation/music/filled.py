"""Measure how well a model of music writes missing bars into pieces whose other bars it is given."""

from __future__ import annotations

from dataclasses import replace

import torch

from seqaudio.batching import BarMarks, FilledRows, PaddedBatches, TokenRows, TokenSequences
from seqaudio.evaluation.metrics import MAX_STEPS
from seqaudio.models import Model

SEED = 0  # of the stretches, so that runs compare


@torch.no_grad()
def filled_nats(
    model: Model, split: TokenRows, marks: BarMarks | None, device: torch.device | str = "cpu"
) -> dict[str, float]:
    """The metric `nats_per_filled_event`: the mean nats of the tokens of one stretch of each piece, its end included.

    A piece counts if it has at least two bars; which bars are missing is the same for every model. Empty without marks,
    for a model that was not trained to fill in bars, and where no piece has two bars. Leaves the model in evaluation
    mode.
    """
    if marks is None:
        return {}
    model.eval()
    moved = FilledRows(split, marks, 1.0, SEED).in_epoch(0)
    batches = PaddedBatches(TokenSequences(moved), 64, max_steps=MAX_STEPS)
    total, count = 0.0, 0
    for rows in batches.rows(0):
        rows = [row for row in rows if moved.moved[row]]
        if not rows:
            continue
        batch = batches.collate(rows, 0)
        weights = torch.zeros(batch.inputs.shape)
        for column, row in enumerate(rows):
            end = int(batch.lengths[column])
            weights[end - moved.at_end(row) - 1 : end, column] = 1
        loss, _, _ = model.loss(replace(batch, weights=weights).to(device), None)
        total, count = total + float(loss), count + int(weights.sum())
    return {"nats_per_filled_event": total / count} if count else {}
