"""The GRU, reset applied after the matrix product, over a window."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor

from seqaudio.layers.kernels.inputs import projection
from seqaudio.layers.kernels.loop import (
    FirstDerivatives,
    Steps,
    allocate_gradients,
    backward_once,
    run_backward,
    run_forward,
)
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
    """The tensors that the steps read and write; `recalled` is U h + b' of n."""

    gates: Array  # [T, B, 4 H], in: W x + b, plus b' in r and z, and b' of n; then plus U h; out: n, r, z, recalled
    weight: Array  # U [3 H, H], stacked r, z, n
    hidden: StateTape
    outputs: Array  # [T, B, H]
    window: Window


class GRUGradients(NamedTuple):
    """The tensors that the backward steps read and write; d_ is a gradient.

    The first three parts of d_gates are the gradient of the products with the inputs, its last three that of the
    products with the state.
    """

    gates: Array  # [T, B, 4 H], n, r, z, recalled
    weight: Array
    before: Array  # [T + 1, B, H]
    d_outputs: Array  # [T, B, H], given
    d_gates: Array  # [T, B, 4 H] or fewer steps, see `allocate_gradients`
    hidden: StateGradient
    window: Window


class GRURecurrence(FirstDerivatives):
    """Outputs and final state.

    Args:
        steps: those of `compiled.gru` or `operations.gru`.
        inputs: x [T, B, F].
        weight_ih: W [3 H, F], stacked n, r, z.
        bias: [4 H]: b of n, b + b' of r and z, b' of n.
        weight: U [3 H, H], stacked r, z, n.
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
        inputs: Tensor,
        weight_ih: Tensor,
        bias: Tensor,
        weight: Tensor,
        hidden: Tensor,
        start: Tensor | None,
        lengths: Tensor | None,
        resets: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        window = make_window(lengths, resets, inputs)
        given, weight = projection(inputs, weight_ih, bias), weight.detach().contiguous()
        gates = allocate(*inputs.shape[:2], len(bias), like=weight)
        tape = state_tape(hidden, start, window)
        outputs = allocate_outputs(tape, window)
        whole = GRUTape(gates, weight, tape, outputs, window)
        run_forward(steps, whole, given, gates, tape.before, weight, gates[:, :, hidden.shape[1] :], adds=True)
        ctx.steps, ctx.flags = steps, window[2:]
        ctx.save_for_backward(inputs, weight_ih, bias, gates, weight, tape.before, *window[:2])
        return outputs, tape.final

    @staticmethod
    @backward_once
    def backward(ctx: Any, d_outputs: Tensor, d_hidden: Tensor) -> tuple[Tensor | None, ...]:
        inputs, weight_ih, bias, gates, weight, before, *window = ctx.saved_tensors
        gradients = GRUGradients(
            gates=gates,
            weight=weight,
            before=before,
            d_outputs=d_outputs.contiguous(),
            d_gates=allocate_gradients(ctx.steps, gates),
            hidden=state_gradient(d_hidden),
            window=Window(*window, *ctx.flags),
        )
        given, needs_frames = projection(inputs, weight_ih, bias), ctx.needs_input_grad[1]
        d_gates, grad_carry = gradients.d_gates, gradients.hidden.grad_carry
        d_products = d_gates[:, :, d_hidden.shape[1] :]
        d_weight, d_projection = run_backward(
            ctx.steps, gradients, given, needs_frames, d_gates, d_products, weight, grad_carry, before
        )
        d_hidden, d_start = initial_gradients(gradients.hidden, gradients.window)
        return None, *d_projection, d_weight, d_hidden, d_start, None, None


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
