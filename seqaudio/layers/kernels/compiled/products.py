"""Matrix products inside the loop over time, compiled: the sums of a few rows and columns stay in registers.

    out[i, j] += sum over k of  a[i, k] * b[k, j]        or =, where `adds` is false

Columns j are taken in strips of two of the processor's vectors, rows i six or four at a time; see
`seqaudio.vectors.product_block` for the places and distances by which a matrix is given.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from seqaudio.jit import compiled
from seqaudio.layers.kernels.states import InputGradients, InputTape
from seqaudio.vectors import STRIP_BYTES, load_as, narrow, number, product_block, store, strip

Array: TypeAlias = npt.NDArray[Any]
ROWS_AT_ONCE = 32  # at least, of sums over frames, while they are still in the cache
NARROW = 8  # columns of what is left after whole strips


@compiled
def _pack(matrix: Array, K: int, M: int, along: int, across: int, strips: Array) -> None:
    """`strips` of a matrix [K, M] whose numbers lie `along` apart along K and `across` apart along M."""
    j = 0
    for width in (STRIP_BYTES // strips.itemsize, NARROW, 1):
        while M - j >= width:
            for k in range(K):
                for column in range(width):
                    strips[j * K + k * width + column] = number(matrix, k * along + (j + column) * across)
            j += width


def in_strips(matrix: Array, transposed: bool = False) -> Array:
    """A matrix [K, M] as `multiply` reads it, flat: whole strips of columns [K, width], then eight, then single ones.

    A column begins at K times its number, as the columns before it have K numbers each.
    transposed: the matrix comes as [M, K].
    """
    (K, M), along, across = matrix.shape, matrix.shape[1], 1
    if transposed:
        (M, K), along, across = matrix.shape, 1, matrix.shape[1]
    strips = np.empty(matrix.size, matrix.dtype)
    _pack(matrix, K, M, along, across, strips)
    return strips


_six, _four, _one, _one_in_four = (product_block(*shape) for shape in ((6, 1), (4, 1), (1, 1), (1, 4)))


@compiled
def _strip(
    like: Any, a: Array, a0: int, ai: int, ak: int, rows: int, K: int, b: Array, b0: int, bk: int,
    out: Array, o0: int, oi: int, adds: bool,
) -> None:  # fmt: skip
    """All rows of a strip of as many columns as `like` has numbers."""
    i = 0
    while rows - i >= 6 and rows - i != 8:
        _six(like, a, a0 + i * ai, ai, ak, K, b, b0, bk, 0, b, 0, out, o0 + i * oi, oi, adds)
        i += 6
    while rows - i >= 4:
        _four(like, a, a0 + i * ai, ai, ak, K, b, b0, bk, 0, b, 0, out, o0 + i * oi, oi, adds)
        i += 4
    while i < rows:
        _one(like, a, a0 + i * ai, ai, ak, K, b, b0, bk, 0, b, 0, out, o0 + i * oi, oi, adds)
        i += 1


@compiled
def multiply(
    a: Array, a0: int, ai: int, rows: int, strips: Array, K: int, M: int, out: Array, o0: int, oi: int, adds: bool
) -> None:
    """out [rows, M] += a [rows, K] times a matrix [K, M], which comes as `in_strips` makes it."""
    wide = STRIP_BYTES // out.itemsize
    j = 0
    if rows == 1:
        while M - j >= 4 * wide:
            _one_in_four(strip(out), a, a0, ai, 1, K, strips, j * K, wide, wide * K, strips, 0, out, o0 + j, oi, adds)
            j += 4 * wide
    while M - j >= wide:
        _strip(strip(out), a, a0, ai, 1, rows, K, strips, j * K, wide, out, o0 + j, oi, adds)
        j += wide
    while M - j >= NARROW:
        _strip(narrow(out), a, a0, ai, 1, rows, K, strips, j * K, NARROW, out, o0 + j, oi, adds)
        j += NARROW
    while j < M:
        _strip(out.dtype.type(0), a, a0, ai, 1, rows, K, strips, j * K, 1, out, o0 + j, oi, adds)
        j += 1


@compiled
def add_transposed_times(
    a: Array, a0: int, ak: int, rows: int, K: int, b: Array, b0: int, bk: int, M: int, out: Array
) -> None:
    """out [rows, M] += the transpose of a [K, rows] times b [K, M]; ak and bk are the distances of their rows."""
    wide = STRIP_BYTES // out.itemsize
    j = 0
    while M - j >= wide:
        _strip(strip(out), a, a0, 1, ak, rows, K, b, b0 + j, bk, out, j, M, True)
        j += wide
    while M - j >= NARROW:
        _strip(narrow(out), a, a0, 1, ak, rows, K, b, b0 + j, bk, out, j, M, True)
        j += NARROW
    while j < M:
        _strip(out.dtype.type(0), a, a0, 1, ak, rows, K, b, b0 + j, bk, out, j, M, True)
        j += 1


@compiled
def steps_together(rows: int) -> int:
    """Steps whose frames are projected, or whose gradients are summed, at once: a power of two."""
    steps = 1
    while steps * rows < ROWS_AT_ONCE:
        steps *= 2
    return steps


@compiled
def project(t: int, inputs: InputTape, sums: Array) -> None:
    """W x + b into sums [T, B, G], for this step and those together with it; nothing where that is done already."""
    T, B, F = inputs.frames.shape
    G = sums.shape[2]
    together = steps_together(B)
    if t % together == 0:
        rows = (min(t + together, T) - t) * B
        start, bias = t * B * G, inputs.bias
        for row in range(rows):
            _start_with(strip(sums), bias, sums, start + row * G, G)
        M = len(inputs.strips) // F if F else 0
        multiply(inputs.frames, t * B * F, F, rows, inputs.strips, F, M, sums, start, G, True)


@compiled
def _start_with(like: Any, bias: Array, sums: Array, place: int, G: int) -> None:
    """Write a bias [G] to a place."""
    k, wide = 0, STRIP_BYTES // sums.itemsize
    while G - k >= wide:
        store(sums, place + k, load_as(like, bias, k))
        k += wide
    while k < G:
        store(sums, place + k, number(bias, k))
        k += 1


@compiled
def project_back(t: int, d_sums: Array, inputs: InputGradients) -> None:
    """The way back through W x + b, from step t and those together with it once all of them are there.

    d_sums: [slots, B, G]; step t is in slot t modulo slots.
    """
    T, B, F = inputs.frames.shape
    slots, _, G = d_sums.shape
    M = len(inputs.d_weight)
    together = steps_together(B)
    if t % together == 0:
        rows, at, frame = (min(t + together, T) - t) * B, t % slots * B * G, t * B * F
        add_transposed_times(d_sums, at, G, M, rows, inputs.frames, frame, F, F, inputs.d_weight)
        _add_sum_of_rows(d_sums, at, rows, G, inputs.d_bias)
        if len(inputs.d_frames):
            multiply(d_sums, at, G, rows, inputs.strips, M, F, inputs.d_frames, frame, F, False)


@compiled
def _add_column_sums(like: Any, rows: Array, place: int, N: int, G: int, sums: Array, k: int) -> None:
    column = like
    for n in range(N):
        column += load_as(like, rows, place + n * G + k)
    store(sums, k, load_as(like, sums, k) + column)


@compiled
def _add_sum_of_rows(rows: Array, place: int, N: int, G: int, sums: Array) -> None:
    """sums [G] += the sum of N rows."""
    k, wide = 0, STRIP_BYTES // sums.itemsize
    while G - k >= wide:
        _add_column_sums(strip(sums), rows, place, N, G, sums, k)
        k += wide
    while k < G:
        _add_column_sums(sums.dtype.type(0), rows, place, N, G, sums, k)
        k += 1


@compiled
def hand_back(
    t: int, products: Array, first: int, strips: Array, before: Array, grad_carry: Array, d_weight: Array
) -> None:
    """The way back through U h, from step t: adds to grad_carry [B, H] and, some steps at once, to d_weight [M, H].

    products: gradients of U h, in columns `first` to `first` + M of [slots, B, P]; step t is in slot t modulo slots.
    strips: U [M, H] as `in_strips` makes it. before: h [T + 1, B, H].
    """
    slots, B, P = products.shape
    M, H = d_weight.shape
    at = t % slots * B * P + first
    multiply(products, at, P, B, strips, M, H, grad_carry, 0, H, True)
    together = steps_together(B)
    if t % together == 0:
        last = min(t + together, len(before) - 1)
        add_transposed_times(products, at, P, M, (last - t) * B, before, t * B * H, H, H, d_weight)
