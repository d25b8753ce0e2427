"""Steps of a whole stack in one call, compiled: a row's bits depend on that row alone. Weights come in panels."""

from __future__ import annotations

from typing import Any

from numba import carray  # type: ignore[attr-defined]  # of a package without types

from seqaudio.jit import compiled
from seqaudio.layers.kernels.compiled.elementwise import tanh
from seqaudio.layers.kernels.compiled.panels import PANEL, add_scaled
from seqaudio.layers.kernels.compiled.rows import Matrix, Row, add, copy, sigmoid_row, tanh_row
from seqaudio.vectors import pointer_at

LSTM, GRU, AFFINE = 0, 1, 2  # kinds of a part of a stack


@compiled
def _gather(table: Matrix, ids: Any, sums: Matrix) -> None:
    """sums [N, M] = the sum of the rows ids [N, K], K > 0, of a table [V, M]."""
    for b in range(len(ids)):
        copy(sums[b], table[ids[b, 0]])
        for n in range(1, ids.shape[1]):
            add(sums[b], table[ids[b, n]])


@compiled
def _repeat(row: Row, sums: Matrix) -> None:
    """sums [B, M] = row [M] in each row."""
    for b in range(len(sums)):
        copy(sums[b], row)


@compiled
def _lstm_step(gates: Matrix, hidden: Matrix, memory: Matrix) -> None:
    """A step of an LSTM, in place, from W x + U h + b + b' [B, 4 H or more]."""
    B, H = hidden.shape
    for b in range(B):
        h, c = hidden[b], memory[b]
        i, f, g, o = gates[b, :H], gates[b, H : 2 * H], gates[b, 2 * H : 3 * H], gates[b, 3 * H : 4 * H]
        sigmoid_row(gates[b, : 2 * H])
        tanh_row(g)
        sigmoid_row(o)
        for k in range(H):
            c[k] = f[k] * c[k] + i[k] * g[k]
        for k in range(H):
            h[k] = o[k] * tanh(c[k])


@compiled
def _gru_step(gates: Matrix, products: Matrix, hidden: Matrix) -> None:
    """A step of a GRU, in place, from W x + b and U h + b' [B, 3 H or more]."""
    B, H = hidden.shape
    one = hidden.dtype.type(1)
    for b in range(B):
        h, z, n = hidden[b], gates[b, H : 2 * H], gates[b, 2 * H : 3 * H]
        add(gates[b, : 2 * H], products[b, : 2 * H])
        sigmoid_row(gates[b, : 2 * H])
        r, p = gates[b, :H], products[b, 2 * H : 3 * H]
        for k in range(H):
            n[k] += r[k] * p[k]
        tanh_row(n)
        for k in range(H):
            h[k] = (one - z[k]) * n[k] + z[k] * h[k]


@compiled
def take_steps(
    frames: Matrix,
    table: Matrix,
    ids: Any,
    plan: Any,
    weights: Row,
    vectors: Row,
    places: Any,
    scratch: Row,
    results: Matrix,
) -> None:
    """Steps of a stack, whose state changes in place.

    One function for frames and ids, with one place for each product: LLVM compiles a kernel anew wherever it is called.

    Args:
        frames: [T B, F], the rows of each step together.
        table, ids: [V, P], and [T B, K] of rows of it, whose sums are W x + b of the first layer; no ids where frames
            are given.
        plan: [layers + 1, 10] int64, a part each, the output layer last: kind; F; H; P, the width of sums, 0 where
            there is no output layer; places of its weights, biases and scales of them; for the state the same.
        weights: of all parts, in panels, of the type of the frames or int8. vectors: biases and scales of all parts.
        places: B, and the addresses of the parts of the state [B, H], the hidden state of each layer first.
        scratch: memory for (T + 1) B widest sums and T B widest outputs.
        results: [T B, P of the output layer], or the outputs [T B, H] of the last layer.
    """
    N, last, place = len(results), len(plan) - 1, 1
    H, P = 0, 0  # the widest
    for number in range(last):
        H, P = max(H, -(-plan[number, 2] // PANEL) * PANEL), max(P, plan[number, 3])
    B, room, inputs = places[0], scratch[N * (P + H) :], frames
    for number in range(len(plan)):
        part = plan[number]
        kind, height, width, bias = part[0], part[2], part[3], part[5]
        if not width:
            for n in range(N):
                copy(results[n], inputs[n])
            break
        sums = results if number == last else scratch[: N * width].reshape((N, width))
        if number == 0 and len(ids):
            _gather(table, ids, sums)
        else:
            _repeat(vectors[bias : bias + width], sums)
            add_scaled(inputs, weights, part[4], vectors, part[6], sums)
        if number == last:
            break
        outputs = scratch[N * P : N * (P + height)].reshape((N, height))
        hidden = carray(pointer_at(places[place], vectors), (B, height))
        memory = hidden
        if kind == LSTM:
            memory = carray(pointer_at(places[place + 1], vectors), (B, height))
        place += 2 if kind == LSTM else 1
        for start in range(0, N, B):
            gates = sums[start : start + B]
            products = gates
            if kind == GRU:
                products = room[: B * width].reshape((B, width))
                _repeat(vectors[part[8] : part[8] + width], products)
            add_scaled(hidden, weights, part[7], vectors, part[9], products)
            if kind == GRU:
                _gru_step(gates, products, hidden)
            else:
                _lstm_step(gates, hidden, memory)
            for b in range(B):
                copy(outputs[start + b], hidden[b])
        inputs = outputs
