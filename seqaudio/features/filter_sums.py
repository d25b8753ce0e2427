"""Spectra summed under the filters, compiled by numba. Importing this module imports numba.

A filter sees few bins, so a matrix product would mostly multiply zeros; squares, sums and filters in one pass take
half the time.
"""

from __future__ import annotations

import numpy as np

from seqaudio.features.bands import ROWS, Bands
from seqaudio.jit import compiled_in_order


@compiled_in_order
def _sums(
    spectra: np.ndarray,
    magnitude: bool,
    first: np.ndarray,
    last: np.ndarray,
    weights: np.ndarray,
    floor: float,
    tile: np.ndarray,
    sums: np.ndarray,
) -> None:
    T, K = spectra.shape[0], spectra.shape[1] // 2
    for start in range(0, T, ROWS):
        for row in range(ROWS):
            spectrum, squares = spectra[min(start + row, T - 1)], tile[row]
            for k in range(K):
                real, imaginary = spectrum[2 * k], spectrum[2 * k + 1]
                squares[k] = real * real + imaginary * imaginary
            if magnitude:
                for k in range(K):
                    squares[k] = np.sqrt(squares[k])
        place = 0
        for m in range(len(first)):
            bins = last[m] - first[m]
            band, seen = weights[place : place + bins], tile[:, first[m] : last[m]]
            place += bins
            a = b = c = d = e = f = g = h = tile.dtype.type(0)
            for k in range(bins):
                weight = band[k]
                a += weight * seen[0, k]
                b += weight * seen[1, k]
                c += weight * seen[2, k]
                d += weight * seen[3, k]
                e += weight * seen[4, k]
                f += weight * seen[5, k]
                g += weight * seen[6, k]
                h += weight * seen[7, k]
            sums[start, m] = max(a, floor)
            sums[start + 1, m] = max(b, floor)
            sums[start + 2, m] = max(c, floor)
            sums[start + 3, m] = max(d, floor)
            sums[start + 4, m] = max(e, floor)
            sums[start + 5, m] = max(f, floor)
            sums[start + 6, m] = max(g, floor)
            sums[start + 7, m] = max(h, floor)


def filter_sums(
    spectra: np.ndarray, magnitude: bool, bands: Bands, floor: float, tile: np.ndarray, sums: np.ndarray
) -> None:
    """Write the sum of each spectrum under each filter, or the floor where it is less, into `sums`.

    Args:
        spectra: [T, 2 K], real and imaginary parts in turn.
        magnitude: sum |X| in place of |X|^2.
        bands: the filters [K, M].
        floor: of the type of the spectra.
        tile: [ROWS, K], written over.
        sums: [T', M] or wider, T' at least the next multiple of ROWS: the rows after T up to it are written over too.
    Raises:
        ValueError: `sums` is too small, which compiled code would not notice.
    """
    needed = (-(-len(spectra) // ROWS) * ROWS, len(bands.first))
    if sums.shape[0] < needed[0] or sums.shape[1] < needed[1]:
        raise ValueError(f"sums of shape {list(sums.shape)}, expected at least {list(needed)}")
    _sums(spectra, magnitude, *bands, spectra.dtype.type(floor), tile, sums)
