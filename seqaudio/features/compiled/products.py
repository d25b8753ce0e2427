"""Multiply frames by a matrix, compiled by numba: a row's bits depend on that row alone, which BLAS does not promise.

Importing this module imports numba.
"""

from __future__ import annotations

import numpy as np

from seqaudio.jit import compiled


@compiled
def row_products(rows: np.ndarray, matrix: np.ndarray, result: np.ndarray) -> None:
    """Write rows [N, M] @ matrix [M, C] into `result` [N, C], all of one type and contiguous."""
    N, M = rows.shape
    C = matrix.shape[1]
    for n in range(N):
        for c in range(C):
            result[n, c] = rows[n, 0] * matrix[0, c]
        for m in range(1, M):
            for c in range(C):
                result[n, c] += rows[n, m] * matrix[m, c]
