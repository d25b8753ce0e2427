"""Arrays for the page: as many columns as a screen has, values of one byte, within JSON."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

COLUMNS = 600  # of a picture, at most
DIGITS = 4  # of samples


def grid(values: np.ndarray, span: tuple[float, float], *, peak: bool = False) -> dict[str, Any]:
    """Values [T, R] over time as a picture of R rows, from the bottom up: value = low + byte / 255 (high - low).

    span: the seconds at which the first column begins and the last one ends.
    peak: a column is the greatest of the frames that it stands for, otherwise their mean.
    """
    fewer = thinned(values, np.maximum if peak else None)
    low, high = (float(fewer.min()), float(fewer.max())) if fewer.size else (0.0, 0.0)
    scaled = np.rint((fewer - low) * (255 / (high - low) if high > low else 0.0)).astype(np.uint8)
    return {
        "columns": len(fewer),
        "rows": values.shape[1],
        "low": round(low, 4),
        "high": round(high, 4),
        "start": round(span[0], 4),
        "end": round(span[1], 4),
        "values": base64.b64encode(scaled.tobytes()).decode(),
    }


def thinned(values: np.ndarray, pick: np.ufunc | None = None) -> np.ndarray:
    """Frames [T, R] as at most COLUMNS rows, each of which stands for equally many: their mean, or by `pick`."""
    if len(values) <= COLUMNS:
        return values
    edges = np.linspace(0, len(values), COLUMNS + 1).astype(np.int64)[:-1]
    if pick is not None:
        found: np.ndarray = pick.reduceat(values, edges, axis=0)
        return found
    counts = np.diff(np.append(edges, len(values)))
    return np.asarray(np.add.reduceat(values, edges, axis=0, dtype=np.float64) / counts[:, None])


def wave(samples: np.ndarray) -> dict[str, list[float]]:
    """The least and the greatest sample of each column of a waveform [N]."""
    if not len(samples):
        return {"low": [], "high": []}
    columns = samples[:, None]
    low, high = (thinned(columns, pick)[:, 0] for pick in (np.minimum, np.maximum))
    return {name: [round(float(value), DIGITS) for value in part] for name, part in (("low", low), ("high", high))}
