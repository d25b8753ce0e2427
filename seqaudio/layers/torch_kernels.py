"""Run Elman, LSTM and GRU cells on torch's own kernels, which support neither resets nor lengths.

- The window is cut at the steps where any row is reset, with one kernel call for each piece. It is also cut where the
  gates of a piece would take more than 2 GiB, which oneDNN refuses ("could not create a primitive").
- Rows are padded, never packed: on the CPU torch has no fast kernel for packed sequences. The hidden state at a
  row's length is gathered from the outputs. The LSTM's memory, which the kernel returns only for the last
  frame, is held constant through the padding, see `lstm`.

Each kernel is called as (cell, inputs [T, B, F], state, lengths), T > 0, and returns outputs [T, B, H], zero in the
padding, and the state after each row's last frame.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from seqaudio.cells import AffineCell, ElmanCell, ElmanReLUCell, ElmanState, GRUCell, GRUState, LSTMCell, LSTMState
from seqaudio.layers.base import Sequences, mask
from seqaudio.state import State, select

HOLD = 1e4  # sigmoid(HOLD) is exactly 1 in every floating type, and half precision can represent HOLD
LARGEST = 2**31 - 1  # bytes of the gates of one call
HELD = (-HOLD, HOLD, 0.0, -HOLD)  # what holds an LSTM: of i, f, g, o

Kernel = Callable[[Any, Tensor, Any, Tensor | None], tuple[Tensor, Any]]


def run_between_resets(kernel: Kernel, cell: AffineCell[Any], sequences: Sequences, start: Any) -> tuple[Tensor, State]:
    """Run a kernel on the pieces between resets; rows that are reset continue from `start`."""
    inputs, state, lengths, _, resets, reset_steps = sequences
    outputs = []
    step_bytes = inputs.shape[1] * len(cell.weight_hh) * inputs.element_size()
    cuts = range(0, len(inputs), max(1, LARGEST // max(1, step_bytes)))
    for begin, end in pairwise(sorted({*cuts, *reset_steps, len(inputs)})):
        if resets is not None:
            state = select(resets[begin], start, state)
        in_piece = None if lengths is None else (lengths - begin).clamp(0, end - begin)
        output, state = kernel(cell, inputs[begin:end], state, in_piece)
        outputs.append(output)
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs), state


def elman(cell: ElmanCell, inputs: Tensor, state: ElmanState, lengths: Tensor | None) -> tuple[Tensor, ElmanState]:
    """`ElmanCell` or `ElmanReLUCell`.

    With ReLU the state may grow without bound, in the padding too, and zero times infinity would put NaN into the
    gradients: one more input, 1 in the padding and 0 elsewhere, with the weight -HOLD keeps the state at zero there.
    """
    relu = isinstance(cell, ElmanReLUCell)
    weights = _weights(cell)
    if relu and lengths is not None:
        inputs, weights = _mark_padding(inputs, weights, lengths, [-HOLD])
    kernel = torch.rnn_relu if relu else torch.rnn_tanh
    outputs, hidden = _call(kernel, inputs, state.hidden[None], weights)
    return _without_padding(outputs, lengths), ElmanState(_at_length(outputs, hidden[0], state.hidden, lengths))


def gru(cell: GRUCell, inputs: Tensor, state: GRUState, lengths: Tensor | None) -> tuple[Tensor, GRUState]:
    """`GRUCell`."""
    outputs, hidden = _call(torch.gru, inputs, state.hidden[None], _weights(cell))
    return _without_padding(outputs, lengths), GRUState(_at_length(outputs, hidden[0], state.hidden, lengths))


def lstm(cell: LSTMCell, inputs: Tensor, state: LSTMState, lengths: Tensor | None) -> tuple[Tensor, LSTMState]:
    """`LSTMCell`.

    Where rows differ in length, each frame gets one more input p, 1 in the padding and 0 elsewhere, whose weight
    is -HOLD to the input gate and the output gate, and HOLD to the forget gate. In the padding, bit for bit,

        i = o = sigmoid(-HOLD) = 0,  f = sigmoid(HOLD) = 1,  c' = f * c + i * g = c,  h' = o tanh(c') = 0

    so outputs are zero there, the memory after the last frame equals the memory at the row's length, and so does its
    gradient, since the gates are saturated. Real frames have p = 0 and are not changed.
    """
    weights = _weights(cell)
    if lengths is not None:
        inputs, weights = _mark_padding(inputs, weights, lengths, HELD)
    initial = [state.hidden[None], state.memory[None]]
    outputs, hidden, memory = _call(torch.lstm, inputs, initial, weights)
    return outputs, LSTMState(_at_length(outputs, hidden[0], state.hidden, lengths), memory[0])


def lstm_both_ways(
    forward: LSTMCell, backward: LSTMCell, inputs: Tensor, states: tuple[LSTMState, LSTMState], lengths: Tensor | None
) -> tuple[Tensor, tuple[LSTMState, LSTMState]]:
    """Two `LSTMCell` of one size, from each end, in one call: outputs [T, B, 2 H], nothing is flipped.

    The backward direction begins with the padding, where its memory is held but its output is zero; so where rows
    differ in length, its hidden state must be zero at first.
    """
    weights = [_weights(forward), _weights(backward)]
    if lengths is not None:
        inputs, weights = _with_padding(inputs, lengths), [_pulled(each, HELD) for each in weights]
    initial = [torch.stack([state.hidden for state in states]), torch.stack([state.memory for state in states])]
    outputs, hidden, memory = _call(torch.lstm, inputs, initial, [*weights[0], *weights[1]], both_ways=True)
    ahead = outputs[..., : forward.hidden_size]
    last = _at_length(ahead, hidden[0], states[0].hidden, lengths)
    return outputs, (LSTMState(last, memory[0]), LSTMState(hidden[1], memory[1]))


def _without_padding(outputs: Tensor, lengths: Tensor | None) -> Tensor:
    """Outputs [T, B, H], zero in the padding."""
    if lengths is None:
        return outputs
    return torch.where(mask(lengths, len(outputs)).to(outputs.device)[..., None], outputs, 0)


def _weights(cell: AffineCell[Any]) -> list[Tensor]:
    return [cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh]


def _mark_padding(
    inputs: Tensor, weights: list[Tensor], lengths: Tensor, pull: Sequence[float]
) -> tuple[Tensor, list[Tensor]]:
    """One more input, 1 in the padding and 0 elsewhere; `pull` is its weight to the units of each gate."""
    return _with_padding(inputs, lengths), _pulled(weights, pull)


def _with_padding(inputs: Tensor, lengths: Tensor) -> Tensor:
    padding = ~mask(lengths, len(inputs)).to(inputs.device)
    return torch.cat([inputs, padding[..., None].to(inputs.dtype)], dim=2)


def _pulled(weights: list[Tensor], pull: Sequence[float]) -> list[Tensor]:
    weight_ih, *others = weights
    column = weight_ih.new_tensor(list(pull)).repeat_interleave(len(weight_ih) // len(pull))
    return [torch.cat([weight_ih, column[:, None]], dim=1), *others]


def _call(
    kernel: Callable[..., Any],
    inputs: Tensor,
    state: Tensor | list[Tensor],
    weights: list[Tensor],
    both_ways: bool = False,
) -> Any:
    if inputs.is_cuda:
        # cuDNN warns about weights that are not one block in this order, and copies them on every call
        block = torch.cat([weight.flatten() for weight in weights])
        sizes = [weight.numel() for weight in weights]
        weights = [part.view_as(weight) for part, weight in zip(torch.split(block, sizes), weights, strict=True)]
    # cuDNN saves what backward needs only in training mode; there is no dropout here for that mode to turn on
    train = torch.is_grad_enabled()
    return kernel(inputs, state, weights, True, 1, 0.0, train, both_ways, False)


def _at_length(outputs: Tensor, last: Tensor, before: Tensor, lengths: Tensor | None) -> Tensor:
    """[B, H]: the output at each row's last real frame, or the state before where it has none."""
    if lengths is None:
        return last
    lengths = lengths.to(outputs.device)
    frames = (lengths - 1).clamp(min=0)[None, :, None].expand(1, -1, outputs.shape[2])
    return torch.where(lengths[:, None] > 0, outputs.gather(0, frames)[0], before)
