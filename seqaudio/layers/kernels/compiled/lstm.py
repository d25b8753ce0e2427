"""Steps of the LSTM, with or without peepholes, compiled."""

from __future__ import annotations

from typing import Any

from seqaudio.jit import compiled
from seqaudio.layers.kernels.compiled.elementwise import sigmoid, tanh
from seqaudio.layers.kernels.compiled.products import NARROW, Array, hand_back, multiply, project, project_back
from seqaudio.layers.kernels.compiled.rows import Matrix, Row, add_product, carry, fill, receive, skip
from seqaudio.layers.kernels.loop import Steps
from seqaudio.layers.kernels.lstm import LSTMGradients, LSTMTape
from seqaudio.layers.kernels.states import InputGradients, InputTape
from seqaudio.vectors import STRIP_BYTES, load_as, narrow, spread_as, store, strip


@compiled
def remember(c_next: Row, i: Row, f: Row, g: Row, c: Row) -> None:
    """c' = f * c + i * g"""
    for k in range(len(c)):
        c_next[k] = f[k] * c[k] + i[k] * g[k]


@compiled
def _open(
    like: Any, gates: Array, q: int, H: int, memory: Array, c: int, next_c: int, outputs: Array,
    peephole: Array | None, p: int,
) -> None:  # fmt: skip
    """Gates, memory and output of as many units as `like` has numbers, from the gates' sums."""
    before = load_as(like, memory, c)
    i, f, o = load_as(like, gates, q), load_as(like, gates, q + H), load_as(like, gates, q + 3 * H)
    if peephole is not None:  # compiled apart from a plain LSTM
        i += load_as(like, peephole, p) * before
        f += load_as(like, peephole, p + H) * before
    i, f, g = sigmoid(i), sigmoid(f), tanh(load_as(like, gates, q + 2 * H))
    after = f * before + i * g
    if peephole is not None:
        o += load_as(like, peephole, p + 2 * H) * after
    o = sigmoid(o)
    store(gates, q, i)
    store(gates, q + H, f)
    store(gates, q + 2 * H, g)
    store(gates, q + 3 * H, o)
    store(memory, next_c, after)
    store(outputs, c, o * tanh(after))


@compiled
def _open_back(
    like: Any, gates: Array, q: int, d_gates: Array, d: int, H: int, memory: Array, d_outputs: Array, c: int,
    carry_h: Array, carry_c: Array, r: int, peephole: Array | None, scratch: Array, p: int,
) -> None:  # fmt: skip
    """Backward of `_open`; the carried gradients become those of paths other than U h."""
    one = spread_as(like, 1)
    i, f = load_as(like, gates, q), load_as(like, gates, q + H)
    g, o = load_as(like, gates, q + 2 * H), load_as(like, gates, q + 3 * H)
    before = load_as(like, memory, c)
    after = f * before + i * g
    read = tanh(after)
    d_h = load_as(like, carry_h, r) + load_as(like, d_outputs, c)
    d_o = d_h * read * (o * (one - o))
    d_c = load_as(like, carry_c, r) + d_h * o * (one - read * read)
    if peephole is not None:
        d_c += load_as(like, peephole, p + 2 * H) * d_o
    d_i, d_f, d_g = d_c * g * (i * (one - i)), d_c * before * (f * (one - f)), d_c * i * (one - g * g)
    d_c = d_c * f
    if peephole is not None:
        d_c += load_as(like, peephole, p) * d_i + load_as(like, peephole, p + H) * d_f
        store(scratch, p, after)
    store(d_gates, d, d_i)
    store(d_gates, d + H, d_f)
    store(d_gates, d + 2 * H, d_g)
    store(d_gates, d + 3 * H, d_o)
    store(carry_c, r, d_c)
    store(carry_h, r, spread_as(like, 0))


@compiled
def _add_to_peepholes(sums: Array | None, d_gates: Row, memory: Array, t: int, b: int, after: Row) -> None:
    """Add to the gradients [3, H] of the peepholes those of a row's step."""
    if sums is not None:
        H = len(after)
        add_product(sums[0], d_gates[:H], memory[t, b])
        add_product(sums[1], d_gates[H : 2 * H], memory[t, b])
        add_product(sums[2], d_gates[3 * H :], after)


@compiled
def step(t: int, tape: LSTMTape) -> None:
    T, B, H = tape.outputs.shape
    lengths, varied = tape.window.lengths, tape.window.ragged or tape.window.has_resets
    gates, memory, outputs, peephole = tape.gates, tape.memory.before, tape.outputs, tape.peephole
    for b in range(B):
        if varied and t >= lengths[b]:
            fill(outputs[t, b], 0)
            skip(t, b, tape.hidden)
            skip(t, b, tape.memory)
            continue
        c, k, wide = (t * B + b) * H, 0, STRIP_BYTES // gates.itemsize
        q, after = 4 * c, c + B * H
        while H - k >= wide:
            _open(strip(gates), gates, q + k, H, memory, c + k, after + k, outputs, peephole, k)
            k += wide
        while H - k >= NARROW:
            _open(narrow(gates), gates, q + k, H, memory, c + k, after + k, outputs, peephole, k)
            k += NARROW
        while k < H:
            _open(gates.dtype.type(0), gates, q + k, H, memory, c + k, after + k, outputs, peephole, k)
            k += 1
        if varied or t + 1 == T:
            carry(t, b, outputs[t, b], tape.hidden, tape.window)
            carry(t, b, memory[t + 1, b], tape.memory, tape.window)


@compiled
def step_back(t: int, tape: LSTMGradients) -> None:
    T, B, H = tape.d_outputs.shape
    lengths, varied = tape.window.lengths, tape.window.ragged or tape.window.has_resets
    gates, d_gates, memory, d_outputs = tape.gates, tape.d_gates, tape.memory_before, tape.d_outputs
    carry_h, carry_c = tape.hidden.grad_carry, tape.memory.grad_carry
    peephole, scratch, slot = tape.peephole, tape.scratch, t % len(tape.d_gates)
    for b in range(B):
        if varied and t >= lengths[b]:
            fill(d_gates[slot, b], 0)
            continue
        if varied or t + 1 == T:
            receive(t, b, tape.hidden, tape.window)
            receive(t, b, tape.memory, tape.window)
        c, r, k, wide = (t * B + b) * H, b * H, 0, STRIP_BYTES // gates.itemsize
        q, d = 4 * c, (slot * B + b) * 4 * H
        while H - k >= wide:
            _open_back(
                strip(gates), gates, q + k, d_gates, d + k, H, memory, d_outputs, c + k, carry_h, carry_c, r + k,
                peephole, scratch, k,
            )  # fmt: skip
            k += wide
        while H - k >= NARROW:
            _open_back(
                narrow(gates), gates, q + k, d_gates, d + k, H, memory, d_outputs, c + k, carry_h, carry_c, r + k,
                peephole, scratch, k,
            )  # fmt: skip
            k += NARROW
        while k < H:
            _open_back(
                gates.dtype.type(0), gates, q + k, d_gates, d + k, H, memory, d_outputs, c + k, carry_h, carry_c, r + k,
                peephole, scratch, k,
            )  # fmt: skip
            k += 1
        _add_to_peepholes(tape.d_peephole, d_gates[slot, b], memory, t, b, scratch)


@compiled
def sequence(tape: LSTMTape, strips: Row, inputs: InputTape) -> None:
    T, B, H = tape.outputs.shape
    for t in range(T):
        project(t, inputs, tape.gates)
        multiply(tape.hidden.before, t * B * H, H, B, strips, H, 4 * H, tape.gates, t * B * 4 * H, 4 * H, True)
        step(t, tape)


@compiled
def sequence_back(tape: LSTMGradients, strips: Row, before: Array, d_weight: Matrix, inputs: InputGradients) -> None:
    for t in range(len(tape.d_outputs) - 1, -1, -1):
        step_back(t, tape)
        hand_back(t, tape.d_gates, 0, strips, before, tape.hidden.grad_carry, d_weight)
        project_back(t, tape.d_gates, inputs)


STEPS = Steps(step, step_back, sequence, sequence_back, is_compiled=True)
