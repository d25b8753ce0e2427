"""Exponentials that vectorise: polynomials instead of calls into the C library, accurate to a few units in the last
place.

`sigmoid` and `tanh` of a float32 stay float32, so constants take the type of their argument, a number or a vector of
`seqaudio.vectors`. NaN propagates.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from seqaudio.jit import ORDERED, compiled
from seqaudio.vectors import CONTRACT, Vector, bits_of, spread_as

LOG2_E = 1.4426950408889634

# float32: ln 2 in two parts, the first with so few bits that n times it is exact
LOG2_E_32 = np.float32(LOG2_E)
LN2_HIGH_32, LN2_LOW_32 = np.float32(0.69287109375), np.float32(2.7608680994530943e-4)
ROUND_32 = np.float32(1.5 * 2**23)  # adding it leaves the nearest integer in the low bits
LIMIT_32 = np.float32(87)  # exp(87) is finite, and exp(-87) is not subnormal
ONE_32 = np.float32(1)
C2_32, C3_32, C4_32, C5_32, C6_32, C7_32 = (np.float32(1 / math.factorial(k)) for k in range(2, 8))

# float64: the same
LN2_HIGH, LN2_LOW = 0.6931471803691238, 1.9082149292705877e-10
ROUND = 1.5 * 2.0**52
LIMIT = 708.0
C2, C3, C4, C5, C6, C7, C8, C9, C10, C11, C12, C13 = (1 / math.factorial(k) for k in range(2, 14))


def expm1(x: Any) -> Any:
    """exp(x) - 1; in compiled code |x| is limited to 87 (float32) or 708 (float64).

    x = n ln 2 + r with |r| <= ln 2 / 2, so exp(x) - 1 = 2^n (exp(r) - 1) + (2^n - 1), where exp(r) - 1 is the
    Taylor series up to the power at which the remainder is below half a unit in the last place, and 2^n is built from
    its bits.
    """
    return math.expm1(x)


@overload(expm1, jit_options={"fastmath": ORDERED, "error_model": "numpy"})
def _expm1(x: Any) -> Callable[[Any], Any]:
    if isinstance(x, Vector):
        return _expm1_vector
    return _expm1_32 if x == types.float32 else _expm1_64


def _expm1_vector(x: Any) -> Any:
    return expm1_of_vector(x)


def _expm1_32(x: Any) -> Any:
    x = LIMIT_32 if x > LIMIT_32 else x
    x = -LIMIT_32 if x < -LIMIT_32 else x
    shifted = x * LOG2_E_32 + ROUND_32
    n = shifted - ROUND_32
    r = (x - n * LN2_HIGH_32) - n * LN2_LOW_32
    bits = (np.float32(shifted).view(np.int32) << 23) + (127 << 23)
    power = np.int32(bits).view(np.float32)
    p = C7_32 * r + C6_32
    p = p * r + C5_32
    p = p * r + C4_32
    p = p * r + C3_32
    p = p * r + C2_32
    p = p * r * r + r
    return p * power + (power - ONE_32)


def _expm1_64(x: Any) -> Any:
    x = LIMIT if x > LIMIT else x
    x = -LIMIT if x < -LIMIT else x
    shifted = x * LOG2_E + ROUND
    n = shifted - ROUND
    r = (x - n * LN2_HIGH) - n * LN2_LOW
    bits = (np.float64(shifted).view(np.int64) << 52) + (1023 << 52)
    power = np.int64(bits).view(np.float64)
    p = C13 * r + C12
    p = p * r + C11
    p = p * r + C10
    p = p * r + C9
    p = p * r + C8
    p = p * r + C7
    p = p * r + C6
    p = p * r + C5
    p = p * r + C4
    p = p * r + C3
    p = p * r + C2
    p = p * r * r + r
    return p * power + (power - 1.0)


_instruction: Callable[[Any], Any] = intrinsic  # annotated, since numba's own type for it is wrong


@_instruction
def expm1_of_vector(typing: Any, x: Any) -> Any:
    """The same in the same order for a vector."""
    if x.dtype == types.float32:
        limit, round_, log2_e, high, low = (float(v) for v in (LIMIT_32, ROUND_32, LOG2_E_32, LN2_HIGH_32, LN2_LOW_32))
        powers, fraction, bias = [float(c) for c in (C7_32, C6_32, C5_32, C4_32, C3_32, C2_32)], 23, 127
    else:
        limit, round_, log2_e, high, low = LIMIT, ROUND, LOG2_E, LN2_HIGH, LN2_LOW
        powers, fraction, bias = [C13, C12, C11, C10, C9, C8, C7, C6, C5, C4, C3, C2], 52, 1023

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = context.get_value_type(x)

        def same(value: Any, of: Any = kind) -> Any:
            return ir.Constant(of, [value] * x.size)

        def add(a: Any, b: Any) -> Any:
            return builder.fadd(a, b, flags=CONTRACT)

        def times(a: Any, b: Any) -> Any:
            return builder.fmul(a, b, flags=CONTRACT)

        def less(a: Any, b: Any) -> Any:
            return builder.fsub(a, b, flags=CONTRACT)

        value = arguments[0]
        value = builder.select(builder.fcmp_ordered(">", value, same(limit)), same(limit), value)
        value = builder.select(builder.fcmp_ordered("<", value, same(-limit)), same(-limit), value)
        shifted = add(times(value, same(log2_e)), same(round_))
        n = less(shifted, same(round_))
        r = less(less(value, times(n, same(high))), times(n, same(low)))
        whole, integers = bits_of(builder, kind, shifted)
        exponent = builder.add(builder.shl(whole, same(fraction, integers)), same(bias << fraction, integers))
        power = builder.bitcast(exponent, kind)
        p = same(powers[0])
        for coefficient in powers[1:]:
            p = add(times(p, r), same(coefficient))
        p = add(times(times(p, r), r), r)
        return add(times(p, power), less(power, same(1.0)))

    return x(x), generate


def _call(context: Any, builder: Any, name: str, kind: Any, arguments: Any) -> Any:
    """A call of one of LLVM's functions for a number or, by each element, for a vector."""
    dtype = kind.dtype if isinstance(kind, Vector) else kind
    suffix = f"{f'v{kind.size}' if isinstance(kind, Vector) else ''}f{dtype.bitwidth}"
    value = context.get_value_type(kind)
    function = ir.FunctionType(value, [value] * len(arguments))
    return builder.call(builder.module.declare_intrinsic(f"{name}.{suffix}", (), function), arguments)


@_instruction
def magnitude(typing: Any, x: Any) -> Any:
    """|x| of a vector or a number."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _call(context, builder, "llvm.fabs", x, arguments)

    return x(x), generate


@_instruction
def with_sign(typing: Any, size: Any, sign: Any) -> Any:
    """A vector or a number with the sign of another."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _call(context, builder, "llvm.copysign", size, arguments)

    return size(size, sign), generate


@compiled
def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x)), in the type of x."""
    one = spread_as(x, 1)
    return one / (one + one + expm1(spread_as(x, 0) - x))


@compiled
def tanh(x: Any) -> Any:
    """The hyperbolic tangent, in the type of x; accurate for small arguments too."""
    zero, two = spread_as(x, 0), spread_as(x, 2)
    e = expm1(zero - two * magnitude(x))
    return with_sign((zero - e) / (e + two), x)
