"""The linear recurrence h_t = a_t * h_(t-1) + b_t, compiled: one pass over the memory each way."""

from __future__ import annotations

from seqaudio.jit import compiled
from seqaudio.layers.kernels.compiled.rows import Matrix, Row


@compiled
def one_step(h: Row, a: Row, before: Row, b: Row) -> None:
    for k in range(len(h)):
        h[k] = a[k] * before[k] + b[k]


@compiled
def one_step_back(d_a: Row, d_b: Row, grad_carry: Row, a: Row, before: Row, d_h: Row) -> None:
    """From d_h and grad_carry, the gradient of h from the next step, to d_a, d_b and the next grad_carry."""
    for k in range(len(d_b)):
        d_b[k] = d_h[k] + grad_carry[k]
    for k in range(len(d_b)):
        d_a[k] = d_b[k] * before[k]
    for k in range(len(d_b)):
        grad_carry[k] = d_b[k] * a[k]


@compiled
def scan(a: Matrix, b: Matrix, initial: Row, hidden: Matrix) -> None:
    """Fill hidden [T, N] from a and b [T, N] and the initial state [N]."""
    one_step(hidden[0], a[0], initial, b[0])
    for t in range(1, len(a)):
        one_step(hidden[t], a[t], hidden[t - 1], b[t])


@compiled
def scan_back(
    a: Matrix, hidden: Matrix, d_hidden: Matrix, d_a: Matrix, d_b: Matrix, initial: Row, grad_carry: Row
) -> None:
    """Fill d_a and d_b [T, N], and `grad_carry` [N] with the gradient of the initial state."""
    for k in range(len(grad_carry)):
        grad_carry[k] = 0
    for t in range(len(a) - 1, 0, -1):
        one_step_back(d_a[t], d_b[t], grad_carry, a[t], hidden[t - 1], d_hidden[t])
    one_step_back(d_a[0], d_b[0], grad_carry, a[0], initial, d_hidden[0])
