"""Products with the inputs, for all steps at once."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from seqaudio.layers.kernels.choice import compiled_serves_products
from seqaudio.layers.kernels.loop import FirstDerivatives, apply, backward_once
from seqaudio.layers.kernels.states import allocate


class AffineMap(FirstDerivatives):
    """W x + b; see `affine`."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None, first: int) -> Tensor:
        T, B, F = inputs.shape
        G = len(weight) if bias is None else len(bias)
        frames = inputs.detach().reshape(T * B, F)
        sums = allocate(T * B, G, like=inputs)
        if compiled_serves_products(inputs, weight):
            _compiled(frames, _turned(weight.detach(), first), bias, sums)
        else:
            _by_torch(frames, weight, bias, first, sums)
        ctx.save_for_backward(inputs, weight)
        ctx.first = first
        return sums.view(T, B, G)

    @staticmethod
    @backward_once
    def backward(ctx: Any, d_sums: Tensor) -> tuple[Tensor | None, ...]:
        inputs, weight = ctx.saved_tensors
        needs_inputs, needs_weight, needs_bias, _ = ctx.needs_input_grad
        gradient, frames = d_sums.flatten(0, 1), inputs.flatten(0, 1)
        turned, back = _turned(weight, ctx.first), len(weight) - ctx.first
        if compiled_serves_products(inputs, weight):
            d_frames, d_weight, d_bias = _compiled_back(
                gradient, frames, turned, needs_inputs, needs_weight or needs_bias
            )
        else:
            of_products = gradient[:, : len(weight)]
            d_frames = of_products @ turned if needs_inputs else None
            d_weight = of_products.t() @ frames if needs_weight else None
            d_bias = gradient.sum(0) if needs_bias else None
        return (
            None if d_frames is None else d_frames.view_as(inputs),
            None if d_weight is None or not needs_weight else _turned(d_weight, back),
            d_bias if needs_bias else None,
            None,
        )


def _by_torch(frames: Tensor, weight: Tensor, bias: Tensor | None, first: int, sums: Tensor) -> None:
    M, place = len(weight), 0
    # in two parts: a copy of the weights in another order costs a short window more than its products
    for rows in (weight[first:], weight[:first]):
        out = sums[:, place : place + len(rows)]
        if bias is None:
            torch.mm(frames, rows.t(), out=out)
        else:
            torch.addmm(bias[place : place + len(rows)], frames, rows.t(), out=out)
        place += len(rows)
    if bias is not None:
        sums[:, M:] = bias[M:]


def _compiled(frames: Tensor, weight: Tensor, bias: Tensor | None, sums: Tensor) -> None:
    from seqaudio.layers.kernels.compiled import products

    start = sums.new_zeros(sums.shape[1]) if bias is None else bias.detach().contiguous()
    strips = products.in_strips(weight.contiguous().numpy(), transposed=True)
    products.affine(frames.contiguous().numpy(), strips, start.numpy(), len(weight), sums.numpy())


def _compiled_back(
    gradient: Tensor, frames: Tensor, weight: Tensor, needs_inputs: bool, needs_others: bool
) -> tuple[Tensor | None, ...]:
    """The gradients of the frames, and of the weight and the bias."""
    from seqaudio.layers.kernels.compiled import products

    gradient, frames, weight = gradient.contiguous(), frames.detach().contiguous(), weight.detach().contiguous()
    d_frames = d_weight = d_bias = None
    if needs_inputs:
        d_frames = allocate(*frames.shape, like=frames)
        products.affine_back(gradient.numpy(), products.in_strips(weight.numpy()), len(weight), d_frames.numpy())
    if needs_others:
        d_weight, d_bias = torch.zeros_like(weight), gradient.new_zeros(gradient.shape[1])
        products.affine_weight_back(gradient.numpy(), frames.numpy(), d_weight.numpy(), d_bias.numpy())
    return d_frames, d_weight, d_bias


def _turned(rows: Tensor, first: int) -> Tensor:
    """The same rows from `first` on, then those before."""
    return torch.cat([rows[first:], rows[:first]]) if 0 < first < len(rows) else rows


def affine(inputs: Tensor, weight: Tensor, bias: Tensor | None = None, first: int = 0) -> Tensor:
    """W x + b [T, B, G] of inputs [T, B, F] and weight [M, F], in memory that a kernel may overwrite.

    bias: [G], G >= M, in the order of the result, whose columns from M on are the bias alone; None: zero, and G = M.
    first: the row of the weight that the result begins with; the rows before it come last.
    """
    products: Tensor = apply(AffineMap, inputs, weight, bias, first)
    return products
