"""The linear recurrence h_t = a_t * h_(t-1) + b_t as a parallel scan in torch operations."""

from __future__ import annotations

import torch
from torch import Tensor


def scan(a: Tensor, b: Tensor, initial: Tensor) -> Tensor:
    """h [T, B, H] from a and b [T, B, H] and the initial state [B, H]."""
    first = torch.addcmul(b[0], a[0], initial)
    return _from_zero(a, torch.cat([first[None], b[1:]]))


def scan_back(a: Tensor, initial: Tensor, hidden: Tensor, d_hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of a, b and the initial state: g_t = d_t + a_(t+1) * g_(t+1) is the same recurrence, backwards."""
    later = torch.cat([torch.zeros_like(a[:1]), a[1:].flip(0)])
    d_b = _from_zero(later, d_hidden.flip(0)).flip(0)
    d_a = d_b * torch.cat([initial[None], hidden[:-1]])
    return d_a, d_b, d_b[0] * a[0]


def _from_zero(a: Tensor, b: Tensor) -> Tensor:
    """The recurrence from a zero state: pairs of steps form one step of a recurrence of half the length,

        h_(2k+1) = (a_(2k+1) a_(2k)) h_(2k-1) + (a_(2k+1) b_(2k) + b_(2k+1))

    and the even steps follow from the odd ones (Blelloch 1990).
    """
    T = len(a)
    if T == 1:
        return b
    hidden = torch.empty_like(b)
    odd = T // 2
    a_odd, b_odd, b_even = a[1::2], b[1::2], b[: 2 * odd : 2]
    hidden[1::2] = _from_zero(a_odd * a[: 2 * odd : 2], torch.addcmul(b_odd, a_odd, b_even))
    hidden[0] = b[0]
    torch.addcmul(b[2::2], a[2::2], hidden[1 : T - 1 : 2], out=hidden[2::2])
    return hidden
