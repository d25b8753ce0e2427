"""The LSTM with layer normalisation, over a window."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
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


class LayerNormLSTMTape(NamedTuple):
    """The tensors that the steps read and write."""

    from_inputs: Array  # [T, B, 4 H], in: W x; out: W x normalised
    products: Array  # [T, B, 4 H], in: U h; out: U h normalised
    scales: Array  # [T, 2, B], 1 / sqrt(variance + epsilon) of both
    weight: Array  # U [4 H, H]
    gain_inputs: Array  # [4 H]
    gain_hidden: Array  # [4 H]
    bias: Array  # b + b' [4 H]
    gain_memory: Array  # [H]
    bias_memory: Array  # [H]
    hidden: StateTape
    memory: StateTape
    outputs: Array  # [T, B, H]
    gates: Array  # [4 H], i, f, g, o of the current row
    read: Array  # [H], the normalised memory of the current row
    window: Window


class LayerNormLSTMGradients(NamedTuple):
    """The tensors that the backward steps read and write; d_ is a gradient."""

    from_inputs: Array
    products: Array
    scales: Array
    weight: Array
    gain_inputs: Array
    gain_hidden: Array
    bias: Array
    gain_memory: Array
    bias_memory: Array
    memory_before: Array  # [T + 1, B, H]
    d_outputs: Array  # [T, B, H], given
    d_from_inputs: Array  # [T, B, 4 H], or fewer steps, see `allocate_gradients`
    d_products: Array  # [T, B, 4 H], or fewer steps, see `allocate_product_gradients`
    d_gain_inputs: Array  # [4 H], and the next four: sums over rows and steps
    d_gain_hidden: Array  # [4 H]
    d_bias: Array  # [4 H]
    d_gain_memory: Array  # [H]
    d_bias_memory: Array  # [H]
    hidden: StateGradient
    memory: StateGradient
    gates: Array  # [4 H], i, f, g, o of the current row, then its d_from_inputs
    scratch: Array  # [2, H], the row's normalised memory, and its tanh after gain and bias
    step_sums: Array  # [14, H], the five sums over the rows of one step
    window: Window


class LayerNormLSTMRecurrence(FirstDerivatives):
    """Outputs and final states.

    Fresh memory costs more than arithmetic here, so the gates are not stored but recomputed in the backward pass.

    Args:
        steps: those of `compiled.layer_norm_lstm` or `operations.layer_norm_lstm`.
        inputs: x [T, B, F].
        weight_ih: W [4 H, F], stacked i, f, g, o.
        weight: U [4 H, H].
        gain_inputs, gain_hidden, bias: [4 H], of LN(W x), of LN(U h), and the sum of both maps' biases.
        gain_memory, bias_memory: [H].
        hidden, memory: [B, H] before the first step.
        start_hidden, start_memory: [B, H], the initial state, to which rows are reset; None where there are no resets.
        lengths: [B] int64, resets: [T, B] bool; None as in a layer.
    Returns:
        outputs [T, B, H], zero in the padding, and hidden and memory [B, H] after each row's last frame.
    """

    @staticmethod
    def forward(
        ctx: Any,
        steps: Steps,
        inputs: Tensor,
        weight_ih: Tensor,
        weight: Tensor,
        gain_inputs: Tensor,
        gain_hidden: Tensor,
        bias: Tensor,
        gain_memory: Tensor,
        bias_memory: Tensor,
        hidden: Tensor,
        memory: Tensor,
        start_hidden: Tensor | None,
        start_memory: Tensor | None,
        lengths: Tensor | None,
        resets: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        T, B, _ = inputs.shape
        window = make_window(lengths, resets, inputs)
        given, from_inputs = projection(inputs, weight_ih, None), allocate(T, B, len(weight_ih), like=inputs)
        parameters = (weight, gain_inputs, gain_hidden, bias, gain_memory, bias_memory)
        weight, gain_inputs, gain_hidden, bias, gain_memory, bias_memory = (p.detach().contiguous() for p in parameters)
        hidden_tape = state_tape(hidden, start_hidden, window)
        tape = LayerNormLSTMTape(
            from_inputs=from_inputs,
            products=allocate(*from_inputs.shape, like=weight),
            scales=from_inputs.new_empty(T, 2, B),
            weight=weight,
            gain_inputs=gain_inputs,
            gain_hidden=gain_hidden,
            bias=bias,
            gain_memory=gain_memory,
            bias_memory=bias_memory,
            hidden=hidden_tape,
            memory=state_tape(memory, start_memory, window),
            outputs=allocate_outputs(hidden_tape, window),
            gates=torch.empty_like(bias),
            read=torch.empty_like(bias_memory),
            window=window,
        )
        run_forward(steps, tape, given, from_inputs, hidden_tape.before, weight, tape.products, adds=False)
        ctx.steps, ctx.flags = steps, window[2:]
        ctx.save_for_backward(
            *(inputs, weight_ih, from_inputs, tape.products, tape.scales, hidden_tape.before, tape.memory.before),
            *(weight, gain_inputs, gain_hidden, bias, gain_memory, bias_memory, *window[:2]),
        )
        return tape.outputs, tape.hidden.final, tape.memory.final

    @staticmethod
    @backward_once
    def backward(ctx: Any, d_outputs: Tensor, d_hidden: Tensor, d_memory: Tensor) -> tuple[Tensor | None, ...]:
        inputs, weight_ih, from_inputs, products, scales, hidden_before, memory_before, *others = ctx.saved_tensors
        weight, gain_inputs, gain_hidden, bias, gain_memory, bias_memory, *window = others
        H = d_hidden.shape[1]
        tape = LayerNormLSTMGradients(
            from_inputs=from_inputs,
            products=products,
            scales=scales,
            weight=weight,
            gain_inputs=gain_inputs,
            gain_hidden=gain_hidden,
            bias=bias,
            gain_memory=gain_memory,
            bias_memory=bias_memory,
            memory_before=memory_before,
            d_outputs=d_outputs.contiguous(),
            d_from_inputs=allocate_gradients(ctx.steps, from_inputs),
            d_products=allocate_product_gradients(products),
            d_gain_inputs=sums(4 * H, like=weight),
            d_gain_hidden=sums(4 * H, like=weight),
            d_bias=sums(4 * H, like=weight),
            d_gain_memory=sums(H, like=weight),
            d_bias_memory=sums(H, like=weight),
            hidden=state_gradient(d_hidden),
            memory=state_gradient(d_memory),
            gates=torch.empty_like(bias),
            scratch=weight.new_empty(2, H),
            step_sums=weight.new_empty(14, H),
            window=Window(*window, *ctx.flags),
        )
        given, needs_frames = projection(inputs, weight_ih, None), ctx.needs_input_grad[1]
        d_weight, (d_inputs, d_weight_ih, _) = run_backward(
            *(ctx.steps, tape, given, needs_frames, tape.d_from_inputs, tape.d_products),
            *(weight, tape.hidden.grad_carry, hidden_before),
        )
        d_hidden, d_start_hidden = initial_gradients(tape.hidden, tape.window)
        d_memory, d_start_memory = initial_gradients(tape.memory, tape.window)
        summed = (tape.d_gain_inputs, tape.d_gain_hidden, tape.d_bias, tape.d_gain_memory, tape.d_bias_memory)
        d_parameters = (d_weight, *(gradient.to(weight.dtype) for gradient in summed))
        d_states = (d_hidden, d_memory, d_start_hidden, d_start_memory)
        return None, d_inputs, d_weight_ih, *d_parameters, *d_states, None, None
