"""Steps of the LSTM, with or without peepholes, in torch operations."""

from __future__ import annotations

import torch

from seqaudio.layers.kernels.loop import Steps
from seqaudio.layers.kernels.lstm import LSTMGradients, LSTMTape
from seqaudio.layers.kernels.operations.rows import carry, real, receive

aten = torch.ops.aten


def step(t: int, tape: LSTMTape) -> None:
    c, p = tape.memory.before[t], tape.peephole
    i, f, g, o = tape.gates[t].chunk(4, dim=1)
    if p is not None:
        i.addcmul_(p[0], c)
        f.addcmul_(p[1], c)
    i.sigmoid_(), f.sigmoid_(), g.tanh_()
    c_next = torch.mul(f, c).addcmul_(i, g)
    if p is not None:
        o.addcmul_(p[2], c_next)
    output = c_next.tanh().mul_(o.sigmoid_())
    tape.outputs[t].copy_(real(t, output, tape.window))
    carry(t, output, tape.hidden, tape.window)
    carry(t, c_next, tape.memory, tape.window)


def step_back(t: int, tape: LSTMGradients) -> None:
    receive(t, tape.hidden, tape.window)
    receive(t, tape.memory, tape.window)
    c, d_h, d_c, p = tape.memory_before[t], tape.hidden.grad_carry, tape.memory.grad_carry, tape.peephole
    i, f, g, o = tape.gates[t].chunk(4, dim=1)
    d_gates = torch.empty_like(tape.gates[t])
    d_i, d_f, d_g, d_o = d_gates.chunk(4, dim=1)
    c_next = torch.mul(f, c).addcmul_(i, g)
    read = c_next.tanh()

    d_h.add_(real(t, tape.d_outputs[t], tape.window))
    aten.sigmoid_backward.grad_input(d_h * read, o, grad_input=d_o)
    d_c.add_(aten.tanh_backward(d_h.mul_(o), read))
    if p is not None:
        d_c.addcmul_(p[2], d_o)
    aten.sigmoid_backward.grad_input(d_c * g, i, grad_input=d_i)
    aten.sigmoid_backward.grad_input(d_c * c, f, grad_input=d_f)
    aten.tanh_backward.grad_input(d_c * i, g, grad_input=d_g)
    d_c.mul_(f)
    if p is not None and tape.d_peephole is not None:
        for row, products in zip(tape.d_peephole, (d_i * c, d_f * c, d_o * c_next), strict=True):
            row.add_(products.sum(0))
        d_c.addcmul_(p[0], d_i).addcmul_(p[1], d_f)
    d_h.zero_()
    tape.d_gates[t].copy_(d_gates)


STEPS = Steps(step, step_back)
