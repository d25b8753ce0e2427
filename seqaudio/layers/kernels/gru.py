"""The GRU, reset applied after the matrix product, over a window."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from seqaudio.layers.kernels.loop import Steps, backward_once, go_back, go_forward
from seqaudio.layers.kernels.states import (
    Array,
    StateGradient,
    StateTape,
    Window,
    gradients_of_origins,
    output_room,
    room,
    state_gradient,
    state_tape,
    window,
)


class GRUTape(NamedTuple):
    """What the steps read and leave behind."""

    gates: Array  # [T, B, 3 H], in: W x + b, and b' of r and z; out: n, r, z
    products: Array  # [B, 3 H], U h of the step at hand: r, z, n
    recalled: Array  # [T, B, H], out: U h + b' of n
    weight: Array  # U [3 H, H], stacked r, z, n
    bias: Array  # b' of n [H]
    hidden: StateTape
    outputs: Array  # [T, B, H]
    window: Window


class GRUGradients(NamedTuple):
    """What the steps read and leave behind on the way back; d_ is a gradient.

    d_gates holds n, r, z and recalled side by side, so that its first three are what the products with the inputs
    receive and its last three what the products with the state receive.
    """

    gates: Array  # [T, B, 3 H], n, r, z
    recalled: Array  # [T, B, H]
    weight: Array
    before: Array  # [T + 1, B, H]
    d_outputs: Array  # [T, B, H], comes in from outside
    d_gates: Array  # [T, B, 4 H]
    hidden: StateGradient
    window: Window


class GRURecurrence(torch.autograd.Function):
    """From the products with the inputs to outputs and final state.

    Args:
        steps: those of `compiled.gru` or `operations.gru`.
        gates: [T, B, 3 H], stacked n, r, z: W x + b, to which r and z have b' added already; the call takes its
            memory over.
        weight: U [3 H, H], stacked r, z, n.
        bias: b' of n [H].
        hidden: [B, H] before the first step.
        start: [B, H] that resets put in its place; None where there are no resets.
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
        marks = window(lengths, resets, gates)
        gates, weight, bias = gates.detach(), weight.detach().contiguous(), bias.detach().contiguous()
        tape = state_tape(hidden, start, marks)
        products, recalled = torch.empty_like(gates[0]), room(T, B, hidden.shape[1], like=gates)
        outputs = output_room(tape, marks)
        whole = GRUTape(gates, products, recalled, weight, bias, tape, outputs, marks)
        go_forward(steps, whole, tape.before, weight, [products] * T)
        ctx.steps, ctx.flags = steps, marks[2:]
        ctx.save_for_backward(gates, recalled, weight, tape.before, *marks[:2])
        return outputs, tape.final

    @staticmethod
    @backward_once
    def backward(ctx: Any, d_outputs: Tensor, d_hidden: Tensor) -> tuple[Tensor | None, ...]:
        gates, recalled, weight, before, *marks = ctx.saved_tensors
        T, B, H = recalled.shape
        gradients = GRUGradients(
            gates=gates,
            recalled=recalled,
            weight=weight,
            before=before,
            d_outputs=d_outputs.contiguous(),
            d_gates=room(T, B, 4 * H, like=gates),
            hidden=state_gradient(d_hidden),
            window=Window(*marks, *ctx.flags),
        )
        d_products = gradients.d_gates[:, :, H:]
        d_weight = go_back(ctx.steps, gradients, d_products, weight, gradients.hidden.running, before)
        d_bias = d_products[:, :, 2 * H :].sum((0, 1))
        d_hidden, d_start = gradients_of_origins(gradients.hidden, gradients.window)
        return None, gradients.d_gates[:, :, : 3 * H], d_weight, d_bias, d_hidden, d_start, None, None
