"""Steps of the LSTM, with or without peepholes, compiled."""

from __future__ import annotations

from seqaudio.jit import compiled
from seqaudio.layers.kernels.compiled.elementwise import tanh
from seqaudio.layers.kernels.compiled.rows import (
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
from seqaudio.layers.kernels.loop import Steps
from seqaudio.layers.kernels.lstm import LSTMGradients, LSTMTape


@compiled
def remember(c_next: Row, i: Row, f: Row, g: Row, c: Row) -> None:
    """c' = f * c + i * g"""
    for k in range(len(c)):
        c_next[k] = f[k] * c[k] + i[k] * g[k]


@compiled
def step(t: int, tape: LSTMTape) -> None:
    _, B, H = tape.outputs.shape
    for b in range(B):
        output = tape.outputs[t, b]
        if t >= tape.window.lengths[b]:
            fill(output, 0)
            skip(t, b, tape.hidden)
            skip(t, b, tape.memory)
            continue
        gates, c, c_next = tape.gates[t, b], tape.memory.before[t, b], tape.memory.before[t + 1, b]
        i, f, g, o = gates[:H], gates[H : 2 * H], gates[2 * H : 3 * H], gates[3 * H :]
        add(gates, tape.products[b])
        add_product(i, tape.peephole[0], c)
        add_product(f, tape.peephole[1], c)
        sigmoid_row(gates[: 2 * H])
        tanh_row(g)
        remember(c_next, i, f, g, c)
        add_product(o, tape.peephole[2], c_next)
        sigmoid_row(o)
        for k in range(H):
            output[k] = o[k] * tanh(c_next[k])
        carry(t, b, output, tape.hidden, tape.window)
        carry(t, b, c_next, tape.memory, tape.window)


@compiled
def step_back(t: int, tape: LSTMGradients) -> None:
    _, B, H = tape.d_outputs.shape
    scratch = tape.scratch.reshape(-1)
    d_gates, c_next, read = scratch[: 4 * H], scratch[4 * H : 5 * H], scratch[5 * H :]
    d_i, d_f, d_g, d_o = d_gates[:H], d_gates[H : 2 * H], d_gates[2 * H : 3 * H], d_gates[3 * H :]
    for b in range(B):
        if t >= tape.window.lengths[b]:
            fill(tape.d_gates[t, b], 0)
            continue
        receive(t, b, tape.hidden, tape.window)
        receive(t, b, tape.memory, tape.window)
        gates, c = tape.gates[t, b], tape.memory_before[t, b]
        i, f, g, o = gates[:H], gates[H : 2 * H], gates[2 * H : 3 * H], gates[3 * H :]
        d_h, d_c = tape.hidden.grad_carry[b], tape.memory.grad_carry[b]
        remember(c_next, i, f, g, c)
        for k in range(H):
            read[k] = tanh(c_next[k])

        add(d_h, tape.d_outputs[t, b])
        set_product(d_o, d_h, read)
        times_sigmoid_slope(d_o, o)
        times(d_h, o)
        times_tanh_slope(d_h, read)
        add(d_c, d_h)
        add_product(d_c, tape.peephole[2], d_o)

        set_product(d_i, d_c, g)
        times_sigmoid_slope(d_i, i)
        set_product(d_f, d_c, c)
        times_sigmoid_slope(d_f, f)
        set_product(d_g, d_c, i)
        times_tanh_slope(d_g, g)
        add_product(tape.d_peephole[0], d_i, c)
        add_product(tape.d_peephole[1], d_f, c)
        add_product(tape.d_peephole[2], d_o, c_next)

        times(d_c, f)
        add_product(d_c, tape.peephole[0], d_i)
        add_product(d_c, tape.peephole[1], d_f)
        fill(d_h, 0)
        copy(tape.d_gates[t, b], d_gates)


@compiled
def sequence(tape: LSTMTape) -> None:
    for t in range(len(tape.outputs)):
        multiply(tape.hidden.before[t], tape.weight, tape.products)
        step(t, tape)


@compiled
def sequence_back(tape: LSTMGradients) -> None:
    for t in range(len(tape.d_outputs) - 1, -1, -1):
        step_back(t, tape)
        add_multiplied(tape.d_gates[t], tape.weight, tape.hidden.grad_carry)


STEPS = Steps(step, step_back, sequence, sequence_back)
