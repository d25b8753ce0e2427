"""Products with the inputs, for all steps at once."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from seqaudio.layers.kernels.loop import apply, backward_once
from seqaudio.layers.kernels.states import allocate


class AffineMap(torch.autograd.Function):
    """W x + b; see `affine`."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        T, B, F = inputs.shape
        frames = inputs.reshape(T * B, F)
        products = allocate(T * B, len(weight), like=inputs)
        if bias is None:
            torch.mm(frames, weight.t(), out=products)
        else:
            torch.addmm(bias, frames, weight.t(), out=products)
        ctx.save_for_backward(inputs, weight)
        return products.view(T, B, len(weight))

    @staticmethod
    @backward_once
    def backward(ctx: Any, d_products: Tensor) -> tuple[Tensor | None, ...]:
        inputs, weight = ctx.saved_tensors
        needs_inputs, needs_weight, needs_bias = ctx.needs_input_grad
        gradient = d_products.flatten(0, 1)
        return (
            (gradient @ weight).view_as(inputs) if needs_inputs else None,
            gradient.t() @ inputs.flatten(0, 1) if needs_weight else None,
            gradient.sum(0) if needs_bias else None,
        )


def affine(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """W x + b [T, B, G] of inputs [T, B, F], weight [G, F] and bias [G], in memory that a kernel may overwrite."""
    products: Tensor = apply(AffineMap, inputs, weight, bias)
    return products
