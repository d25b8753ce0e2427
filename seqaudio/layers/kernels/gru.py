"""The GRU, reset applied after the matrix product, over a window."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from seqaudio.layers.kernels.loop import FirstDerivatives, Steps, backward_once, run_backward, run_forward
from seqaudio.layers.kernels.states import (
    Array,
    StateGradient,
    StateTape,
    Window,
    allocate,
    allocate_outputs,
    initial_gradients,
    make_window,
    state_gradient,
    state_tape,
)


class GRUTape(NamedTuple):
    """The tensors that the steps read and write."""

    gates: Array  # [T, B, 3 H], in: W x + b, plus b' in r and z; out: n, r, z
    products: Array  # [B, 3 H], U h of the current step: r, z, n
    recalled: Array  # [T, B, H], out: U h + b' of n
    weight: Array  # U [3 H, H], stacked r, z, n
    bias: Array  # b' of n [H]
    hidden: StateTape
    outputs: Array  # [T, B, H]
    window: Window


class GRUGradients(NamedTuple):
    """The tensors that the backward steps read and write; d_ is a gradient.

    d_gates holds n, r, z and recalled side by side, so that its first three are the gradient of the products with the
    inputs and its last three the gradient of the products with the state.
    """

    gates: Array  # [T, B, 3 H], n, r, z
    recalled: Array  # [T, B, H]
    weight: Array
    before: Array  # [T + 1, B, H]
    d_outputs: Array  # [T, B, H], given
    d_gates: Array  # [T, B, 4 H]
    hidden: StateGradient
    window: Window


class GRURecurrence(FirstDerivatives):
    """Outputs and final state from the products with the inputs.

    Args:
        steps: those of `compiled.gru` or `operations.gru`.
        gates: [T, B, 3 H], stacked n, r, z: W x + b, plus b' in r and z; its memory is overwritten.
        weight: U [3 H, H], stacked r, z, n.
        bias: b' of n [H].
        hidden: [B, H] before the first step.
        start: [B, H], the initial state, to which rows are reset; None where there are no resets.
        lengths: [B] int64, resets: [T, B] bool; None as in a layer.
    Returns:
        outputs [T, B, H], zero in the padding, and hidden [B, H] after each row's last frame.
    """

    @staticmethod
    def forward(
        ctx: Any,
        steps: Steps,
        gates: Tensor,
        weight: Tensor,
        bias: Tensor,
        hidden: Tensor,
        start: Tensor | None,
        lengths: Tensor | None,
        resets: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        T, B, _ = gates.shape
        window = make_window(lengths, resets, gates)
        gates, weight, bias = gates.detach(), weight.detach().contiguous(), bias.detach().contiguous()
        tape = state_tape(hidden, start, window)
        products, recalled = torch.empty_like(gates[0]), allocate(T, B, hidden.shape[1], like=gates)
        outputs = allocate_outputs(tape, window)
        whole = GRUTape(gates, products, recalled, weight, bias, tape, outputs, window)
        run_forward(steps, whole, tape.before, weight, [products] * T)
        ctx.steps, ctx.flags = steps, window[2:]
        ctx.save_for_backward(gates, recalled, weight, tape.before, *window[:2])
        return outputs, tape.final

    @staticmethod
    @backward_once
    def backward(ctx: Any, d_outputs: Tensor, d_hidden: Tensor) -> tuple[Tensor | None, ...]:
        gates, recalled, weight, before, *window = ctx.saved_tensors
        T, B, H = recalled.shape
        gradients = GRUGradients(
            gates=gates,
            recalled=recalled,
            weight=weight,
            before=before,
            d_outputs=d_outputs.contiguous(),
            d_gates=allocate(T, B, 4 * H, like=gates),
            hidden=state_gradient(d_hidden),
            window=Window(*window, *ctx.flags),
        )
        d_products = gradients.d_gates[:, :, H:]
        d_weight = run_backward(ctx.steps, gradients, d_products, weight, gradients.hidden.grad_carry, before)
        d_bias = d_products[:, :, 2 * H :].sum((0, 1))
        d_hidden, d_start = initial_gradients(gradients.hidden, gradients.window)
        return None, gradients.d_gates[:, :, : 3 * H], d_weight, d_bias, d_hidden, d_start, None, None


def gru_stream(
    steps: Steps, inputs: Tensor, weight_ih: Tensor, bias_ih: Tensor, weight_hh: Tensor, bias_hh: Tensor, hidden: Tensor
) -> tuple[Tensor, Tensor]:
    """Outputs [T, B, H] of inputs [T, B, F], T > 0, and the last of them, without gradients.

    steps: those of `compiled.gru`. weight_ih [3 H, F], weight_hh [3 H, H] and the biases [3 H] are stacked r, z, n;
    hidden: [B, H].
    """
    outputs = allocate(*inputs.shape[:2], hidden.shape[1], like=inputs)
    given = (inputs, weight_ih, bias_ih, weight_hh, bias_hh, hidden)
    x, W, b, U, c, h = (tensor.detach().contiguous().numpy() for tensor in given)
    assert steps.stream is not None
    steps.stream(x, W, b, U, c, h, outputs.numpy())
    return outputs, outputs[-1].clone()
