"""Compute metrics over a whole split: sums and counts of batches, divided once."""

from __future__ import annotations

import torch

from seqaudio.batching import Source
from seqaudio.models import Model

MAX_STEPS = 65_536  # padded steps of a batch, so that long pieces fit into memory


def evaluate(model: Model, source: Source, device: torch.device | str = "cpu") -> dict[str, float]:
    """Each metric of the model over all batches of a source. Leaves the model in evaluation mode."""
    model.eval()
    sums: dict[str, list[float]] = {}
    for batch in source.epoch(0):
        for name, (total, count) in model.evaluate(batch.to(device)).items():
            held = sums.setdefault(name, [0.0, 0])
            held[0] += total
            held[1] += count
    return {name: total / count for name, (total, count) in sums.items()} | {"count": next(iter(sums.values()))[1]}
