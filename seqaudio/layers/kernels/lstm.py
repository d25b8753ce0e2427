"""The LSTM, with or without peepholes, over a window."""

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
    sums,
)


class LSTMTape(NamedTuple):
    """The tensors that the steps read and write."""

    gates: Array  # [T, B, 4 H], in: W x + b + b', then plus U h; out: i, f, g, o
    weight: Array  # U [4 H, H]
    peephole: Array | None  # [3, H], None in a plain LSTM
    hidden: StateTape
    memory: StateTape
    outputs: Array  # [T, B, H]
    window: Window


class LSTMGradients(NamedTuple):
    """The tensors that the backward steps read and write; d_ is a gradient."""

    gates: Array  # [T, B, 4 H], i, f, g, o
    weight: Array
    peephole: Array | None
    memory_before: Array  # [T + 1, B, H]
    d_outputs: Array  # [T, B, H], given
    d_gates: Array  # [T, B, 4 H] or fewer steps, see `allocate_gradients`; of the gates before their activations
    d_peephole: Array | None  # [3, H], a sum over rows and steps
    hidden: StateGradient
    memory: StateGradient
    scratch: Array  # [H], c' of the current row
    window: Window


class LSTMRecurrence(FirstDerivatives):
    """Outputs and final states.

    Args:
        steps: those of `compiled.lstm` or `operations.lstm`.
        inputs: x [T, B, F].
        weight_ih: W [4 H, F], stacked i, f, g, o; bias: b + b' [4 H].
        weight: U [4 H, H].
        peephole: [3, H], to i, f and o; None in a plain LSTM.
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
        bias: Tensor,
        weight: Tensor,
        peephole: Tensor | None,
        hidden: Tensor,
        memory: Tensor,
        start_hidden: Tensor | None,
        start_memory: Tensor | None,
        lengths: Tensor | None,
        resets: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        window = make_window(lengths, resets, inputs)
        given, weight = projection(inputs, weight_ih, bias), weight.detach().contiguous()
        gates = allocate(*inputs.shape[:2], len(bias), like=weight)
        peephole = None if peephole is None else peephole.detach().contiguous()
        hidden_tape = state_tape(hidden, start_hidden, window)
        memory_tape = state_tape(memory, start_memory, window)
        outputs = allocate_outputs(hidden_tape, window)
        tape = LSTMTape(gates, weight, peephole, hidden_tape, memory_tape, outputs, window)
        run_forward(steps, tape, given, gates, hidden_tape.before, weight, gates, adds=True)
        ctx.steps, ctx.flags = steps, window[2:]
        states = (hidden_tape.before, memory_tape.before)
        ctx.save_for_backward(inputs, weight_ih, bias, gates, weight, peephole, *states, *window[:2])
        return outputs, hidden_tape.final, memory_tape.final

    @staticmethod
    @backward_once
    def backward(ctx: Any, d_outputs: Tensor, d_hidden: Tensor, d_memory: Tensor) -> tuple[Tensor | None, ...]:
        inputs, weight_ih, bias, gates, weight, peephole, hidden_before, memory_before, *window = ctx.saved_tensors
        gradients = LSTMGradients(
            gates=gates,
            weight=weight,
            peephole=peephole,
            memory_before=memory_before,
            d_outputs=d_outputs.contiguous(),
            d_gates=allocate_gradients(ctx.steps, gates),
            d_peephole=None if peephole is None else sums(*peephole.shape, like=peephole),
            hidden=state_gradient(d_hidden),
            memory=state_gradient(d_memory),
            scratch=gates.new_empty(d_hidden.shape[1]),
            window=Window(*window, *ctx.flags),
        )
        d_gates, grad_carry = gradients.d_gates, gradients.hidden.grad_carry
        given, needs_frames = projection(inputs, weight_ih, bias), ctx.needs_input_grad[1]
        d_weight, d_projection = run_backward(
            ctx.steps, gradients, given, needs_frames, d_gates, d_gates, weight, grad_carry, hidden_before
        )
        d_hidden, d_start_hidden = initial_gradients(gradients.hidden, gradients.window)
        d_memory, d_start_memory = initial_gradients(gradients.memory, gradients.window)
        d_peephole = None if gradients.d_peephole is None else gradients.d_peephole.to(peephole.dtype)
        d_states = (d_hidden, d_memory, d_start_hidden, d_start_memory)
        return None, *d_projection, d_weight, d_peephole, *d_states, None, None
