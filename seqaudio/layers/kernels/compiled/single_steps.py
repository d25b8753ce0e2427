"""Single steps for many rows, compiled: a row's bits depend on that row alone. Weights come in panels."""

from __future__ import annotations

from typing import Any

from seqaudio.jit import compiled
from seqaudio.layers.kernels.compiled.elementwise import tanh
from seqaudio.layers.kernels.compiled.panels import add_products
from seqaudio.layers.kernels.compiled.rows import Matrix, Row, add, copy, sigmoid_row, tanh_row


@compiled
def gather(table: Matrix, ids: Any, sums: Matrix) -> None:
    """sums [B, M] = the sum of the rows ids [B, N], N > 0, of a table [V, M]."""
    for b in range(len(ids)):
        copy(sums[b], table[ids[b, 0]])
        for n in range(1, ids.shape[1]):
            add(sums[b], table[ids[b, n]])


@compiled
def repeat(row: Row, sums: Matrix) -> None:
    """sums [B, M] = row [M] in each row."""
    for b in range(len(sums)):
        copy(sums[b], row)


@compiled
def lstm_step(gates: Matrix, weight: Row, hidden: Matrix, memory: Matrix) -> None:
    """A step of an LSTM, in place. gates: W x + b + b' [B, 4 H or more]; weight: U in panels."""
    B, H = hidden.shape
    add_products(hidden, weight, gates)
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
def gru_step(gates: Matrix, weight: Row, products: Matrix, hidden: Matrix) -> None:
    """A step of a GRU, in place. gates: W x + b [B, 3 H or more]; products: b' in each row; weight: U in panels."""
    B, H = hidden.shape
    one = hidden.dtype.type(1)
    add_products(hidden, weight, products)
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
