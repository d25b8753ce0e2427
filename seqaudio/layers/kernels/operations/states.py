"""States between steps, in torch operations. Selections, never products: NaN stays in its row."""

from __future__ import annotations

import torch
from torch import Tensor

from seqaudio.layers.kernels.states import StateGradient, StateTape, Window


def real(t: int, values: Tensor, window: Window) -> Tensor:
    """values [B, H] of step t, zero in rows that have ended."""
    return values.masked_fill((window.lengths <= t)[:, None], 0) if window.ragged else values


def carry(t: int, value: Tensor, state: StateTape, window: Window) -> None:
    """Hand the state [B, H] after step t on: to step t + 1 and, after a row's last frame, out of the window."""
    after = state.before[t + 1]
    after.copy_(real(t, value, window))
    if window.ragged:
        torch.where((window.lengths == t + 1)[:, None], value, state.final, out=state.final)
    elif t + 2 == len(state.before):
        state.final.copy_(value)
    if window.anew:
        torch.where(window.resets[t + 1][:, None], state.start, after, out=after)


def receive(t: int, gradient: StateGradient, window: Window) -> None:
    """Make `running` the gradient of the state after step t, as far as it comes from later steps."""
    if window.anew:
        fresh = window.resets[t + 1][:, None]
        gradient.start.add_(gradient.running.masked_fill(~fresh, 0))
        gradient.running.masked_fill_(fresh, 0)
    if window.ragged:
        gradient.running.add_(gradient.final.masked_fill((window.lengths != t + 1)[:, None], 0))
    elif t + 2 == len(window.resets):
        gradient.running.add_(gradient.final)
