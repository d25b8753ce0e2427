"""From log-mel energies to mel-frequency cepstra: the discrete cosine transform."""

from __future__ import annotations

import numpy as np


def dct_matrix(mels: int, coefficients: int) -> np.ndarray:
    """Orthonormal DCT-II as a matrix [M, C] float64: cepstra = log_mel @ matrix.

        D[m, c] = sqrt(2 / M) cos(pi c (m + 1/2) / M),   with sqrt(1 / M) for c = 0

    Columns are orthonormal, so the transpose takes cepstra back to a smoothed log-mel spectrum, and white noise of
    one variance in one domain is white noise of the same variance in the other.

    Source: Davis & Mermelstein (1980).
    """
    m, c = np.arange(mels)[:, None], np.arange(coefficients)
    matrix: np.ndarray = np.sqrt(2.0 / mels) * np.cos(np.pi * c * (m + 0.5) / mels)
    matrix[:, 0] = np.sqrt(1.0 / mels)
    return matrix
