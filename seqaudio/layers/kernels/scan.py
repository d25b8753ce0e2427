"""Linear recurrences whose coefficients do not depend on the state: h_t = a_t * h_(t-1) + b_t."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from seqaudio.layers.kernels.choice import compiled_serves
from seqaudio.layers.kernels.loop import FirstDerivatives, apply, backward_once
from seqaudio.layers.kernels.operations.scan import scan, scan_back


class LinearScan(FirstDerivatives):
    """All h_t at once; see `linear_scan`."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, initial: Tensor) -> Tensor:
        a, b, initial = (tensor.detach().contiguous() for tensor in (a, b, initial))
        if compiled_serves(a):
            from seqaudio.layers.kernels.compiled import scan as kernels

            hidden = torch.empty_like(b)
            kernels.scan(_flat(a), _flat(b), initial.flatten().numpy(), _flat(hidden))
        else:
            hidden = scan(a, b, initial)
        ctx.save_for_backward(a, initial, hidden)
        return hidden

    @staticmethod
    @backward_once
    def backward(ctx: Any, d_hidden: Tensor) -> tuple[Tensor | None, ...]:
        a, initial, hidden = ctx.saved_tensors
        if not compiled_serves(a):
            return scan_back(a, initial, hidden, d_hidden)
        from seqaudio.layers.kernels.compiled import scan as kernels

        d_a, d_b, d_initial = torch.empty_like(a), torch.empty_like(a), torch.empty_like(initial)
        given = _flat(a), _flat(hidden), _flat(d_hidden.contiguous())
        kernels.scan_back(*given, _flat(d_a), _flat(d_b), initial.flatten().numpy(), d_initial.flatten().numpy())
        return d_a, d_b, d_initial


def linear_scan(a: Tensor, b: Tensor, initial: Tensor) -> Tensor:
    """h_t = a_t * h_(t-1) + b_t, elementwise, from h_(-1) = initial.

    a, b: [T, B, H], T > 0. initial: [B, H]. Returns all h_t [T, B, H]. There is neither a division nor a logarithm, so
    a may be zero and both may have any sign. It runs step by step where kernels are compiled (see `choice`), elsewhere
    in 2 log2 T levels of torch operations.
    """
    hidden: Tensor = apply(LinearScan, a, b, initial)
    return hidden


def _flat(sequence: Tensor) -> Any:
    """The NumPy view [T, B H] of [T, B, H]."""
    return sequence.detach().flatten(1).numpy()
