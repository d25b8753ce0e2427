"""A loss for outputs that have none."""

from __future__ import annotations

import torch
from torch import Tensor


def projections(outputs: Tensor, seed: int) -> Tensor:
    """[T, B]: each output times a random unit vector, drawn for each step and row.

    Its gradient has the norm 1 at the output, whatever the scale of the outputs, so that g reads as an amplification.
    """
    T, B = outputs.shape[:2]
    flat = outputs.reshape(T, B, -1)
    draw = torch.Generator().manual_seed(seed)
    # a draw a step, so that further steps do not change those before them
    directions = torch.stack([torch.randn(B, flat.shape[2], generator=draw, dtype=torch.float64) for _ in range(T)])
    directions = directions / directions.norm(dim=2, keepdim=True)
    losses: Tensor = (flat * directions.to(flat)).sum(dim=2)
    return losses
