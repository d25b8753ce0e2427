"""Steps of the LSTM with layer normalisation, compiled."""

from __future__ import annotations

from seqaudio.jit import compiled
from seqaudio.layers.kernels.compiled.elementwise import tanh
from seqaudio.layers.kernels.compiled.lstm import remember
from seqaudio.layers.kernels.compiled.products import Array, hand_back, multiply
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
from seqaudio.layers.kernels.layer_norm_lstm import LayerNormLSTMGradients, LayerNormLSTMTape
from seqaudio.layers.kernels.loop import Steps


@compiled
def sum_of_maps(total: Row, x: Row, gain_x: Row, h: Row, gain_h: Row, bias: Row) -> None:
    """LN(W x) * gain_ih + LN(U h) * gain_hh + both biases; x and h are already normalised."""
    for k in range(len(total)):
        total[k] = x[k] * gain_x[k] + h[k] * gain_h[k] + bias[k]


@compiled
def tanh_of_map(target: Row, normalised: Row, gain: Row, bias: Row) -> None:
    """tanh(normalised * gain + bias)"""
    for k in range(len(target)):
        target[k] = tanh(normalised[k] * gain[k] + bias[k])


@compiled
def open_gates(gates: Row, x: Row, gain_x: Row, h: Row, gain_h: Row, bias: Row) -> None:
    """i, f, g and o from both normalised maps."""
    H = len(gates) // 4
    sum_of_maps(gates, x, gain_x, h, gain_h, bias)
    sigmoid_row(gates[: 2 * H])
    tanh_row(gates[2 * H : 3 * H])
    sigmoid_row(gates[3 * H :])


@compiled
def step(t: int, tape: LayerNormLSTMTape) -> None:
    _, B, H = tape.outputs.shape
    gates, read = tape.gates, tape.read
    i, f, g, o = gates[:H], gates[H : 2 * H], gates[2 * H : 3 * H], gates[3 * H :]
    for b in range(B):
        output = tape.outputs[t, b]
        if t >= tape.window.lengths[b]:
            fill(output, 0)
            skip(t, b, tape.hidden)
            skip(t, b, tape.memory)
            continue
        x, h = tape.from_inputs[t, b], tape.products[t, b]
        c, c_next = tape.memory.before[t, b], tape.memory.before[t + 1, b]
        tape.scales[t, 0, b] = normalise(x)
        tape.scales[t, 1, b] = normalise(h)
        open_gates(gates, x, tape.gain_inputs, h, tape.gain_hidden, tape.bias)
        remember(c_next, i, f, g, c)
        copy(read, c_next)
        normalise(read)
        tanh_of_map(output, read, tape.gain_memory, tape.bias_memory)
        times(output, o)
        carry(t, b, output, tape.hidden, tape.window)
        carry(t, b, c_next, tape.memory, tape.window)


@compiled
def step_back(t: int, tape: LayerNormLSTMGradients) -> None:
    _, B, H = tape.d_outputs.shape
    products = tape.d_products[t % len(tape.d_products)]
    gates, normalised, read = tape.gates, tape.scratch[0], tape.scratch[1]
    i, f, g, o = gates[:H], gates[H : 2 * H], gates[2 * H : 3 * H], gates[3 * H :]
    # rows are summed in their own dtype, steps in float64: mixing dtypes in a row's loop would halve its speed
    sums = tape.step_sums.reshape(-1)
    d_bias, d_gain_inputs, d_gain_hidden = sums[: 4 * H], sums[4 * H : 8 * H], sums[8 * H : 12 * H]
    d_gain_memory, d_bias_memory = sums[12 * H : 13 * H], sums[13 * H :]
    fill(sums, 0)
    for b in range(B):
        d_x, d_gates = tape.d_from_inputs[t, b], products[b]
        if t >= tape.window.lengths[b]:
            fill(d_x, 0)
            fill(d_gates, 0)
            continue
        receive(t, b, tape.hidden, tape.window)
        receive(t, b, tape.memory, tape.window)
        x, h, c = tape.from_inputs[t, b], tape.products[t, b], tape.memory_before[t, b]
        d_i, d_f, d_g, d_o = d_gates[:H], d_gates[H : 2 * H], d_gates[2 * H : 3 * H], d_gates[3 * H :]
        d_h, d_c = tape.hidden.grad_carry[b], tape.memory.grad_carry[b]
        open_gates(gates, x, tape.gain_inputs, h, tape.gain_hidden, tape.bias)
        remember(normalised, i, f, g, c)
        scale = normalise(normalised)
        tanh_of_map(read, normalised, tape.gain_memory, tape.bias_memory)

        add(d_h, tape.d_outputs[t, b])
        set_product(d_o, d_h, read)
        times_sigmoid_slope(d_o, o)
        times(d_h, o)
        times_tanh_slope(d_h, read)
        add(d_bias_memory, d_h)
        add_product(d_gain_memory, d_h, normalised)
        times(d_h, tape.gain_memory)
        normalise_gradient(d_h, normalised, scale)
        add(d_c, d_h)

        set_product(d_i, d_c, g)
        times_sigmoid_slope(d_i, i)
        set_product(d_f, d_c, c)
        times_sigmoid_slope(d_f, f)
        set_product(d_g, d_c, i)
        times_tanh_slope(d_g, g)
        times(d_c, f)
        fill(d_h, 0)

        add(d_bias, d_gates)
        add_product(d_gain_inputs, d_gates, x)
        add_product(d_gain_hidden, d_gates, h)
        set_product(gates, d_gates, tape.gain_inputs)
        normalise_gradient(gates, x, tape.scales[t, 0, b])
        copy(d_x, gates)
        times(d_gates, tape.gain_hidden)
        normalise_gradient(d_gates, h, tape.scales[t, 1, b])
    add(tape.d_bias, d_bias)
    add(tape.d_gain_inputs, d_gain_inputs)
    add(tape.d_gain_hidden, d_gain_hidden)
    add(tape.d_gain_memory, d_gain_memory)
    add(tape.d_bias_memory, d_bias_memory)


@compiled
def sequence(tape: LayerNormLSTMTape, strips: Row) -> None:
    T, B, H = tape.outputs.shape
    for t in range(T):
        h = t * B * H
        multiply(tape.hidden.before, h, H, B, strips, H, 4 * H, tape.products, 4 * h, 4 * H, False)
        step(t, tape)


@compiled
def sequence_back(tape: LayerNormLSTMGradients, strips: Row, before: Array, d_weight: Matrix) -> None:
    for t in range(len(tape.d_outputs) - 1, -1, -1):
        step_back(t, tape)
        hand_back(t, tape.d_products, 0, strips, before, tape.hidden.grad_carry, d_weight)


STEPS = Steps(step, step_back, sequence, sequence_back, is_compiled=True)
