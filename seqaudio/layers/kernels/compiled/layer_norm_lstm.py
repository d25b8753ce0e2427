"""Steps of the LSTM with layer normalisation, compiled.

A row takes few passes over its units, each of which reads and writes whole vectors; between them stand the means and
deviations, which need all units. Functions below take as many units as `like` has numbers, at the places given.
"""

from __future__ import annotations

import math
from typing import Any

from seqaudio.cells.layer_norm import EPSILON
from seqaudio.jit import compiled
from seqaudio.layers.kernels.compiled.elementwise import sigmoid, tanh
from seqaudio.layers.kernels.compiled.products import NARROW, Array, hand_back, multiply, project, project_back
from seqaudio.layers.kernels.compiled.rows import Matrix, Row, add, carry, fill, receive, skip
from seqaudio.layers.kernels.layer_norm_lstm import LayerNormLSTMGradients, LayerNormLSTMTape
from seqaudio.layers.kernels.loop import Steps
from seqaudio.layers.kernels.states import InputGradients, InputTape
from seqaudio.vectors import STRIP_BYTES, load_as, narrow, spread_as, store, strip, total


@compiled
def _squares(like: Any, values: Array, place: int, mean: Any) -> Any:
    """The sum of squared deviations from a mean."""
    deviation = load_as(like, values, place) - spread_as(like, mean)
    return total(deviation * deviation)


@compiled
def moments(values: Array, place: int, count: int) -> tuple[Any, Any]:
    """The mean and 1 / sqrt(variance + epsilon) of so many numbers."""
    real, wide, k = values.dtype.type, STRIP_BYTES // values.itemsize, 0
    summed, squares = real(0), real(0)
    while count - k >= wide:
        summed += total(load_as(strip(values), values, place + k))
        k += wide
    while k < count:
        summed += load_as(real(0), values, place + k)
        k += 1
    mean, k = summed / real(count), 0
    while count - k >= wide:
        squares += _squares(strip(values), values, place + k, mean)
        k += wide
    while k < count:
        squares += _squares(real(0), values, place + k, mean)
        k += 1
    return mean, real(1) / math.sqrt(squares / real(count) + real(EPSILON))


@compiled
def _normalised(like: Any, values: Array, place: int, mean: Any, scale: Any) -> Any:
    return (load_as(like, values, place) - spread_as(like, mean)) * spread_as(like, scale)


@compiled
def _sum(
    like: Any, x: Any, gain_x: Array, h: Any, gain_h: Array, bias: Array, place: int
) -> Any:  # fmt: skip
    """LN(W x) * gain_ih + LN(U h) * gain_hh + both biases, from what is normalised already."""
    return x * load_as(like, gain_x, place) + h * load_as(like, gain_h, place) + load_as(like, bias, place)


@compiled
def _gate(
    like: Any, x: Array, mean_x: Any, scale_x: Any, gain_x: Array, h: Array, mean_h: Any, scale_h: Any, gain_h: Array,
    bias: Array, place: int, k: int,
) -> Any:  # fmt: skip
    """A gate's sum, from maps that are normalised in place."""
    x_n, h_n = _normalised(like, x, place, mean_x, scale_x), _normalised(like, h, place, mean_h, scale_h)
    store(x, place, x_n)
    store(h, place, h_n)
    return _sum(like, x_n, gain_x, h_n, gain_h, bias, k)


@compiled
def _open(
    like: Any, x: Array, mean_x: Any, scale_x: Any, gain_x: Array, h: Array, mean_h: Any, scale_h: Any, gain_h: Array,
    bias: Array, q: int, H: int, memory: Array, c: int, next_c: int, gates: Array, k: int,
) -> None:  # fmt: skip
    """Both maps normalised, the next memory, and o in `gates`."""
    i = _gate(like, x, mean_x, scale_x, gain_x, h, mean_h, scale_h, gain_h, bias, q, k)
    f = _gate(like, x, mean_x, scale_x, gain_x, h, mean_h, scale_h, gain_h, bias, q + H, k + H)
    g = _gate(like, x, mean_x, scale_x, gain_x, h, mean_h, scale_h, gain_h, bias, q + 2 * H, k + 2 * H)
    o = _gate(like, x, mean_x, scale_x, gain_x, h, mean_h, scale_h, gain_h, bias, q + 3 * H, k + 3 * H)
    store(memory, next_c, sigmoid(f) * load_as(like, memory, c) + sigmoid(i) * tanh(g))
    store(gates, k, sigmoid(o))


@compiled
def _read(
    like: Any, memory: Array, next_c: int, mean: Any, scale: Any, gain: Array, bias: Array, gates: Array,
    outputs: Array, y: int, k: int,
) -> None:  # fmt: skip
    """o * tanh(LN(c'))"""
    shifted = _normalised(like, memory, next_c, mean, scale) * load_as(like, gain, k) + load_as(like, bias, k)
    store(outputs, y, load_as(like, gates, k) * tanh(shifted))


@compiled
def _open_again(
    like: Any, x: Array, gain_x: Array, h: Array, gain_h: Array, bias: Array, q: int, H: int, memory: Array, c: int,
    gates: Array, scratch: Array, k: int,
) -> None:  # fmt: skip
    """i, f, g and o in `gates` and c' in `scratch`, from maps that are normalised."""
    i = sigmoid(_sum(like, load_as(like, x, q), gain_x, load_as(like, h, q), gain_h, bias, k))
    place, at = q + H, k + H
    f = sigmoid(_sum(like, load_as(like, x, place), gain_x, load_as(like, h, place), gain_h, bias, at))
    place, at = q + 2 * H, k + 2 * H
    g = tanh(_sum(like, load_as(like, x, place), gain_x, load_as(like, h, place), gain_h, bias, at))
    place, at = q + 3 * H, k + 3 * H
    o = sigmoid(_sum(like, load_as(like, x, place), gain_x, load_as(like, h, place), gain_h, bias, at))
    store(gates, k, i)
    store(gates, k + H, f)
    store(gates, k + 2 * H, g)
    store(gates, k + 3 * H, o)
    store(scratch, k, f * load_as(like, memory, c) + i * g)


@compiled
def _read_back(
    like: Any, scratch: Array, H: int, mean: Any, scale: Any, gain: Array, bias: Array, gates: Array, carry_h: Array,
    r: int, d_outputs: Array, y: int, sums: Array, k: int,
) -> tuple[Any, Any]:  # fmt: skip
    """Backward of `_read`: d_o in place of o, the gradient before normalisation in `scratch`, and two sums of it."""
    one = spread_as(like, 1)
    normalised, o = _normalised(like, scratch, k, mean, scale), load_as(like, gates, k + 3 * H)
    read = tanh(normalised * load_as(like, gain, k) + load_as(like, bias, k))
    d_h = load_as(like, carry_h, r) + load_as(like, d_outputs, y)
    d_read = d_h * o * (one - read * read)
    gradient = d_read * load_as(like, gain, k)
    store(gates, k + 3 * H, d_h * read * (o * (one - o)))
    store(scratch, k, normalised)
    store(scratch, k + H, gradient)
    store(sums, 12 * H + k, load_as(like, sums, 12 * H + k) + d_read * normalised)
    store(sums, 13 * H + k, load_as(like, sums, 13 * H + k) + d_read)
    store(carry_h, r, spread_as(like, 0))
    return total(gradient), total(gradient * normalised)


@compiled
def _map_back(
    like: Any, d_gate: Any, x: Array, gain_x: Array, h: Array, gain_h: Array, q: int, H: int, gates: Array,
    d_products: Array, d: int, sums: Array, k: int,
) -> tuple[Any, Any, Any, Any]:  # fmt: skip
    """From a gate's gradient to those of both maps before their normalisation, in `gates` and `d_products`."""
    x_n, h_n = load_as(like, x, q), load_as(like, h, q)
    d_x, d_h = d_gate * load_as(like, gain_x, k), d_gate * load_as(like, gain_h, k)
    store(gates, k, d_x)
    store(d_products, d, d_h)
    store(sums, k, load_as(like, sums, k) + d_gate)
    store(sums, 4 * H + k, load_as(like, sums, 4 * H + k) + d_gate * x_n)
    store(sums, 8 * H + k, load_as(like, sums, 8 * H + k) + d_gate * h_n)
    return total(d_x), total(d_x * x_n), total(d_h), total(d_h * h_n)


@compiled
def _open_back(
    like: Any, x: Array, gain_x: Array, h: Array, gain_h: Array, q: int, H: int, memory: Array, c: int, carry_c: Array,
    r: int, gates: Array, scratch: Array, mean: Any, along: Any, scale: Any, d_products: Array, d: int, sums: Array,
    k: int,
) -> tuple[Any, Any, Any, Any]:  # fmt: skip
    """Backward of `_open` up to both normalisations, and four sums for them."""
    one = spread_as(like, 1)
    i, f, g = load_as(like, gates, k), load_as(like, gates, k + H), load_as(like, gates, k + 2 * H)
    d_o, before = load_as(like, gates, k + 3 * H), load_as(like, memory, c)
    d_c = load_as(like, scratch, k + H) - spread_as(like, mean) - load_as(like, scratch, k) * spread_as(like, along)
    d_c = load_as(like, carry_c, r) + d_c * spread_as(like, scale)
    store(carry_c, r, d_c * f)
    d_i, d_f, d_g = d_c * g * (i * (one - i)), d_c * before * (f * (one - f)), d_c * i * (one - g * g)
    a0, a1, a2, a3 = _map_back(like, d_i, x, gain_x, h, gain_h, q, H, gates, d_products, d, sums, k)
    b0, b1, b2, b3 = _map_back(
        like, d_f, x, gain_x, h, gain_h, q + H, H, gates, d_products, d + H, sums, k + H
    )  # fmt: skip
    c0, c1, c2, c3 = _map_back(
        like, d_g, x, gain_x, h, gain_h, q + 2 * H, H, gates, d_products, d + 2 * H, sums, k + 2 * H
    )
    d0, d1, d2, d3 = _map_back(
        like, d_o, x, gain_x, h, gain_h, q + 3 * H, H, gates, d_products, d + 3 * H, sums, k + 3 * H
    )
    return a0 + b0 + c0 + d0, a1 + b1 + c1 + d1, a2 + b2 + c2 + d2, a3 + b3 + c3 + d3


@compiled
def _normalise_back(
    like: Any, gradient: Array, g: int, normalised: Array, n: int, mean: Any, along: Any, scale: Any, out: Array, o: int
) -> None:
    """Backward of a normalisation."""
    centred = load_as(like, gradient, g) - spread_as(like, mean)
    store(out, o, (centred - load_as(like, normalised, n) * spread_as(like, along)) * spread_as(like, scale))


@compiled
def step(t: int, tape: LayerNormLSTMTape) -> None:
    T, B, H = tape.outputs.shape
    lengths, varied = tape.window.lengths, tape.window.ragged or tape.window.has_resets
    x, h, gain_x, gain_h, bias = tape.from_inputs, tape.products, tape.gain_inputs, tape.gain_hidden, tape.bias
    gates, scales, gain_c, bias_c = tape.gates, tape.scales, tape.gain_memory, tape.bias_memory
    memory, outputs = tape.memory.before, tape.outputs
    wide = STRIP_BYTES // outputs.itemsize
    for b in range(B):
        if varied and t >= lengths[b]:
            fill(outputs[t, b], 0)
            skip(t, b, tape.hidden)
            skip(t, b, tape.memory)
            continue
        c, k = (t * B + b) * H, 0
        q, after = 4 * c, c + B * H
        (mx, sx), (mh, sh) = moments(x, q, 4 * H), moments(h, q, 4 * H)
        scales[t, 0, b], scales[t, 1, b] = sx, sh
        while H - k >= wide:
            _open(
                strip(outputs), x, mx, sx, gain_x, h, mh, sh, gain_h, bias, q + k, H, memory, c + k, after + k, gates, k
            )
            k += wide
        while H - k >= NARROW:
            _open(
                narrow(outputs),
                x,
                mx,
                sx,
                gain_x,
                h,
                mh,
                sh,
                gain_h,
                bias,
                q + k,
                H,
                memory,
                c + k,
                after + k,
                gates,
                k,
            )
            k += NARROW
        while k < H:
            _open(
                outputs.dtype.type(0), x, mx, sx, gain_x, h, mh, sh, gain_h, bias, q + k, H, memory, c + k, after + k,
                gates, k,
            )  # fmt: skip
            k += 1
        (mean, scale), k = moments(memory, after, H), 0
        while H - k >= wide:
            _read(strip(outputs), memory, after + k, mean, scale, gain_c, bias_c, gates, outputs, c + k, k)
            k += wide
        while H - k >= NARROW:
            _read(narrow(outputs), memory, after + k, mean, scale, gain_c, bias_c, gates, outputs, c + k, k)
            k += NARROW
        while k < H:
            _read(outputs.dtype.type(0), memory, after + k, mean, scale, gain_c, bias_c, gates, outputs, c + k, k)
            k += 1
        if varied or t + 1 == T:
            carry(t, b, outputs[t, b], tape.hidden, tape.window)
            carry(t, b, memory[t + 1, b], tape.memory, tape.window)


@compiled
def step_back(t: int, tape: LayerNormLSTMGradients) -> None:
    T, B, H = tape.d_outputs.shape
    lengths, varied = tape.window.lengths, tape.window.ragged or tape.window.has_resets
    x, h, gain_x, gain_h, bias = tape.from_inputs, tape.products, tape.gain_inputs, tape.gain_hidden, tape.bias
    gates, scratch, scales = tape.gates, tape.scratch, tape.scales
    gain_c, bias_c, memory, d_outputs = tape.gain_memory, tape.bias_memory, tape.memory_before, tape.d_outputs
    carry_h, carry_c, d_x, d_products = (
        tape.hidden.grad_carry,
        tape.memory.grad_carry,
        tape.d_from_inputs,
        tape.d_products,
    )
    slot_x, slot, real, wide = t % len(d_x), t % len(d_products), x.dtype.type, STRIP_BYTES // x.itemsize
    none, H4 = real(0), 4 * H
    # rows are summed in their own dtype, steps in float64: mixing dtypes in a row's loop would halve its speed
    sums = tape.step_sums.reshape(-1)
    fill(sums, 0)
    for b in range(B):
        if varied and t >= lengths[b]:
            fill(d_x[slot_x, b], 0)
            fill(d_products[slot, b], 0)
            continue
        if varied or t + 1 == T:
            receive(t, b, tape.hidden, tape.window)
            receive(t, b, tape.memory, tape.window)
        c, r, k = (t * B + b) * H, b * H, 0
        q, d, e = 4 * c, (slot * B + b) * H4, (slot_x * B + b) * H4
        while H - k >= wide:
            _open_again(strip(x), x, gain_x, h, gain_h, bias, q + k, H, memory, c + k, gates, scratch, k)
            k += wide
        while k < H:
            _open_again(none, x, gain_x, h, gain_h, bias, q + k, H, memory, c + k, gates, scratch, k)
            k += 1
        (mean, scale), k = moments(scratch, 0, H), 0
        s0, s1 = none, none
        while H - k >= wide:
            p0, p1 = _read_back(
                strip(x), scratch, H, mean, scale, gain_c, bias_c, gates, carry_h, r + k, d_outputs, c + k, sums, k
            )
            s0, s1, k = s0 + p0, s1 + p1, k + wide
        while k < H:
            p0, p1 = _read_back(
                none, scratch, H, mean, scale, gain_c, bias_c, gates, carry_h, r + k, d_outputs, c + k, sums, k
            )
            s0, s1, k = s0 + p0, s1 + p1, k + 1
        s0, s1, k = s0 / real(H), s1 / real(H), 0
        x0, x1, h0, h1 = none, none, none, none
        while H - k >= wide:
            p0, p1, p2, p3 = _open_back(
                strip(x), x, gain_x, h, gain_h, q + k, H, memory, c + k, carry_c, r + k, gates, scratch, s0, s1, scale,
                d_products, d + k, sums, k,
            )  # fmt: skip
            x0, x1, h0, h1, k = x0 + p0, x1 + p1, h0 + p2, h1 + p3, k + wide
        while k < H:
            p0, p1, p2, p3 = _open_back(
                none, x, gain_x, h, gain_h, q + k, H, memory, c + k, carry_c, r + k, gates, scratch, s0, s1, scale,
                d_products, d + k, sums, k,
            )  # fmt: skip
            x0, x1, h0, h1, k = x0 + p0, x1 + p1, h0 + p2, h1 + p3, k + 1
        x0, x1, h0, h1, k = x0 / real(H4), x1 / real(H4), h0 / real(H4), h1 / real(H4), 0
        sx, sh = scales[t, 0, b], scales[t, 1, b]
        while H4 - k >= wide:
            _normalise_back(strip(x), gates, k, x, q + k, x0, x1, sx, d_x, e + k)
            _normalise_back(strip(x), d_products, d + k, h, q + k, h0, h1, sh, d_products, d + k)
            k += wide
        while k < H4:
            _normalise_back(none, gates, k, x, q + k, x0, x1, sx, d_x, e + k)
            _normalise_back(none, d_products, d + k, h, q + k, h0, h1, sh, d_products, d + k)
            k += 1
    add(tape.d_bias, sums[:H4])
    add(tape.d_gain_inputs, sums[H4 : 2 * H4])
    add(tape.d_gain_hidden, sums[2 * H4 : 3 * H4])
    add(tape.d_gain_memory, sums[12 * H : 13 * H])
    add(tape.d_bias_memory, sums[13 * H :])


@compiled
def sequence(tape: LayerNormLSTMTape, strips: Row, inputs: InputTape) -> None:
    T, B, H = tape.outputs.shape
    for t in range(T):
        h = t * B * H
        project(t, inputs, tape.from_inputs)
        multiply(tape.hidden.before, h, H, B, strips, H, 4 * H, tape.products, 4 * h, 4 * H, False)
        step(t, tape)


@compiled
def sequence_back(
    tape: LayerNormLSTMGradients, strips: Row, before: Array, d_weight: Matrix, inputs: InputGradients
) -> None:
    for t in range(len(tape.d_outputs) - 1, -1, -1):
        step_back(t, tape)
        hand_back(t, tape.d_products, 0, strips, before, tape.hidden.grad_carry, d_weight)
        project_back(t, tape.d_from_inputs, inputs)


STEPS = Steps(step, step_back, sequence, sequence_back, is_compiled=True)
