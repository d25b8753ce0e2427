"""Draw masks from a Mersenne twister, compiled. Importing this module imports numba.

Source: Matsumoto & Nishimura (1998).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from seqaudio.jit import compiled

SIZE, MIDDLE = 624, 397
UPPER, LOWER = np.uint32(0x80000000), np.uint32(0x7FFFFFFF)
TWIST = np.uint32(0x9908B0DF)
HIGH_BITS = np.uint64(0x1FFFFF)  # of the first of two numbers, above the 32 of the second


@compiled
def _mixed(a: Any, b: Any) -> Any:
    y = (a & UPPER) | (b & LOWER)
    return (y >> np.uint32(1)) ^ (TWIST if b & np.uint32(1) else np.uint32(0))


@compiled
def _twist(state: Any, tempered: Any) -> None:
    """The next SIZE numbers of the state, and as they are given out."""
    for k in range(SIZE - MIDDLE):
        state[k] = state[k + MIDDLE] ^ _mixed(state[k], state[k + 1])
    for k in range(SIZE - MIDDLE, SIZE - 1):
        state[k] = state[k + MIDDLE - SIZE] ^ _mixed(state[k], state[k + 1])
    state[SIZE - 1] = state[MIDDLE - 1] ^ _mixed(state[SIZE - 1], state[0])
    _temper(state, tempered)


@compiled
def _temper(state: Any, tempered: Any) -> None:
    for k in range(SIZE):
        y = state[k]
        y ^= y >> np.uint32(11)
        y ^= (y << np.uint32(7)) & np.uint32(0x9D2C5680)
        y ^= (y << np.uint32(15)) & np.uint32(0xEFC60000)
        tempered[k] = y ^ (y >> np.uint32(18))


@compiled
def _chosen(first: Any, second: Any, below: Any) -> bool:
    return ((np.uint64(first) & HIGH_BITS) << np.uint64(32) | np.uint64(second)) < below  # type: ignore[no-any-return]


@compiled
def draw(state: Any, place: int, below: int, value: Any, result: Any) -> int:
    """Fill `result` [N] with `value` where a number of 53 bits lies below a limit, else with 0.

    state: [SIZE] uint32, moves on. place: of its next number; SIZE where all were given out. value: [], as an array.
    Returns the place behind the last number.
    """
    tempered = np.empty(SIZE, np.uint32)
    _temper(state, tempered)
    nothing, kept, limit = result.dtype.type(0), value.item(), np.uint64(below)
    n, N = 0, len(result)
    while n < N:
        if place == SIZE:
            _twist(state, tempered)
            place = 0
        count = min((SIZE - place) // 2, N - n)
        for k in range(count):
            chosen = _chosen(tempered[place + 2 * k], tempered[place + 2 * k + 1], limit)
            result[n + k] = kept if chosen else nothing
        n += count
        place += 2 * count
        if n < N and place == SIZE - 1:  # the first of two numbers is the last before a twist
            first = tempered[place]
            _twist(state, tempered)
            result[n] = kept if _chosen(first, tempered[0], limit) else nothing
            n += 1
            place = 1
    return place
