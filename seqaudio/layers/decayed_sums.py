"""Exponentially decaying sums over time, whole or step by step: means that forget what is long past."""

from __future__ import annotations

import functools
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seqaudio.layers import kernels
from seqaudio.layers.kernels.loop import FirstDerivatives, backward_once
from seqaudio.layers.kernels.states import allocate

# without compiled code: steps computed as one product; a longer one costs more operations, a shorter one more calls
BLOCK = 256
KEPT = 32  # tables of powers, of one number of steps each, that are kept for the next call


def decayed_sums(values: Tensor, decay: float, before: Tensor, resets: Tensor | None = None) -> Tensor:
    """The decaying sum after each step.

        s_t = decay s_{t-1} + x_t

    Args:
        values: x, [T, B, F]. decay: 0 <= decay <= 1; 1 forgets nothing.
        before: s_{-1}, [B, F], the sum before the first step.
        resets: [T, B] bool; where true, the sum is 0 before step t.
    Returns:
        [T, B, F]; where they are not compiled, blocks of steps are products with powers of the decay, which round
        otherwise than the loop.
    """
    if not len(values):
        return values.clone()
    if values.dtype == before.dtype and kernels.compiled_serves(values):
        result: Tensor = kernels.apply(_CompiledSums, values, decay, before, resets)
        return result
    if resets is not None and bool(resets.any()):
        return _with_resets(values, decay, before, resets)
    sums, last = [], before
    for part in torch.split(values, BLOCK):
        known = torch.cat([last[None], part])
        sums.append((_weights(len(part), decay, known.dtype, known.device) @ known.flatten(1)).view_as(part))
        last = sums[-1][-1]
    return sums[0] if len(sums) == 1 else torch.cat(sums)


class _CompiledSums(FirstDerivatives):
    @staticmethod
    def forward(ctx: Any, values: Tensor, decay: float, before: Tensor, resets: Tensor | None) -> Tensor:
        from seqaudio.layers import decayed_kernel

        begun = np.zeros((0, values.shape[1]), dtype=np.bool_) if resets is None else resets.contiguous().numpy()
        values, before = values.detach().contiguous(), before.detach().expand(values.shape[1:]).contiguous()
        result = allocate(*values.shape, like=values)
        decayed_kernel.sums(values.numpy(), decay, before.numpy(), begun, result.numpy())
        ctx.decay, ctx.resets = decay, begun
        return result

    @staticmethod
    @backward_once
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        from seqaudio.layers import decayed_kernel

        d_values, d_before = allocate(*gradient.shape, like=gradient), torch.empty_like(gradient[0])
        given = gradient.contiguous().numpy(), ctx.decay, ctx.resets
        decayed_kernel.sums_back(*given, d_values.numpy(), d_before.numpy())
        return d_values, None, d_before, None


def decayed_counts(steps: int, decay: float, before: Tensor, resets: Tensor | None = None) -> Tensor:
    """The decaying number of steps after each of so many, [T, B, 1]: the sum of ones. before: [B, 1]."""
    if resets is not None and bool(resets.any()):
        return decayed_sums(before.new_ones(steps, *before.shape), decay, before, resets)
    powers, sums = _powers(steps, decay, before.dtype, before.device)
    return torch.addcmul(sums, powers, before)


def _with_resets(values: Tensor, decay: float, before: Tensor, resets: Tensor) -> Tensor:
    """Cut at every step at which a row is reset; such rows begin anew there."""
    cuts = [0, *(step for step in resets.any(dim=1).nonzero().flatten().tolist() if step), len(values)]
    sums, last = [], before
    for start, end in pairwise(cuts):
        last = torch.where(resets[start][:, None], 0, last)
        sums.append(decayed_sums(values[start:end], decay, last))
        last = sums[-1][-1]
    return torch.cat(sums)


@functools.lru_cache(KEPT)
@torch.inference_mode(False)  # tables made in that mode could not be used in training
def _weights(steps: int, decay: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    """[t, 1 + u]: the share of the sum before, and of each step u, in the sum after step t."""
    ages = torch.arange(steps)[:, None] - torch.arange(-1, steps)
    powers = torch.tensor(decay, dtype=torch.float64) ** ages.clamp(min=0)
    return torch.where(ages >= 0, powers, 0).to(device, dtype)


@functools.lru_cache(KEPT)
@torch.inference_mode(False)
def _powers(steps: int, decay: float, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """The powers 1, 2, .. of the decay, and the sums of those from 0 on: [T, 1, 1] each."""
    powers = torch.tensor(decay, dtype=torch.float64) ** torch.arange(steps + 1)
    sums = powers[:-1].cumsum(0)
    return powers[1:, None, None].to(device, dtype), sums[:, None, None].to(device, dtype)


def memory_decay(frames: float) -> float:
    """The decay of a sum that weighs its values over about so many frames: 1 - 1 / frames."""
    return 1.0 - 1.0 / frames
