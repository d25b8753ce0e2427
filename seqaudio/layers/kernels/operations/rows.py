"""Rows of a batch in torch operations: states between steps by selection, so NaN stays in its row; normalisation."""

from __future__ import annotations

import torch
from torch import Tensor

from seqaudio.cells.layer_norm import EPSILON
from seqaudio.layers.kernels.states import StateGradient, StateTape, Window


def real(t: int, values: Tensor, window: Window) -> Tensor:
    """values [B, H] of step t, zero in rows that have ended."""
    return values.masked_fill((window.lengths <= t)[:, None], 0) if window.ragged else values


def carry(t: int, value: Tensor, state: StateTape, window: Window) -> None:
    """Pass on the state [B, H] after step t: to step t + 1, and after a row's last frame to `final`."""
    after = state.before[t + 1]
    after.copy_(real(t, value, window))
    if window.ragged:
        torch.where((window.lengths == t + 1)[:, None], value, state.final, out=state.final)
    elif t + 2 == len(state.before):
        state.final.copy_(value)
    if window.has_resets:
        torch.where(window.resets[t + 1][:, None], state.start, after, out=after)


def receive(t: int, gradient: StateGradient, window: Window) -> None:
    """Make `grad_carry` the gradient of the state after step t, its part from later steps."""
    if window.has_resets:
        reset = window.resets[t + 1][:, None]
        gradient.start.add_(gradient.grad_carry.masked_fill(~reset, 0))
        gradient.grad_carry.masked_fill_(reset, 0)
    if window.ragged:
        gradient.grad_carry.add_(gradient.final.masked_fill((window.lengths != t + 1)[:, None], 0))
    elif t + 2 == len(window.resets):
        gradient.grad_carry.add_(gradient.final)


def normalise(values: Tensor, scale: Tensor) -> Tensor:
    """Normalise each row of values [B, N] in place; scale [B] receives 1 / sqrt(variance + epsilon)."""
    normalised, _, factors = torch.native_layer_norm(values, values.shape[1:], None, None, EPSILON)
    scale.copy_(factors[:, 0])
    return values.copy_(normalised)


def normalise_gradient(gradient: Tensor, normalised: Tensor, scale: Tensor) -> None:
    """Backward of `normalise`, in place."""
    along = (gradient * normalised).mean(1, keepdim=True)
    gradient.sub_(gradient.mean(1, keepdim=True)).addcmul_(normalised, along, value=-1).mul_(scale[:, None])
