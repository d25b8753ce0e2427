"""Mel filters, and mel-frequency cepstra from log-mel energies: discrete cosine transform and lifter."""

from __future__ import annotations

import numpy as np

from seqaudio.errors import OptionError
from seqaudio.features.settings import FeatureSettings, Scale

# Slaney's scale is linear up to 1 kHz = 15 mel and logarithmic above, 27 mel for a factor of 6.4
_LINEAR_HERTZ, _LINEAR_MELS = 1000.0, 15.0
_MELS_PER_NEPER = 27.0 / np.log(6.4)


def hertz_to_mel(hertz: np.ndarray | float, scale: Scale) -> np.ndarray:
    """Mel of frequencies, elementwise.

    htk      2595 log10(1 + f / 700)                                O'Shaughnessy (1987)
    slaney   3 f / 200 below 1 kHz, 15 + 27 log(f / 1000) / log 6.4 above    Slaney (1998)
    """
    hertz = np.asarray(hertz, dtype=np.float64)
    if scale == "htk":
        return np.asarray(2595.0 * np.log10(1.0 + hertz / 700.0))
    logarithmic = _LINEAR_MELS + _MELS_PER_NEPER * np.log(np.maximum(hertz, _LINEAR_HERTZ) / _LINEAR_HERTZ)
    return np.where(hertz < _LINEAR_HERTZ, hertz * _LINEAR_MELS / _LINEAR_HERTZ, logarithmic)


def mel_to_hertz(mels: np.ndarray | float, scale: Scale) -> np.ndarray:
    """The inverse of `hertz_to_mel`."""
    mels = np.asarray(mels, dtype=np.float64)
    if scale == "htk":
        return np.asarray(700.0 * (10.0 ** (mels / 2595.0) - 1.0))
    exponential = _LINEAR_HERTZ * np.exp((np.maximum(mels, _LINEAR_MELS) - _LINEAR_MELS) / _MELS_PER_NEPER)
    return np.where(mels < _LINEAR_MELS, mels * _LINEAR_HERTZ / _LINEAR_MELS, exponential)


def mel_edges(settings: FeatureSettings) -> np.ndarray:
    """Edges of the filters [M + 2] in hertz: filter m rises from edge m to its peak at edge m + 1, falls to m + 2."""
    low, high = hertz_to_mel(settings.low, settings.scale), hertz_to_mel(settings.top, settings.scale)
    return mel_to_hertz(np.linspace(low, high, settings.mels + 2), settings.scale)


def mel_filters(settings: FeatureSettings) -> np.ndarray:
    """Filters [K, M] float64 over the K = fft_size // 2 + 1 bins of a spectrum.

    Each is a triangle, in hertz or in mel, with peak 1; with `equal_area` it is divided by half its width in hertz.

    Raises:
        OptionError: a filter lies between two bins, so that it is 0 at all of them, unless the settings allow that.
    """
    bins = np.arange(settings.fft_size // 2 + 1) * (settings.sample_rate / settings.fft_size)  # [K] hertz
    edges = mel_edges(settings)
    peaks, widths = edges[1:-1], edges[2:] - edges[:-2]  # [M] hertz
    if settings.triangles == "mel":
        bins, edges = hertz_to_mel(bins, settings.scale), hertz_to_mel(edges, settings.scale)
    lower, centre, upper = edges[:-2], edges[1:-1], edges[2:]  # [M] each
    rising = (bins[:, None] - lower) / (centre - lower)
    falling = (upper - bins[:, None]) / (upper - centre)
    filters: np.ndarray = np.maximum(0.0, np.minimum(rising, falling))
    blind = np.flatnonzero(filters.max(axis=0) == 0.0)
    if len(blind) and not settings.blind_filters:
        raise OptionError(
            f"{len(blind)} of {settings.mels} mel filters see no bin of the {settings.fft_size}-point spectrum "
            f"(the first is around {peaks[blind[0]]:.0f} Hz); take fewer mels, a longer frame or a higher low edge"
        )
    return filters * (2.0 / widths) if settings.equal_area else filters


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
