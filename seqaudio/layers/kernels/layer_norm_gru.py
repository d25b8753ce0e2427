"""The GRU with layer normalisation, reset applied after the matrix product, over a window."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor

from seqaudio.layers.kernels.inputs import projection
from seqaudio.layers.kernels.loop import (
    FirstDerivatives,
    Steps,
    allocate_gradients,
    allocate_product_gradients,
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
    sums,
)


class LayerNormGRUTape(NamedTuple):
    """The tensors that the steps read and write."""

    from_inputs: Array  # [T, B, 3 H], in: W x; out: W x normalised
    products: Array  # [T, B, 3 H], in: U h; out: U h normalised
    scales: Array  # [T, 2, B], 1 / sqrt(variance + epsilon) of both
    weight: Array  # U [3 H, H]
    gain_inputs: Array  # [3 H]
    bias_inputs: Array  # b [3 H]
    gain_hidden: Array  # [3 H]
    bias_hidden: Array  # b' [3 H]
    hidden: StateTape
    outputs: Array  # [T, B, H]
    gates: Array  # [4 H], r, z, n of the current row, and LN(U h) * gain + b' of n
    window: Window


class LayerNormGRUGradients(NamedTuple):
    """The tensors that the backward steps read and write; d_ is a gradient."""

    from_inputs: Array
    products: Array
    scales: Array
    weight: Array
    gain_inputs: Array
    bias_inputs: Array
    gain_hidden: Array
    bias_hidden: Array
    before: Array  # [T + 1, B, H]
    d_outputs: Array  # [T, B, H], given
    d_from_inputs: Array  # [T, B, 3 H], or fewer steps, see `allocate_gradients`
    d_products: Array  # [T, B, 3 H], or fewer steps, see `allocate_product_gradients`
    d_gain_inputs: Array  # [3 H], and the next three: sums over rows and steps
    d_bias_inputs: Array  # [3 H]
    d_gain_hidden: Array  # [3 H]
    d_bias_hidden: Array  # [3 H]
    hidden: StateGradient
    gates: Array  # [4 H], as in the forward pass
    window: Window


class LayerNormGRURecurrence(FirstDerivatives):
    """Outputs and final state.

    Fresh memory costs more than arithmetic here, so the gates are not stored but recomputed in the backward pass.

    Args:
        steps: those of `compiled.layer_norm_gru` or `operations.layer_norm_gru`.
        inputs: x [T, B, F].
        weight_ih: W [3 H, F], stacked r, z, n.
        weight: U [3 H, H].
        gain_inputs, bias_inputs: [3 H], of LN(W x). gain_hidden, bias_hidden: [3 H], of LN(U h).
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
        weight: Tensor,
        gain_inputs: Tensor,
        bias_inputs: Tensor,
        gain_hidden: Tensor,
        bias_hidden: Tensor,
        hidden: Tensor,
        start: Tensor | None,
        lengths: Tensor | None,
        resets: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        T, B, _ = inputs.shape
        window = make_window(lengths, resets, inputs)
        given, from_inputs = projection(inputs, weight_ih, None), allocate(T, B, len(weight_ih), like=inputs)
        parameters = (weight, gain_inputs, bias_inputs, gain_hidden, bias_hidden)
        weight, gain_inputs, bias_inputs, gain_hidden, bias_hidden = (p.detach().contiguous() for p in parameters)
        hidden_tape = state_tape(hidden, start, window)
        tape = LayerNormGRUTape(
            from_inputs=from_inputs,
            products=allocate(*from_inputs.shape, like=weight),
            scales=from_inputs.new_empty(T, 2, B),
            weight=weight,
            gain_inputs=gain_inputs,
            bias_inputs=bias_inputs,
            gain_hidden=gain_hidden,
            bias_hidden=bias_hidden,
            hidden=hidden_tape,
            outputs=allocate_outputs(hidden_tape, window),
            gates=from_inputs.new_empty(4 * hidden.shape[1]),
            window=window,
        )
        run_forward(steps, tape, given, from_inputs, hidden_tape.before, weight, tape.products, adds=False)
        ctx.steps, ctx.flags = steps, window[2:]
        ctx.save_for_backward(
            *(inputs, weight_ih, from_inputs, tape.products, tape.scales, hidden_tape.before),
            *(weight, gain_inputs, bias_inputs, gain_hidden, bias_hidden, *window[:2]),
        )
        return tape.outputs, tape.hidden.final

    @staticmethod
    @backward_once
    def backward(ctx: Any, d_outputs: Tensor, d_hidden: Tensor) -> tuple[Tensor | None, ...]:
        inputs, weight_ih, from_inputs, products, scales, before, *others = ctx.saved_tensors
        weight, gain_inputs, bias_inputs, gain_hidden, bias_hidden, *window = others
        H = d_hidden.shape[1]
        tape = LayerNormGRUGradients(
            from_inputs=from_inputs,
            products=products,
            scales=scales,
            weight=weight,
            gain_inputs=gain_inputs,
            bias_inputs=bias_inputs,
            gain_hidden=gain_hidden,
            bias_hidden=bias_hidden,
            before=before,
            d_outputs=d_outputs.contiguous(),
            d_from_inputs=allocate_gradients(ctx.steps, from_inputs, may_share=False),
            d_products=allocate_product_gradients(products),
            d_gain_inputs=sums(3 * H, like=weight),
            d_bias_inputs=sums(3 * H, like=weight),
            d_gain_hidden=sums(3 * H, like=weight),
            d_bias_hidden=sums(3 * H, like=weight),
            hidden=state_gradient(d_hidden),
            gates=weight.new_empty(4 * H),
            window=Window(*window, *ctx.flags),
        )
        given, needs_frames = projection(inputs, weight_ih, None), ctx.needs_input_grad[1]
        d_weight, (d_inputs, d_weight_ih, _) = run_backward(
            *(ctx.steps, tape, given, needs_frames, tape.d_from_inputs, tape.d_products),
            *(weight, tape.hidden.grad_carry, before),
        )
        d_hidden, d_start = initial_gradients(tape.hidden, tape.window)
        summed = (tape.d_gain_inputs, tape.d_bias_inputs, tape.d_gain_hidden, tape.d_bias_hidden)
        d_parameters = (d_weight, *(gradient.to(weight.dtype) for gradient in summed))
        return None, d_inputs, d_weight_ih, *d_parameters, d_hidden, d_start, None, None
