"""Maps from outputs of a recurrent stack to logits, and into one: products of many rows with a matrix.

On the CPU they run in oneDNN, which compiles a product for the processor. Intel's MKL, which torch uses otherwise,
leaves half of the speed of an AMD processor unused: 4,096 rows of 256 times 256 x 1,024 take 21 ms there, 9 in oneDNN.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqaudio import jit

FEW_ROWS = 64  # below so many, the call costs more than it saves


class Linear(nn.Linear):
    """`torch.nn.Linear`, with faster products of many rows."""

    def forward(self, input: Tensor) -> Tensor:
        """Inputs [..., K] to outputs [..., M]."""
        return linear(input, self.weight, self.bias)


def linear(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`torch.nn.functional.linear` of inputs [..., K], weight [M, K] and bias [M]."""
    if not _onednn_serves(inputs, weight):
        return F.linear(inputs, weight, bias)
    rows = inputs.reshape(-1, inputs.shape[-1])
    result: Tensor = _Product.apply(rows, weight, bias) if torch.is_grad_enabled() else _product(rows, weight, bias)
    return result.view(*inputs.shape[:-1], len(weight))


def _onednn_serves(inputs: Tensor, weight: Tensor) -> bool:
    many = inputs.numel() >= FEW_ROWS * max(inputs.shape[-1], 1) and weight.numel() > 0
    return (
        many
        and inputs.dtype == weight.dtype == torch.float32
        and weight.device.type == "cpu"
        and jit.takes(inputs)
        and not torch.is_autocast_enabled("cpu")
        and not torch._C._are_functorch_transforms_active()  # there is no public call
        and _has_onednn()
    )


@functools.cache
def _has_onednn() -> bool:
    """Whether this torch has the call, which it made for its own compiler."""
    there: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return there and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def _product(rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """rows [N, K] times the transpose of the weight [M, K], plus the bias [M]."""
    result: Tensor = torch.ops.mkldnn._linear_pointwise(rows, weight, bias, "none", [], "")
    return result


def _transposed_product(a: Tensor, b: Tensor) -> Tensor:
    """The transpose of a [N, M] times b [N, K]; fewer columns are faster as those of the result."""
    return _product(a.t(), b.t()) if a.shape[1] <= b.shape[1] else _product(b.t(), a.t()).t()


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(rows, weight)
        return _product(rows, weight, bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        rows, weight = ctx.saved_tensors
        needs_rows, needs_weight, needs_bias = ctx.needs_input_grad
        gradient = gradient.contiguous()  # not where it is one number for all, as of a plain sum
        if torch.is_grad_enabled():  # second derivatives: by operations that have some
            d_rows, d_weight = gradient @ weight, gradient.t() @ rows
        else:
            d_rows = _product(gradient, weight.t()) if needs_rows else None
            d_weight = _transposed_product(gradient, rows) if needs_weight else None
        return d_rows, d_weight, gradient.sum(0) if needs_bias else None
