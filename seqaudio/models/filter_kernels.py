"""Filters over frames, normalised by batch and rectified, compiled: forward and backward in a few passes over memory.

    z[n, t, p] = bias + sum over i, j of  weight[i, j] x[n, t + i, STRIDE p + j - KERNEL / 2]     x = 0 beyond its edges
    y = max(0, gain (z - mean) / deviation + shift)

Eight filters are computed in parallel, so their number is a multiple of eight. Sums over all positions are summed a
row at a time and then in float64. Importing this module imports numba.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from seqaudio.jit import compiled
from seqaudio.models.filter_sizes import KERNEL, STRIDE
from seqaudio.vectors import SIZE, load, spread, store

MARGIN = KERNEL // 2
AT_ONCE = 4  # positions


@compiled
def _padded(frames: Any, padded: Any) -> None:
    """Copy frames [T, M] between margins of zeros, [T, M + KERNEL - 1]."""
    T, M = frames.shape
    for t in range(T):
        for m in range(M):
            padded[t, MARGIN + m] = frames[t, m]


@compiled
def convolve(frames: Any, weight: Any, bias: Any, filtered: Any) -> None:
    """frames [N, T + KERNEL - 1, M], weight [KERNEL, KERNEL, F], bias [F] -> filtered z [N, T, P, F]."""
    N, T, P, F = filtered.shape
    padded = np.zeros((frames.shape[1], frames.shape[2] + KERNEL - 1), frames.dtype)
    for n in range(N):
        _padded(frames[n], padded)
        for t in range(T):
            row = (n * T + t) * P * F
            for f in range(0, F, SIZE):
                p = 0
                while p + AT_ONCE <= P:
                    a = load(bias, f)
                    b, c, d = a, a, a
                    for i in range(KERNEL):
                        x = padded[t + i]
                        for j in range(KERNEL):
                            w = load(weight, (i * KERNEL + j) * F + f)
                            q = STRIDE * p + j
                            a = a + spread(x[q]) * w
                            b = b + spread(x[q + STRIDE]) * w
                            c = c + spread(x[q + 2 * STRIDE]) * w
                            d = d + spread(x[q + 3 * STRIDE]) * w
                    out = row + p * F + f
                    store(filtered, out, a)
                    store(filtered, out + F, b)
                    store(filtered, out + 2 * F, c)
                    store(filtered, out + 3 * F, d)
                    p += AT_ONCE
                while p < P:
                    a = load(bias, f)
                    for i in range(KERNEL):
                        for j in range(KERNEL):
                            a = a + spread(padded[t + i, STRIDE * p + j]) * load(weight, (i * KERNEL + j) * F + f)
                    store(filtered, row + p * F + f, a)
                    p += 1


@compiled
def moments(filtered: Any, mean: Any, variance: Any) -> None:
    """The mean and the variance of each filter, [F] float64, of z [K, P, F]."""
    K, P, F = filtered.shape
    row = np.empty(F, filtered.dtype)
    mean[:] = 0.0
    for k in range(K):
        row[:] = 0
        for p in range(P):
            for f in range(F):
                row[f] += filtered[k, p, f]
        for f in range(F):
            mean[f] += row[f]
    mean /= K * P
    middle = mean.astype(filtered.dtype)
    variance[:] = 0.0
    for k in range(K):
        row[:] = 0
        for p in range(P):
            for f in range(F):
                difference = filtered[k, p, f] - middle[f]
                row[f] += difference * difference
        for f in range(F):
            variance[f] += row[f]
    variance /= K * P


@compiled
def rectify(filtered: Any, scale: Any, shift: Any, result: Any) -> None:
    """max(0, scale z + shift) of z [K, P, F], scale and shift [F]."""
    K, P, F = filtered.shape
    for k in range(K):
        for p in range(P):
            for f in range(F):
                result[k, p, f] = max(scale[f] * filtered[k, p, f] + shift[f], 0)


@compiled
def normal_gradients(filtered: Any, gradient: Any, mean: Any, inverse: Any, scale: Any, shift: Any, sums: Any) -> None:
    """sums [2, F] float64 of the gradient of y, where y > 0: alone, and times the normalised z.

    filtered: z [K, P, F], as is the gradient. inverse: 1 / deviation. scale, shift: as for `rectify`; all are [F].
    """
    K, P, F = filtered.shape
    alone, times = np.empty(F, filtered.dtype), np.empty(F, filtered.dtype)
    sums[:] = 0.0
    for k in range(K):
        alone[:] = 0
        times[:] = 0
        for p in range(P):
            for f in range(F):
                z = filtered[k, p, f]
                g = gradient[k, p, f] if scale[f] * z + shift[f] > 0 else filtered.dtype.type(0)
                alone[f] += g
                times[f] += g * (z - mean[f]) * inverse[f]
        for f in range(F):
            sums[0, f] += alone[f]
            sums[1, f] += times[f]


@compiled
def weight_gradients(
    frames: Any, filtered: Any, gradient: Any, mean: Any, inverse: Any, scale: Any, shift: Any, means: Any,
    d_weight: Any, d_bias: Any,
) -> None:  # fmt: skip
    """Gradients of weight [KERNEL, KERNEL, F] and bias [F], float64, of that of y.

    means: [2, F], the sums of `normal_gradients` over their number. frames, filtered: as for `convolve`.
    """
    N, T, P, F = filtered.shape
    padded = np.zeros((frames.shape[1], frames.shape[2] + KERNEL - 1), frames.dtype)
    d_filtered = np.empty(P * F, filtered.dtype)
    part, row = np.empty((KERNEL, KERNEL, F), filtered.dtype), np.empty(F, filtered.dtype)
    d_weight[:] = 0.0
    d_bias[:] = 0.0
    nothing = spread(filtered.dtype.type(0))
    for n in range(N):
        _padded(frames[n], padded)
        part[:] = 0
        row[:] = 0
        for t in range(T):
            for p in range(P):
                for f in range(F):
                    z = filtered[n, t, p, f]
                    g = gradient[n, t, p, f] if scale[f] * z + shift[f] > 0 else filtered.dtype.type(0)
                    d = scale[f] * (g - means[0, f] - (z - mean[f]) * inverse[f] * means[1, f])
                    d_filtered[p * F + f] = d
                    row[f] += d
            for f in range(0, F, SIZE):
                for i in range(KERNEL):
                    a, b, c, h, e = nothing, nothing, nothing, nothing, nothing
                    x = padded[t + i]
                    for p in range(P):
                        g = load(d_filtered, p * F + f)
                        q = STRIDE * p
                        a = a + spread(x[q]) * g
                        b = b + spread(x[q + 1]) * g
                        c = c + spread(x[q + 2]) * g
                        h = h + spread(x[q + 3]) * g
                        e = e + spread(x[q + 4]) * g
                    place = i * KERNEL * F + f
                    store(part, place, load(part, place) + a)
                    store(part, place + F, load(part, place + F) + b)
                    store(part, place + 2 * F, load(part, place + 2 * F) + c)
                    store(part, place + 3 * F, load(part, place + 3 * F) + h)
                    store(part, place + 4 * F, load(part, place + 4 * F) + e)
        d_weight += part
        d_bias += row
