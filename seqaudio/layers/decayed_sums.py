"""Exponentially decaying sums over time, whole or step by step: means that forget what is long past."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

BLOCK = 256  # steps computed as one product; a longer one costs more operations, a shorter one more calls


def decayed_sums(values: Tensor, decay: float, before: Tensor, resets: Tensor | None = None) -> Tensor:
    """The decaying sum after each step.

        s_t = decay s_{t-1} + x_t

    Args:
        values: x, [T, B, F]. decay: 0 <= decay <= 1; 1 forgets nothing.
        before: s_{-1}, [B, F], the sum before the first step.
        resets: [T, B] bool; where true, the sum is 0 before step t.
    Returns:
        [T, B, F]; blocks of steps are products with powers of the decay, so each differs in rounding from the loop.
    """
    T = len(values)
    if resets is not None and bool(resets.any()):
        return _with_resets(values, decay, before, resets)
    sums, last = [], before
    for start in range(0, T, BLOCK):
        part = values[start : start + BLOCK]
        steps = torch.arange(len(part) + 1, device=values.device)
        powers = decay ** steps.to(values.dtype)
        ages = steps[:-1, None] - steps[None, :-1]
        weights = torch.where(ages >= 0, powers[ages.clamp(min=0)], 0)  # [t, u]: the share of step u at step t
        block = torch.einsum("tu,ubf->tbf", weights, part) + powers[1:, None, None] * last
        sums.append(block)
        last = block[-1]
    return torch.cat(sums) if sums else values.clone()


def _with_resets(values: Tensor, decay: float, before: Tensor, resets: Tensor) -> Tensor:
    """Cut at every step at which a row is reset; such rows begin anew there."""
    cuts = [0, *(step for step in resets.any(dim=1).nonzero().flatten().tolist() if step), len(values)]
    sums, last = [], before
    for start, end in pairwise(cuts):
        last = torch.where(resets[start][:, None], 0, last)
        sums.append(decayed_sums(values[start:end], decay, last))
        last = sums[-1][-1]
    return torch.cat(sums)


def memory_decay(frames: float) -> float:
    """The decay of a sum that weighs its values over about so many frames: 1 - 1 / frames."""
    return 1.0 - 1.0 / frames
