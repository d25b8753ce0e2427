"""Decaying sums over time, compiled: one pass over the memory each way. Importing this module imports numba."""

from __future__ import annotations

from typing import Any

from seqaudio.jit import compiled


@compiled
def sums(values: Any, decay: float, before: Any, resets: Any, result: Any) -> None:
    """s_t = decay s_(t-1) + x_t of values [T, B, F], from `before` [B, F]; at a reset [T, B] s_(t-1) counts as 0.

    resets: without rows where there are none.
    """
    T, B, F = values.shape
    for t in range(T):
        for b in range(B):
            last = result[t - 1, b] if t else before[b]
            if len(resets) and resets[t, b]:
                for f in range(F):
                    result[t, b, f] = values[t, b, f]
            else:
                for f in range(F):
                    result[t, b, f] = decay * last[f] + values[t, b, f]


@compiled
def sums_back(gradient: Any, decay: float, resets: Any, d_values: Any, d_before: Any) -> None:
    """The gradients of values and `before` from that of the sums, [T, B, F]."""
    T, B, F = gradient.shape
    for t in range(T - 1, -1, -1):
        for b in range(B):
            if t + 1 == T or (len(resets) and resets[t + 1, b]):
                for f in range(F):
                    d_values[t, b, f] = gradient[t, b, f]
            else:
                for f in range(F):
                    d_values[t, b, f] = decay * d_values[t + 1, b, f] + gradient[t, b, f]
    for b in range(B):
        share = 0.0 if len(resets) and resets[0, b] else decay
        for f in range(F):
            d_before[b, f] = share * d_values[0, b, f]
