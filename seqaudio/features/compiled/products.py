"""Multiply frames by a matrix, compiled by numba: a row's bits depend on that row alone, which BLAS does not promise.

The matrix is cut into panels of sixteen columns, which with four rows of sums stay in registers. Each sum adds its
products in the order of the matrix's rows. Importing this module imports numba.
"""

from __future__ import annotations

import numpy as np

from seqaudio.jit import compiled
from seqaudio.vectors import WIDE, load_wide, spread_wide, store


def row_products(rows: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Rows [N, M], contiguous, @ matrix [M, C] of the same type: [N, C]."""
    N, M = rows.shape
    C = matrix.shape[1]
    panels = np.zeros((-(-C // WIDE), M, WIDE), matrix.dtype)
    for panel, columns in zip(panels, range(0, C, WIDE), strict=True):
        part = matrix[:, columns : columns + WIDE]
        panel[:, : part.shape[1]] = part
    result = np.empty((N, C), rows.dtype)
    _products(rows, panels, result)
    return result


@compiled
def _products(rows: np.ndarray, panels: np.ndarray, result: np.ndarray) -> None:
    """Write rows [N, M] @ panels [P, M, 16] into `result` [N, C], C <= 16 P."""
    N, M = rows.shape
    C = result.shape[1]
    sums = np.empty((4, WIDE), rows.dtype)
    for n in range(0, N, 4):
        # at the end the last row is computed several times
        i, j, k = min(n + 1, N - 1), min(n + 2, N - 1), min(n + 3, N - 1)
        for p in range(len(panels)):
            column = load_wide(panels, p * M * WIDE)
            a, b = spread_wide(rows[n, 0]) * column, spread_wide(rows[i, 0]) * column
            c, d = spread_wide(rows[j, 0]) * column, spread_wide(rows[k, 0]) * column
            for m in range(1, M):
                column = load_wide(panels, (p * M + m) * WIDE)
                a, b = a + spread_wide(rows[n, m]) * column, b + spread_wide(rows[i, m]) * column
                c, d = c + spread_wide(rows[j, m]) * column, d + spread_wide(rows[k, m]) * column
            store(sums, 0, a)
            store(sums, WIDE, b)
            store(sums, 2 * WIDE, c)
            store(sums, 3 * WIDE, d)
            first = p * WIDE
            for row in range(min(4, N - n)):
                for column_number in range(min(WIDE, C - first)):
                    result[n + row, first + column_number] = sums[row, column_number]
