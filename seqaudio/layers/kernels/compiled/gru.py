"""Steps of the GRU, compiled."""

from __future__ import annotations

from typing import Any

import numpy as np

from seqaudio.jit import compiled
from seqaudio.layers.kernels.compiled.elementwise import sigmoid, tanh
from seqaudio.layers.kernels.compiled.products import NARROW, Array, hand_back, multiply, project, project_back
from seqaudio.layers.kernels.compiled.rows import (
    Matrix,
    Row,
    add,
    add_product,
    carry,
    fill,
    receive,
    row_products,
    sigmoid_row,
    skip,
    tanh_row,
)
from seqaudio.layers.kernels.gru import GRUGradients, GRUTape
from seqaudio.layers.kernels.loop import Steps
from seqaudio.layers.kernels.states import InputGradients, InputTape
from seqaudio.vectors import STRIP_BYTES, load_as, narrow, spread_as, store, strip


@compiled
def blend(output: Row, n: Row, z: Row, h: Row) -> None:
    """h' = (1 - z) * n + z * h"""
    for k in range(len(output)):
        output[k] = n[k] + z[k] * (h[k] - n[k])


@compiled
def _open(like: Any, gates: Array, g: int, H: int, before: Array, h: int, outputs: Array, y: int) -> None:
    """Gates and output of as many units as `like` has numbers, from the gates' sums."""
    r, z = sigmoid(load_as(like, gates, g + H)), sigmoid(load_as(like, gates, g + 2 * H))
    n = tanh(load_as(like, gates, g) + r * load_as(like, gates, g + 3 * H))
    store(gates, g, n)
    store(gates, g + H, r)
    store(gates, g + 2 * H, z)
    store(outputs, y, n + z * (load_as(like, before, h) - n))


@compiled
def _open_back(
    like: Any, gates: Array, g: int, d_gates: Array, d: int, H: int, before: Array, d_outputs: Array, h: int,
    grad_carry: Array, c: int,
) -> None:  # fmt: skip
    """Backward of `_open`; grad_carry becomes the gradient of h by other paths than U h."""
    one = spread_as(like, 1)
    n, r = load_as(like, gates, g), load_as(like, gates, g + H)
    z, recalled = load_as(like, gates, g + 2 * H), load_as(like, gates, g + 3 * H)
    d_h = load_as(like, grad_carry, c) + load_as(like, d_outputs, h)
    carried = d_h * z
    d_z = d_h * (load_as(like, before, h) - n) * (z * (one - z))
    d_n = (d_h - carried) * (one - n * n)
    store(d_gates, d, d_n)
    store(d_gates, d + H, d_n * recalled * (r * (one - r)))
    store(d_gates, d + 2 * H, d_z)
    store(d_gates, d + 3 * H, d_n * r)
    store(grad_carry, c, carried)


@compiled
def step(t: int, tape: GRUTape) -> None:
    T, B, H = tape.outputs.shape
    lengths, varied = tape.window.lengths, tape.window.ragged or tape.window.has_resets
    gates, before, outputs = tape.gates, tape.hidden.before, tape.outputs
    for b in range(B):
        if varied and t >= lengths[b]:
            fill(outputs[t, b], 0)
            skip(t, b, tape.hidden)
            continue
        h, k, wide = (t * B + b) * H, 0, STRIP_BYTES // outputs.itemsize
        g = 4 * h
        while H - k >= wide:
            _open(strip(outputs), gates, g + k, H, before, h + k, outputs, h + k)
            k += wide
        while H - k >= NARROW:
            _open(narrow(outputs), gates, g + k, H, before, h + k, outputs, h + k)
            k += NARROW
        while k < H:
            _open(outputs.dtype.type(0), gates, g + k, H, before, h + k, outputs, h + k)
            k += 1
        if varied or t + 1 == T:
            carry(t, b, outputs[t, b], tape.hidden, tape.window)


@compiled
def step_back(t: int, tape: GRUGradients) -> None:
    T, B, H = tape.d_outputs.shape
    lengths, varied = tape.window.lengths, tape.window.ragged or tape.window.has_resets
    gates, d_gates, before, d_outputs = tape.gates, tape.d_gates, tape.before, tape.d_outputs
    grad_carry, slot = tape.hidden.grad_carry, t % len(tape.d_gates)
    for b in range(B):
        if varied and t >= lengths[b]:
            fill(d_gates[slot, b], 0)
            continue
        if varied or t + 1 == T:
            receive(t, b, tape.hidden, tape.window)
        h, c, k, wide = (t * B + b) * H, b * H, 0, STRIP_BYTES // gates.itemsize
        g, d = 4 * h, (slot * B + b) * 4 * H
        while H - k >= wide:
            _open_back(strip(gates), gates, g + k, d_gates, d + k, H, before, d_outputs, h + k, grad_carry, c + k)
            k += wide
        while H - k >= NARROW:
            _open_back(narrow(gates), gates, g + k, d_gates, d + k, H, before, d_outputs, h + k, grad_carry, c + k)
            k += NARROW
        while k < H:
            _open_back(
                gates.dtype.type(0), gates, g + k, d_gates, d + k, H, before, d_outputs, h + k, grad_carry, c + k
            )
            k += 1


@compiled
def sequence(tape: GRUTape, strips: Row, inputs: InputTape) -> None:
    T, B, H = tape.outputs.shape
    for t in range(T):
        h = t * B * H
        project(t, inputs, tape.gates)
        multiply(tape.hidden.before, h, H, B, strips, H, 3 * H, tape.gates, 4 * h + H, 4 * H, True)
        step(t, tape)


@compiled
def sequence_back(tape: GRUGradients, strips: Row, before: Array, d_weight: Matrix, inputs: InputGradients) -> None:
    T, _, H = tape.d_outputs.shape
    for t in range(T - 1, -1, -1):
        step_back(t, tape)
        hand_back(t, tape.d_gates, H, strips, before, tape.hidden.grad_carry, d_weight)
        project_back(t, tape.d_gates, inputs)


@compiled
def stream(
    inputs: Matrix, weight_ih: Matrix, bias_ih: Row, weight_hh: Matrix, bias_hh: Row, hidden: Matrix, outputs: Matrix
) -> None:
    """Outputs [T, B, H] of inputs [T, B, F] and hidden [B, H]; weights and biases are stacked r, z, n."""
    T, B, H = outputs.shape
    gates, products = np.empty((T * B, 3 * H), inputs.dtype), np.empty((B, 3 * H), inputs.dtype)
    row_products(inputs.reshape(T * B, inputs.shape[2]), weight_ih, gates)
    before = hidden
    for t in range(T):
        row_products(before, weight_hh, products)
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


STEPS = Steps(step, step_back, sequence, sequence_back, stream, is_compiled=True)
