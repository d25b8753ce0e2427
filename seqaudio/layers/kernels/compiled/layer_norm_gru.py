"""Steps of the GRU with layer normalisation, compiled."""

from __future__ import annotations

from seqaudio.jit import compiled
from seqaudio.layers.kernels.compiled.gru import blend
from seqaudio.layers.kernels.compiled.products import Array, hand_back, multiply, project, project_back
from seqaudio.layers.kernels.compiled.rows import (
    Matrix,
    Row,
    add,
    add_product,
    carry,
    copy,
    fill,
    normalise,
    normalise_gradient,
    receive,
    set_product,
    sigmoid_row,
    skip,
    tanh_row,
    times,
    times_sigmoid_slope,
    times_tanh_slope,
)
from seqaudio.layers.kernels.layer_norm_gru import LayerNormGRUGradients, LayerNormGRUTape
from seqaudio.layers.kernels.loop import Steps
from seqaudio.layers.kernels.states import InputGradients, InputTape


@compiled
def blend_back(d_n: Row, d_z: Row, d_h: Row, n: Row, z: Row, h: Row) -> None:
    """Backward of `blend`: from d_h to d_n and d_z, before their activations; d_h becomes the gradient of h."""
    for k in range(len(d_h)):
        d_z[k] = d_h[k] * (h[k] - n[k])
    for k in range(len(d_h)):
        d_n[k] = d_h[k] - d_h[k] * z[k]
    times(d_h, z)


@compiled
def scale_and_shift(target: Row, normalised: Row, gain: Row, bias: Row) -> None:
    """normalised * gain + bias"""
    for k in range(len(target)):
        target[k] = normalised[k] * gain[k] + bias[k]


@compiled
def open_gates(gates: Row, x: Row, gain_x: Row, bias_x: Row, h: Row, gain_h: Row, bias_h: Row) -> None:
    """r, z, n, and the hidden part of n before r scales it, side by side, from both normalised maps."""
    H = len(gates) // 4
    r, both, n, recalled = gates[:H], gates[: 2 * H], gates[2 * H : 3 * H], gates[3 * H :]
    scale_and_shift(gates[: 3 * H], x, gain_x, bias_x)
    scale_and_shift(recalled, h[2 * H :], gain_h[2 * H :], bias_h[2 * H :])
    add(both, bias_h)
    add_product(both, h, gain_h)
    sigmoid_row(both)
    add_product(n, r, recalled)
    tanh_row(n)


@compiled
def step(t: int, tape: LayerNormGRUTape) -> None:
    T, B, H = tape.outputs.shape
    lengths, varied = tape.window.lengths, tape.window.ragged or tape.window.has_resets
    gates = tape.gates
    z, n = gates[H : 2 * H], gates[2 * H : 3 * H]
    for b in range(B):
        output = tape.outputs[t, b]
        if varied and t >= lengths[b]:
            fill(output, 0)
            skip(t, b, tape.hidden)
            continue
        x, h = tape.from_inputs[t, b], tape.products[t, b]
        tape.scales[t, 0, b] = normalise(x)
        tape.scales[t, 1, b] = normalise(h)
        open_gates(gates, x, tape.gain_inputs, tape.bias_inputs, h, tape.gain_hidden, tape.bias_hidden)
        blend(output, n, z, tape.hidden.before[t, b])
        if varied or t + 1 == T:
            carry(t, b, output, tape.hidden, tape.window)


@compiled
def step_back(t: int, tape: LayerNormGRUGradients) -> None:
    T, B, H = tape.d_outputs.shape
    lengths, varied = tape.window.lengths, tape.window.ragged or tape.window.has_resets
    products = tape.d_products[t % len(tape.d_products)]
    gates = tape.gates
    r, z, n, recalled = gates[:H], gates[H : 2 * H], gates[2 * H : 3 * H], gates[3 * H :]
    for b in range(B):
        d_x, d_product = tape.d_from_inputs[t % len(tape.d_from_inputs), b], products[b]
        if varied and t >= lengths[b]:
            fill(d_x, 0)
            fill(d_product, 0)
            continue
        if varied or t + 1 == T:
            receive(t, b, tape.hidden, tape.window)
        x, h, d_h = tape.from_inputs[t, b], tape.products[t, b], tape.hidden.grad_carry[b]
        d_r, d_z, d_n = d_x[:H], d_x[H : 2 * H], d_x[2 * H :]
        open_gates(gates, x, tape.gain_inputs, tape.bias_inputs, h, tape.gain_hidden, tape.bias_hidden)

        add(d_h, tape.d_outputs[t, b])
        blend_back(d_n, d_z, d_h, n, z, tape.before[t, b])
        times_sigmoid_slope(d_z, z)
        times_tanh_slope(d_n, n)
        set_product(d_r, d_n, recalled)
        times_sigmoid_slope(d_r, r)
        copy(d_product[: 2 * H], d_x)
        set_product(d_product[2 * H :], d_n, r)

        add(tape.d_bias_inputs, d_x)
        add_product(tape.d_gain_inputs, d_x, x)
        times(d_x, tape.gain_inputs)
        normalise_gradient(d_x, x, tape.scales[t, 0, b])
        add(tape.d_bias_hidden, d_product)
        add_product(tape.d_gain_hidden, d_product, h)
        times(d_product, tape.gain_hidden)
        normalise_gradient(d_product, h, tape.scales[t, 1, b])


@compiled
def sequence(tape: LayerNormGRUTape, strips: Row, inputs: InputTape) -> None:
    T, B, H = tape.outputs.shape
    for t in range(T):
        h = t * B * H
        project(t, inputs, tape.from_inputs)
        multiply(tape.hidden.before, h, H, B, strips, H, 3 * H, tape.products, 3 * h, 3 * H, False)
        step(t, tape)


@compiled
def sequence_back(
    tape: LayerNormGRUGradients, strips: Row, before: Array, d_weight: Matrix, inputs: InputGradients
) -> None:
    for t in range(len(tape.d_outputs) - 1, -1, -1):
        step_back(t, tape)
        hand_back(t, tape.d_products, 0, strips, before, tape.hidden.grad_carry, d_weight)
        project_back(t, tape.d_from_inputs, inputs)


STEPS = Steps(step, step_back, sequence, sequence_back, is_compiled=True)
