"""Steps of the GRU with layer normalisation, in torch operations."""

from __future__ import annotations

import torch
from torch import Tensor

from seqaudio.layers.kernels.layer_norm_gru import LayerNormGRUGradients, LayerNormGRUTape
from seqaudio.layers.kernels.loop import Steps
from seqaudio.layers.kernels.operations.rows import carry, normalise, normalise_gradient, real, receive

aten = torch.ops.aten


def open_gates(x: Tensor, h: Tensor, tape: LayerNormGRUTape | LayerNormGRUGradients) -> tuple[Tensor, ...]:
    """r, z, n, and the hidden part of n before r scales it, from both normalised maps."""
    r, z, n = torch.addcmul(tape.bias_inputs, x, tape.gain_inputs).chunk(3, dim=1)
    h_r, h_z, recalled = torch.addcmul(tape.bias_hidden, h, tape.gain_hidden).chunk(3, dim=1)
    r.add_(h_r).sigmoid_()
    z.add_(h_z).sigmoid_()
    n.addcmul_(r, recalled).tanh_()
    return r, z, n, recalled


def step(t: int, tape: LayerNormGRUTape) -> None:
    x = normalise(tape.from_inputs[t], tape.scales[t, 0])
    h = normalise(tape.products[t], tape.scales[t, 1])
    _, z, n, _ = open_gates(x, h, tape)
    output = torch.lerp(n, tape.hidden.before[t], z)
    tape.outputs[t].copy_(real(t, output, tape.window))
    carry(t, output, tape.hidden, tape.window)


def step_back(t: int, tape: LayerNormGRUGradients) -> None:
    receive(t, tape.hidden, tape.window)
    H = tape.d_outputs.shape[2]
    x, h, before, d_h = tape.from_inputs[t], tape.products[t], tape.before[t], tape.hidden.grad_carry
    r, z, n, recalled = open_gates(x, h, tape)
    d_x, d_product = tape.d_from_inputs[t], tape.d_products[t % len(tape.d_products)]
    d_r, d_z, d_n = d_x.chunk(3, dim=1)

    d_h.add_(real(t, tape.d_outputs[t], tape.window))
    aten.sigmoid_backward.grad_input(d_h * (before - n), z, grad_input=d_z)
    carried = d_h * z
    aten.tanh_backward.grad_input(d_h.sub_(carried), n, grad_input=d_n)
    aten.sigmoid_backward.grad_input(d_n * recalled, r, grad_input=d_r)
    d_h.copy_(carried)
    d_product.copy_(d_x)
    d_product[:, 2 * H :].mul_(r)

    tape.d_bias_inputs.add_(d_x.sum(0))
    tape.d_gain_inputs.add_((d_x * x).sum(0))
    d_x.mul_(tape.gain_inputs)
    normalise_gradient(d_x, x, tape.scales[t, 0])
    tape.d_bias_hidden.add_(d_product.sum(0))
    tape.d_gain_hidden.add_((d_product * h).sum(0))
    d_product.mul_(tape.gain_hidden)
    normalise_gradient(d_product, h, tape.scales[t, 1])


STEPS = Steps(step, step_back)
