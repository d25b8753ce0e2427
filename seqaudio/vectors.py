"""Vectors of eight or sixteen numbers for kernels that numba compiles, such as eight frames computed in parallel.

    a = load(array, place)          array.flat[place : place + 8], for a C-contiguous array; load_wide: sixteen
    load_as(array, place, a)        as many as `a` has, for code of both sizes; spread_as(x, a), and lanes(a), how many
    a + b, a - b, a * b             elementwise; a * b + c is a fused multiply-add where the processor has one
    spread(x)                       x eight times; spread_wide: sixteen times
    store(array, place, a)
    store_across(array, place, step, a, b, ..., h)    the transpose: at `place` the first number of each vector, the
                                    second of each `step` further, and so on

LLVM maps them to vectors of the processor's own width: eight are one of AVX-512 for float64, one of AVX for float32,
two or four of NEON or SSE. Its automatic vectorisation fails on a Fourier transform, since it cannot prove that reads
and writes do not overlap, and does not keep the sums of a matrix product in registers. Elements never mix, so a frame
does not depend on the frames beside it. Places are not checked against the size of the array.

Importing this module imports numba.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, lower_builtin, models, register_model, type_callable

SIZE, WIDE = 8, 16
CONTRACT = ("contract",)

_instruction: Callable[[Any], Any] = intrinsic  # annotated, since numba's own type for it is wrong


class Vector(types.Type):
    """The type of a vector of so many numbers of float32 or float64."""

    def __init__(self, dtype: types.Float, size: int) -> None:
        super().__init__(name=f"Vector({dtype}, {size})")
        self.dtype, self.size = dtype, size


@register_model(Vector)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Vector) -> None:
        number = manager.lookup(kind.dtype).get_value_type()
        super().__init__(manager, kind, ir.VectorType(number, kind.size))  # type: ignore[no-untyped-call]


def _pointer(context: Any, builder: Any, signature: Any, vector: Any, array: Any, place: Any) -> Any:
    """A pointer to the vector of a type that begins at a place of an array."""
    data = context.make_array(signature.args[0])(context, builder, array).data
    return builder.bitcast(builder.gep(data, [place]), context.get_value_type(vector).as_pointer())


def _read(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Code that reads a vector of the signature's result from an array at a place."""
    pointer = _pointer(context, builder, signature, signature.return_type, *arguments[:2])
    return builder.load(pointer, align=signature.args[0].dtype.bitwidth // 8)


def _repeat(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Code for a vector of the signature's result that repeats one number."""
    kind = context.get_value_type(signature.return_type)
    first = ir.Constant(ir.IntType(32), 0)
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), arguments[0], first)
    same = ir.Constant(ir.VectorType(ir.IntType(32), signature.return_type.size), [0] * signature.return_type.size)
    return builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), same)


def _loading(size: int) -> Any:
    @_instruction
    def load(typing: Any, array: Any, place: Any) -> Any:
        """Read a vector from an array at a place."""
        return Vector(array.dtype, size)(array, types.intp), _read

    return load


def _spreading(size: int) -> Any:
    @_instruction
    def spread(typing: Any, number: Any) -> Any:
        """A vector that repeats one number."""
        return Vector(number, size)(number), _repeat

    return spread


load, load_wide = _loading(SIZE), _loading(WIDE)
spread, spread_wide = _spreading(SIZE), _spreading(WIDE)


@_instruction
def load_as(typing: Any, array: Any, place: Any, like: Any) -> Any:
    """Read a vector of as many numbers as another has."""
    return like(array, types.intp, like), _read


@_instruction
def spread_as(typing: Any, number: Any, like: Any) -> Any:
    """A vector of as many numbers as another has, all the same."""
    return like(number, like), _repeat


@_instruction
def lanes(typing: Any, like: Any) -> Any:
    """How many numbers a vector has."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return ir.Constant(context.get_value_type(types.intp), like.size)

    return types.intp(like), generate


@_instruction
def store(typing: Any, array: Any, place: Any, vector: Any) -> Any:
    """Write a vector to an array at a place."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _pointer(context, builder, signature, vector, *arguments[:2])
        builder.store(arguments[2], pointer, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.none(array, types.intp, vector), generate


@_instruction
def store_across(
    typing: Any, array: Any, place: Any, step: Any, a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any, h: Any
) -> Any:
    """Write eight vectors transposed: the first number of each, `step` further the second of each, and so on."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def woven(first: Any, second: Any, part: int, run: int) -> Any:
            """Alternate runs of two vectors: of the first half of each 2 * run numbers (part 0), or the second (1)."""
            places: list[int] = []
            for start in range(part * run, SIZE, 2 * run):
                places += [*range(start, start + run), *range(SIZE + start, SIZE + start + run)]
            return builder.shuffle_vector(first, second, ir.Constant(ir.VectorType(ir.IntType(32), SIZE), places))

        rows = list(arguments[3:])
        for run in (4, 2, 1):
            for k in range(SIZE):
                if not k & run:
                    first, second = rows[k], rows[k + run]
                    rows[k], rows[k + run] = woven(first, second, 0, run), woven(first, second, 1, run)
        for k, row in enumerate(rows):
            there = builder.add(arguments[1], builder.mul(arguments[2], ir.Constant(arguments[2].type, k)))
            pointer = _pointer(context, builder, signature, a, arguments[0], there)
            builder.store(row, pointer, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.none(array, types.intp, types.intp, *(a,) * SIZE), generate


def _define(operation: Callable[..., Any], instruction: str) -> None:
    """Make a Python operator an elementwise LLVM instruction, for two vectors of one type."""

    @type_callable(operation)
    def typed(context: Any) -> Any:
        def typer(a: Any, b: Any) -> Any:
            return a if isinstance(a, Vector) and a == b else None

        return typer

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return getattr(builder, instruction)(*arguments, flags=CONTRACT)

    lower: Any = lower_builtin
    lower(operation, Vector, Vector)(generate)


_define(operator.add, "fadd")
_define(operator.sub, "fsub")
_define(operator.mul, "fmul")
