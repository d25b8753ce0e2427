"""Normalise features to mean 0 and standard deviation 1, over an utterance or over the last frames.

This is apart from the statistics of the training split, which the store holds and the model applies.
"""

from __future__ import annotations

import torch
from torch import Tensor

MIN_DEVIATION = 1e-3  # a feature that varies less is constant up to rounding; it becomes 0 or nearly 0
BLOCK = 64  # frames computed at once


def normalise_utterance(frames: Tensor) -> Tensor:
    """Frames [T, F], each feature with mean 0 and standard deviation 1 over all frames. Sums are taken in float64."""
    values = frames.double()
    values = values - values.mean(dim=0)
    deviation = values.square().mean(dim=0).sqrt()
    return (values / deviation.clamp(min=MIN_DEVIATION)).to(frames.dtype)


def normalise_sliding(frames: Tensor, before: Tensor, window: int) -> Tensor:
    """Frames [T, F], each normalised over the last `window` frames up to and including itself.

        z[t] = (x[t] - mean) / deviation       over x[t - window + 1] .. x[t], as far as these exist

    so |z| < sqrt(window), and the first frame of a recording becomes 0.

    Args:
        frames: [T, F].
        before: [P, F] the up to `window - 1` frames before them; [0, F] at the start.
        window: number of frames.
    """
    T, F = frames.shape
    missing = window - 1 - len(before)
    steps = torch.arange(window, device=frames.device)
    padded = torch.cat([frames.new_zeros(missing, F), before, frames]).double()
    blocks = []
    for start in range(0, T, BLOCK):
        count = min(BLOCK, T - start)
        windows = padded[start : start + count + window - 1].unfold(0, window, 1)  # [count, F, window]
        place = torch.arange(start, start + count, device=frames.device)[:, None] + steps
        exists = (place >= missing)[:, None]  # [count, 1, window]
        frame_counts = exists.sum(dim=-1)
        mean = windows.sum(dim=-1) / frame_counts  # frames that do not exist are zeros
        variance = torch.where(exists, windows - mean[..., None], 0.0).square().sum(dim=-1) / frame_counts
        blocks.append((windows[..., -1] - mean) / variance.sqrt().clamp(min=MIN_DEVIATION))
    return torch.cat(blocks).to(frames.dtype) if blocks else frames
