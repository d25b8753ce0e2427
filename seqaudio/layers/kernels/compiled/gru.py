"""Steps of the GRU, compiled."""

from __future__ import annotations

import numpy as np

from seqaudio.jit import compiled
from seqaudio.layers.kernels.compiled.rows import (
    Matrix,
    Row,
    add,
    add_multiplied,
    add_product,
    carry,
    copy,
    fill,
    multiply,
    receive,
    set_product,
    sigmoid_row,
    skip,
    tanh_row,
    times,
    times_sigmoid_slope,
    times_tanh_slope,
)
from seqaudio.layers.kernels.gru import GRUGradients, GRUTape
from seqaudio.layers.kernels.loop import Steps


@compiled
def blend(output: Row, n: Row, z: Row, h: Row) -> None:
    """h' = (1 - z) * n + z * h"""
    for k in range(len(output)):
        output[k] = n[k] + z[k] * (h[k] - n[k])


@compiled
def blend_back(d_n: Row, d_z: Row, d_h: Row, n: Row, z: Row, h: Row) -> None:
    """Backward of `blend`: from d_h to d_n and d_z, before their activations; d_h becomes the gradient of h."""
    for k in range(len(d_h)):
        d_z[k] = d_h[k] * (h[k] - n[k])
    for k in range(len(d_h)):
        d_n[k] = d_h[k] - d_h[k] * z[k]
    times(d_h, z)


@compiled
def step(t: int, tape: GRUTape) -> None:
    _, B, H = tape.outputs.shape
    for b in range(B):
        output = tape.outputs[t, b]
        if t >= tape.window.lengths[b]:
            fill(output, 0)
            skip(t, b, tape.hidden)
            continue
        gates, products, recalled = tape.gates[t, b], tape.products[b], tape.recalled[t, b]
        n, r, z = gates[:H], gates[H : 2 * H], gates[2 * H :]
        add(gates[H:], products[: 2 * H])
        sigmoid_row(gates[H:])
        copy(recalled, products[2 * H :])
        add(recalled, tape.bias)
        add_product(n, r, recalled)
        tanh_row(n)
        blend(output, n, z, tape.hidden.before[t, b])
        carry(t, b, output, tape.hidden, tape.window)


@compiled
def step_back(t: int, tape: GRUGradients) -> None:
    _, B, H = tape.d_outputs.shape
    for b in range(B):
        d_gates = tape.d_gates[t, b]
        if t >= tape.window.lengths[b]:
            fill(d_gates, 0)
            continue
        receive(t, b, tape.hidden, tape.window)
        gates, d_h = tape.gates[t, b], tape.hidden.grad_carry[b]
        n, r, z = gates[:H], gates[H : 2 * H], gates[2 * H :]
        d_n, d_r, d_z, d_recalled = d_gates[:H], d_gates[H : 2 * H], d_gates[2 * H : 3 * H], d_gates[3 * H :]
        add(d_h, tape.d_outputs[t, b])
        blend_back(d_n, d_z, d_h, n, z, tape.before[t, b])
        times_sigmoid_slope(d_z, z)
        times_tanh_slope(d_n, n)
        set_product(d_recalled, d_n, r)
        set_product(d_r, d_n, tape.recalled[t, b])
        times_sigmoid_slope(d_r, r)


@compiled
def sequence(tape: GRUTape) -> None:
    for t in range(len(tape.outputs)):
        multiply(tape.hidden.before[t], tape.weight, tape.products)
        step(t, tape)


@compiled
def sequence_back(tape: GRUGradients) -> None:
    H = tape.d_outputs.shape[2]
    for t in range(len(tape.d_outputs) - 1, -1, -1):
        step_back(t, tape)
        add_multiplied(tape.d_gates[t, :, H:], tape.weight, tape.hidden.grad_carry)


@compiled
def stream(
    inputs: Matrix, weight_ih: Matrix, bias_ih: Row, weight_hh: Matrix, bias_hh: Row, hidden: Matrix, outputs: Matrix
) -> None:
    """Outputs [T, B, H] of inputs [T, B, F] and hidden [B, H]; weights and biases are stacked r, z, n."""
    T, B, H = outputs.shape
    gates, products = np.empty((T * B, 3 * H), inputs.dtype), np.empty((B, 3 * H), inputs.dtype)
    multiply(inputs.reshape(T * B, inputs.shape[2]), weight_ih, gates)
    before = hidden
    for t in range(T):
        multiply(before, weight_hh, products)
        for b in range(B):
            gate, product = gates[t * B + b], products[b]
            add(gate, bias_ih)
            add(product, bias_hh)
            r, z, n = gate[:H], gate[H : 2 * H], gate[2 * H :]
            add(gate[: 2 * H], product[: 2 * H])
            sigmoid_row(gate[: 2 * H])
            add_product(n, r, product[2 * H :])
            tanh_row(n)
            blend(outputs[t, b], n, z, before[b])
        before = outputs[t]


STEPS = Steps(step, step_back, sequence, sequence_back, stream)
