"""Padded batches: a mask of the real frames, and reversal within each row's length."""

from __future__ import annotations

import torch
from torch import Tensor


def mask(lengths: Tensor, T: int) -> Tensor:
    """[T, B] bool, true at real frames, false in the padding. lengths: [B] int64, each 0..T."""
    return torch.arange(T, device=lengths.device)[:, None] < lengths


def flip(sequences: Tensor, lengths: Tensor | None) -> Tensor:
    """Reverse each row within its length; padding stays where it is. Its own inverse.

    sequences: [T, B, ...]. lengths: [B] int64, each 0..T; None where every row has T frames.
    """
    if lengths is None:
        return sequences.flip(0)
    T, B = sequences.shape[:2]
    steps = torch.arange(T)[:, None]
    lengths = lengths.cpu()
    source = torch.where(steps < lengths, lengths - 1 - steps, steps)
    frames = (source * B + torch.arange(B)).flatten().to(sequences.device)
    return sequences.flatten(0, 1).index_select(0, frames).view_as(sequences)
