"""Features with mean 0 and deviation 1, over an utterance or over the frames just heard.

Statistics of the training split are another matter: the store holds them and the model applies them.
"""

from __future__ import annotations

import torch
from torch import Tensor

MIN_DEVIATION = 1e-3  # a feature that changes less is constant but for rounding; it becomes 0 or nearly so
BLOCK = 64  # frames whose windows are gathered at once


def normalise_utterance(frames: Tensor) -> Tensor:
    """Frames [T, F], each feature with mean 0 and deviation 1 over all of them. Sums are taken in float64."""
    values = frames.double()
    values = values - values.mean(dim=0)
    deviation = values.square().mean(dim=0).sqrt()
    return (values / deviation.clamp(min=MIN_DEVIATION)).to(frames.dtype)


def normalise_sliding(frames: Tensor, before: Tensor, window: int) -> Tensor:
    """Frames [T, F], each relative to the last `window` frames, itself included; nothing later is looked at.

        z[t] = (x[t] - mean) / deviation       over x[t - window + 1] .. x[t], as far as there are any

    so |z| < sqrt(window), and the very first frame of a recording becomes 0.

    Args:
        frames: [T, F].
        before: [P, F] the frames before them, the last `window - 1` where there are that many; [0, F] at the start.
        window: frames.
    """
    T, F = frames.shape
    missing = window - 1 - len(before)
    steps = torch.arange(window, device=frames.device)
    heard = torch.cat([frames.new_zeros(missing, F), before, frames]).double()
    blocks = []
    for start in range(0, T, BLOCK):
        count = min(BLOCK, T - start)
        windows = heard[start : start + count + window - 1].unfold(0, window, 1)  # [count, F, window]
        place = torch.arange(start, start + count, device=frames.device)[:, None] + steps
        there = (place >= missing)[:, None]  # [count, 1, window]
        frame_counts = there.sum(dim=-1)
        mean = windows.sum(dim=-1) / frame_counts  # frames that are not there are zeros
        spread = torch.where(there, windows - mean[..., None], 0.0).square().sum(dim=-1) / frame_counts
        blocks.append((windows[..., -1] - mean) / spread.sqrt().clamp(min=MIN_DEVIATION))
    return torch.cat(blocks).to(frames.dtype) if blocks else frames
