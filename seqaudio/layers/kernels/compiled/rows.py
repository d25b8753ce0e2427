"""Loops over single rows, of which the steps are made.

Each loop touches few arrays: LLVM checks at run time that they do not overlap, and does not vectorise a loop where
that takes too many comparisons. Constants have the dtype of the rows, since a literal would widen float32.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy.typing as npt

from seqaudio.cells.layer_norm import EPSILON
from seqaudio.jit import compiled
from seqaudio.layers.kernels.compiled.elementwise import sigmoid, tanh
from seqaudio.layers.kernels.states import StateGradient, StateTape, Window

Row: TypeAlias = npt.NDArray[Any]  # [H] or [G H], contiguous
Matrix: TypeAlias = npt.NDArray[Any]


@compiled
def fill(row: Row, value: float) -> None:
    for k in range(len(row)):
        row[k] = value


@compiled
def copy(target: Row, source: Row) -> None:
    for k in range(len(target)):
        target[k] = source[k]


@compiled
def add(target: Row, source: Row) -> None:
    for k in range(len(target)):
        target[k] += source[k]


@compiled
def add_product(target: Row, a: Row, b: Row) -> None:
    for k in range(len(target)):
        target[k] += a[k] * b[k]


@compiled
def set_product(target: Row, a: Row, b: Row) -> None:
    for k in range(len(target)):
        target[k] = a[k] * b[k]


@compiled
def times(target: Row, source: Row) -> None:
    for k in range(len(target)):
        target[k] *= source[k]


@compiled
def sigmoid_row(row: Row) -> None:
    for k in range(len(row)):
        row[k] = sigmoid(row[k])


@compiled
def tanh_row(row: Row) -> None:
    for k in range(len(row)):
        row[k] = tanh(row[k])


@compiled
def times_sigmoid_slope(gradient: Row, s: Row) -> None:
    """Backward of s = sigmoid(.): gradient * s (1 - s)."""
    for k in range(len(gradient)):
        gradient[k] *= s[k] - s[k] * s[k]


@compiled
def times_tanh_slope(gradient: Row, y: Row) -> None:
    """Backward of y = tanh(.): gradient * (1 - y^2)."""
    for k in range(len(gradient)):
        gradient[k] -= gradient[k] * y[k] * y[k]


@compiled
def normalise(row: Row) -> Any:
    """Layer normalisation of one row in place; returns 1 / sqrt(variance + epsilon)."""
    real = row.dtype.type
    count = real(len(row))
    total = real(0)
    for k in range(len(row)):
        total += row[k]
    mean = total / count
    squares = real(0)
    for k in range(len(row)):
        squares += (row[k] - mean) * (row[k] - mean)
    scale = real(1) / math.sqrt(squares / count + real(EPSILON))
    for k in range(len(row)):
        row[k] = (row[k] - mean) * scale
    return scale


@compiled
def normalise_gradient(gradient: Row, normalised: Row, scale: float) -> None:
    """Backward of `normalise`, in place."""
    real = gradient.dtype.type
    count = real(len(gradient))
    total, along = real(0), real(0)
    for k in range(len(gradient)):
        total += gradient[k]
        along += gradient[k] * normalised[k]
    total /= count
    along /= count
    for k in range(len(gradient)):
        gradient[k] = (gradient[k] - total - normalised[k] * along) * scale


@compiled
def row_products(rows: Matrix, matrix: Matrix, products: Matrix) -> None:
    """products [B, M] = rows [B, N] times the transpose of matrix [M, N], which passes through the cache once."""
    for m in range(len(matrix)):
        weights = matrix[m]
        for b in range(len(rows)):
            row = rows[b]
            total = row.dtype.type(0)
            for k in range(len(row)):
                total += row[k] * weights[k]
            products[b, m] = total


# ---- states between steps


@compiled
def carry(t: int, b: int, value: Row, state: StateTape, window: Window) -> None:
    """Pass on the state of row b after step t: to step t + 1, and after the row's last frame to `final`."""
    if window.has_resets:  # otherwise the value is there already
        copy(state.before[t + 1, b], state.start[b] if window.resets[t + 1, b] else value)
    if t + 1 == window.lengths[b]:
        copy(state.final[b], value)


@compiled
def receive(t: int, b: int, gradient: StateGradient, window: Window) -> None:
    """Make `grad_carry` the gradient of the state of row b after step t, its part from later steps."""
    grad_carry = gradient.grad_carry[b]
    if window.resets[t + 1, b]:
        add(gradient.start[b], grad_carry)
        fill(grad_carry, 0)
    if t + 1 == window.lengths[b]:
        copy(grad_carry, gradient.final[b])


@compiled
def skip(t: int, b: int, state: StateTape) -> None:
    """Zero the state after a frame of padding, which is never used but has to be finite."""
    fill(state.before[t + 1, b], 0)
