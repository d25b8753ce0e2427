"""Turn log-mel energies into mel-frequency cepstra: the discrete cosine transform and the lifter."""

from __future__ import annotations

import numpy as np

from seqaudio.features.settings import FeatureSettings


def dct_matrix(mels: int, coefficients: int) -> np.ndarray:
    """Orthonormal DCT-II as a matrix [M, C] float64: cepstra = log_mel @ matrix.

        D[m, c] = sqrt(2 / M) cos(pi c (m + 1/2) / M),   with sqrt(1 / M) for c = 0

    Columns are orthonormal, so the transpose turns cepstra back into a smoothed log-mel spectrum, and white noise in
    one domain is white noise of the same variance in the other.

    Source: Davis & Mermelstein (1980).
    """
    m, c = np.arange(mels)[:, None], np.arange(coefficients)
    matrix: np.ndarray = np.sqrt(2.0 / mels) * np.cos(np.pi * c * (m + 0.5) / mels)
    matrix[:, 0] = np.sqrt(1.0 / mels)
    return matrix


def lifter_weights(coefficients: int, lifter: float) -> np.ndarray:
    """The factor of each cepstrum, [C] float64: 1 + L/2 sin(pi c / L), and 1 where L is 0.

    Higher cepstra are smaller; the lifter brings them to similar size. Source: Juang, Rabiner & Wilpon (1987), as in
    HTK.
    """
    if not lifter:
        return np.ones(coefficients)
    weights: np.ndarray = 1.0 + lifter / 2 * np.sin(np.pi * np.arange(coefficients) / lifter)
    return weights


def cepstral_matrix(settings: FeatureSettings) -> np.ndarray:
    """Matrix [M, C] float64 from log-mel energies to the liftered cepstra of the settings."""
    matrix: np.ndarray = dct_matrix(settings.mels, settings.coefficients)
    matrix *= lifter_weights(settings.coefficients, settings.lifter)
    return matrix


def smoothing_matrix(settings: FeatureSettings) -> np.ndarray:
    """Matrix [C, M] float64 from liftered cepstra back to the smoothed log-mel energies that they describe."""
    weights = lifter_weights(settings.coefficients, settings.lifter)
    inverse: np.ndarray = (dct_matrix(settings.mels, settings.coefficients) / weights).T
    return inverse
