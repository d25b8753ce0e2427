"""Products of a few or many rows with a matrix in panels, compiled: a row's bits depend on that row alone, which BLAS
does not promise.

Panels are the transpose of a matrix [M, K], cut into PANEL columns each, [M / PANEL, K, PANEL], so that the sums of a
few rows stay in registers while a panel passes by once. Each sum runs over k in order, whatever the number of rows.
"""

from __future__ import annotations

from llvmlite import binding

from seqaudio.jit import compiled
from seqaudio.layers.kernels.compiled.rows import Matrix, Row
from seqaudio.vectors import WIDE, load_wide, spread_wide, store

PANEL = 2 * WIDE
# sums of six rows fill the registers of AVX-512; others have half as many, of half the size
MANY_REGISTERS = bool(binding.get_host_cpu_features().get("avx512f"))


@compiled
def _one(rows: Matrix, b: int, panels: Row, start: int, sums: Matrix, place: int) -> None:
    """Add the products of row b with the panel at `start` to the sums at `place`."""
    a0, a1 = load_wide(sums, place), load_wide(sums, place + WIDE)
    for k in range(rows.shape[1]):
        w0, w1 = load_wide(panels, start + k * PANEL), load_wide(panels, start + k * PANEL + WIDE)
        x = spread_wide(rows[b, k])
        a0, a1 = a0 + x * w0, a1 + x * w1
    store(sums, place, a0)
    store(sums, place + WIDE, a1)


@compiled
def _three(rows: Matrix, b: int, panels: Row, start: int, sums: Matrix, place: int) -> None:
    """The same for rows b to b + 2."""
    p1 = place + sums.shape[1]
    p2 = p1 + sums.shape[1]
    a0, a1 = load_wide(sums, place), load_wide(sums, place + WIDE)
    b0, b1 = load_wide(sums, p1), load_wide(sums, p1 + WIDE)
    c0, c1 = load_wide(sums, p2), load_wide(sums, p2 + WIDE)
    for k in range(rows.shape[1]):
        w0, w1 = load_wide(panels, start + k * PANEL), load_wide(panels, start + k * PANEL + WIDE)
        x, y, z = spread_wide(rows[b, k]), spread_wide(rows[b + 1, k]), spread_wide(rows[b + 2, k])
        a0, a1 = a0 + x * w0, a1 + x * w1
        b0, b1 = b0 + y * w0, b1 + y * w1
        c0, c1 = c0 + z * w0, c1 + z * w1
    store(sums, place, a0)
    store(sums, place + WIDE, a1)
    store(sums, p1, b0)
    store(sums, p1 + WIDE, b1)
    store(sums, p2, c0)
    store(sums, p2 + WIDE, c1)


@compiled
def _six(rows: Matrix, b: int, panels: Row, start: int, sums: Matrix, place: int) -> None:
    """The same for rows b to b + 5."""
    M = sums.shape[1]
    p1, p2, p3, p4, p5 = place + M, place + 2 * M, place + 3 * M, place + 4 * M, place + 5 * M
    a0, a1 = load_wide(sums, place), load_wide(sums, place + WIDE)
    b0, b1 = load_wide(sums, p1), load_wide(sums, p1 + WIDE)
    c0, c1 = load_wide(sums, p2), load_wide(sums, p2 + WIDE)
    d0, d1 = load_wide(sums, p3), load_wide(sums, p3 + WIDE)
    e0, e1 = load_wide(sums, p4), load_wide(sums, p4 + WIDE)
    f0, f1 = load_wide(sums, p5), load_wide(sums, p5 + WIDE)
    for k in range(rows.shape[1]):
        w0, w1 = load_wide(panels, start + k * PANEL), load_wide(panels, start + k * PANEL + WIDE)
        x, y, z = spread_wide(rows[b, k]), spread_wide(rows[b + 1, k]), spread_wide(rows[b + 2, k])
        a0, a1 = a0 + x * w0, a1 + x * w1
        b0, b1 = b0 + y * w0, b1 + y * w1
        c0, c1 = c0 + z * w0, c1 + z * w1
        x, y, z = spread_wide(rows[b + 3, k]), spread_wide(rows[b + 4, k]), spread_wide(rows[b + 5, k])
        d0, d1 = d0 + x * w0, d1 + x * w1
        e0, e1 = e0 + y * w0, e1 + y * w1
        f0, f1 = f0 + z * w0, f1 + z * w1
    store(sums, place, a0)
    store(sums, place + WIDE, a1)
    store(sums, p1, b0)
    store(sums, p1 + WIDE, b1)
    store(sums, p2, c0)
    store(sums, p2 + WIDE, c1)
    store(sums, p3, d0)
    store(sums, p3 + WIDE, d1)
    store(sums, p4, e0)
    store(sums, p4 + WIDE, e1)
    store(sums, p5, f0)
    store(sums, p5 + WIDE, f1)


@compiled
def add_products(rows: Matrix, panels: Row, sums: Matrix) -> None:
    """sums [B, M] += rows [B, K] times the matrix in panels; M is a multiple of PANEL. All are contiguous."""
    B, K = rows.shape
    M = sums.shape[1]
    for column in range(0, M, PANEL):
        start, b = column * K, 0
        if MANY_REGISTERS:
            while b + 6 <= B:
                _six(rows, b, panels, start, sums, b * M + column)
                b += 6
        while b + 3 <= B:
            _three(rows, b, panels, start, sums, b * M + column)
            b += 3
        while b < B:
            _one(rows, b, panels, start, sums, b * M + column)
            b += 1
