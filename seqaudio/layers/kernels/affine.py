"""Products with the inputs, for all steps at once."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from seqaudio.layers.kernels.loop import FirstDerivatives, apply, backward_once
from seqaudio.layers.kernels.states import allocate


class AffineMap(FirstDerivatives):
    """W x + b; see `affine`."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None, first: int) -> Tensor:
        T, B, F = inputs.shape
        G = len(weight)
        frames = inputs.reshape(T * B, F)
        products = allocate(T * B, G, like=inputs)
        # in two parts: a copy of the weights in another order costs a short window more than its products
        for start, stop, place in ((first, G, 0), (0, first, G - first)) if first else ((0, G, 0),):
            transposed, out = weight[start:stop].t(), products[:, place : place + stop - start]
            if bias is None:
                torch.mm(frames, transposed, out=out)
            else:
                torch.addmm(bias[start:stop], frames, transposed, out=out)
        ctx.save_for_backward(inputs, weight)
        ctx.first = first
        return products.view(T, B, G)

    @staticmethod
    @backward_once
    def backward(ctx: Any, d_products: Tensor) -> tuple[Tensor | None, ...]:
        inputs, weight = ctx.saved_tensors
        needs_inputs, needs_weight, needs_bias, _ = ctx.needs_input_grad
        gradient, back = d_products.flatten(0, 1), len(weight) - ctx.first
        return (
            (gradient @ _turned(weight, ctx.first)).view_as(inputs) if needs_inputs else None,
            _turned(gradient.t() @ inputs.flatten(0, 1), back) if needs_weight else None,
            _turned(gradient.sum(0), back) if needs_bias else None,
            None,
        )


def _turned(rows: Tensor, first: int) -> Tensor:
    """The same rows from `first` on, then those before."""
    return torch.cat([rows[first:], rows[:first]]) if 0 < first < len(rows) else rows


def affine(inputs: Tensor, weight: Tensor, bias: Tensor | None = None, first: int = 0) -> Tensor:
    """W x + b [T, B, G] of inputs [T, B, F], weight [G, F] and bias [G], in memory that a kernel may overwrite.

    first: the row of weight and bias that the products begin with; the rows before it come last.
    """
    products: Tensor = apply(AffineMap, inputs, weight, bias, first)
    return products
