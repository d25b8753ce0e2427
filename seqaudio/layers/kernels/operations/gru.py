"""Steps of the GRU in torch operations."""

from __future__ import annotations

import torch

from seqaudio.layers.kernels.gru import GRUGradients, GRUTape
from seqaudio.layers.kernels.loop import Steps
from seqaudio.layers.kernels.operations.rows import carry, real, receive

aten = torch.ops.aten


def step(t: int, tape: GRUTape) -> None:
    H = tape.outputs.shape[2]
    gates, h = tape.gates[t], tape.hidden.before[t]
    n, r, z, recalled = gates.chunk(4, dim=1)
    gates[:, H : 3 * H].sigmoid_()
    n.addcmul_(r, recalled).tanh_()
    output = torch.lerp(n, h, z)
    tape.outputs[t].copy_(real(t, output, tape.window))
    carry(t, output, tape.hidden, tape.window)


def step_back(t: int, tape: GRUGradients) -> None:
    receive(t, tape.hidden, tape.window)
    h, d_h = tape.before[t], tape.hidden.grad_carry
    n, r, z, recalled = tape.gates[t].clone().chunk(4, dim=1)  # d_gates may be the same memory
    d_n, d_r, d_z, d_recalled = tape.d_gates[t].chunk(4, dim=1)
    d_h.add_(real(t, tape.d_outputs[t], tape.window))
    aten.sigmoid_backward.grad_input(d_h * (h - n), z, grad_input=d_z)
    carried = d_h * z
    aten.tanh_backward.grad_input(d_h.sub_(carried), n, grad_input=d_n)
    torch.mul(d_n, r, out=d_recalled)
    aten.sigmoid_backward.grad_input(d_n * recalled, r, grad_input=d_r)
    d_h.copy_(carried)


STEPS = Steps(step, step_back)
