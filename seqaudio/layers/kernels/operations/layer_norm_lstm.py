"""Steps of the LSTM with layer normalisation, in torch operations."""

from __future__ import annotations

import torch
from torch import Tensor

from seqaudio.layers.kernels.layer_norm_lstm import LayerNormLSTMGradients, LayerNormLSTMTape
from seqaudio.layers.kernels.loop import Steps
from seqaudio.layers.kernels.operations.rows import carry, normalise, normalise_gradient, real, receive

aten = torch.ops.aten


def open_gates(x: Tensor, h: Tensor, tape: LayerNormLSTMTape | LayerNormLSTMGradients) -> tuple[Tensor, ...]:
    """i, f, g and o from both normalised maps."""
    gates = torch.addcmul(tape.bias, x, tape.gain_inputs).addcmul_(h, tape.gain_hidden)
    i, f, g, o = gates.chunk(4, dim=1)
    return i.sigmoid_(), f.sigmoid_(), g.tanh_(), o.sigmoid_()


def step(t: int, tape: LayerNormLSTMTape) -> None:
    H = tape.outputs.shape[2]
    x = normalise(tape.from_inputs[t], tape.scales[t, 0])
    h = normalise(tape.products[t], tape.scales[t, 1])
    i, f, g, o = open_gates(x, h, tape)
    c_next = torch.mul(f, tape.memory.before[t]).addcmul_(i, g)
    normalised = torch.layer_norm(c_next, [H], tape.gain_memory, tape.bias_memory)
    output = normalised.tanh_().mul_(o)
    tape.outputs[t].copy_(real(t, output, tape.window))
    carry(t, output, tape.hidden, tape.window)
    carry(t, c_next, tape.memory, tape.window)


def step_back(t: int, tape: LayerNormLSTMGradients) -> None:
    receive(t, tape.hidden, tape.window)
    receive(t, tape.memory, tape.window)
    x, h, c, d_h, d_c = (
        *(tape.from_inputs[t], tape.products[t], tape.memory_before[t]),
        *(tape.hidden.grad_carry, tape.memory.grad_carry),
    )
    i, f, g, o = open_gates(x, h, tape)
    d_gates = tape.d_products[t % len(tape.d_products)]
    d_i, d_f, d_g, d_o = d_gates.chunk(4, dim=1)
    scale = torch.empty_like(c[:, 0])
    normalised = normalise(torch.mul(f, c).addcmul_(i, g), scale)
    read = torch.addcmul(tape.bias_memory, normalised, tape.gain_memory).tanh_()

    d_h.add_(real(t, tape.d_outputs[t], tape.window))
    aten.sigmoid_backward.grad_input(d_h * read, o, grad_input=d_o)
    d_read = aten.tanh_backward(d_h * o, read)
    tape.d_bias_memory.add_(d_read.sum(0))
    tape.d_gain_memory.add_((d_read * normalised).sum(0))
    d_read.mul_(tape.gain_memory)
    normalise_gradient(d_read, normalised, scale)
    d_c.add_(d_read)

    aten.sigmoid_backward.grad_input(d_c * g, i, grad_input=d_i)
    aten.sigmoid_backward.grad_input(d_c * c, f, grad_input=d_f)
    aten.tanh_backward.grad_input(d_c * i, g, grad_input=d_g)
    d_c.mul_(f)
    d_h.zero_()

    tape.d_bias.add_(d_gates.sum(0))
    tape.d_gain_inputs.add_((d_gates * x).sum(0))
    tape.d_gain_hidden.add_((d_gates * h).sum(0))
    d_normalised = d_gates * tape.gain_inputs
    normalise_gradient(d_normalised, x, tape.scales[t, 0])
    tape.d_from_inputs[t].copy_(d_normalised)
    d_gates.mul_(tape.gain_hidden)
    normalise_gradient(d_gates, h, tape.scales[t, 1])


STEPS = Steps(step, step_back)
