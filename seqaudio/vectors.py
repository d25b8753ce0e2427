"""Vectors of eight or sixteen numbers for kernels that numba compiles, such as eight frames computed in parallel.

    a = load(array, place)          array.flat[place : place + 8], for a C-contiguous array; load_wide: sixteen
    a + b, a - b, a * b             elementwise; a * b + c is a fused multiply-add where the processor has one
    spread(x)                       x eight times; spread_wide: sixteen times
    store(array, place, a)
    strip(array), narrow(array)     zeros for a matrix product's columns: two vectors of the processor, eight numbers
    half(array), panel(array)       zeros for sixteen and thirty-two columns
    load_as(a, array, place)        a vector, or a number, in the type of a; spread_as(a, x): x repeated to that type
    lanes(a)                        how many numbers a vector has
    number(array, place)            array.flat[place]
    total(a)                        the sum of its numbers
    store_across(array, place, step, a, b, ..., h)  the transpose: at `place` the first number of each vector, `step`
                                    further the second of each, and so on
    product_block(rows, strips)     products of a few rows with strips of a matrix, their sums in registers
    pointer_at(address, array)      a pointer to numbers like those of an array

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

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, lower_builtin, models, register_model, type_callable

SIZE, WIDE = 8, 16
STRIP_BYTES = 128 if binding.get_host_cpu_features().get("avx512f") else 64
CONTRACT = ("contract",)

_instruction: Callable[[Any], Any] = intrinsic  # annotated, since numba's own type for it is wrong
_code: Any = cgutils  # without types


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


def _loading(size: int) -> Any:
    @_instruction
    def load(typing: Any, array: Any, place: Any) -> Any:
        """Read a vector from an array at a place."""
        vector = Vector(array.dtype, size)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            pointer = _pointer(context, builder, signature, vector, *arguments)
            return builder.load(pointer, align=array.dtype.bitwidth // 8)

        return vector(array, types.intp), generate

    return load


def _spreading(size: int) -> Any:
    @_instruction
    def spread(typing: Any, number: Any) -> Any:
        """A vector that repeats one number."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return _repeated(builder, arguments[0], context.get_value_type(signature.return_type))

        return Vector(number, size)(number), generate

    return spread


load, load_wide = _loading(SIZE), _loading(WIDE)
spread, spread_wide = _spreading(SIZE), _spreading(WIDE)


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


def _zeros(size_of: Callable[[Any], int]) -> Any:
    @_instruction
    def zeros(typing: Any, array: Any) -> Any:
        """A vector of zeros for an array's type."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return ir.Constant(context.get_value_type(signature.return_type), None)

        return Vector(array.dtype, size_of(array.dtype))(array), generate

    return zeros


strip, narrow = _zeros(lambda kind: STRIP_BYTES * 8 // kind.bitwidth), _zeros(lambda kind: SIZE)
half, panel = _zeros(lambda kind: WIDE), _zeros(lambda kind: 2 * WIDE)


@_instruction
def load_as(typing: Any, like: Any, array: Any, place: Any) -> Any:
    """Read a vector or a number, as `like` is one, from an array at a place."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointers = signature.args[1:]
        data = context.make_array(pointers[0])(context, builder, arguments[1]).data
        place = builder.gep(data, [arguments[2]])
        pointer = builder.bitcast(place, context.get_value_type(like).as_pointer())
        return builder.load(pointer, align=array.dtype.bitwidth // 8)

    return like(like, array, types.intp), generate


@_instruction
def spread_as(typing: Any, like: Any, value: Any) -> Any:
    """A vector that repeats a number, or the number itself, as `like` is one."""
    number = like.dtype if isinstance(like, Vector) else like

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        one = context.cast(builder, arguments[1], signature.args[1], number)
        return _repeated(builder, one, context.get_value_type(like)) if isinstance(like, Vector) else one

    return like(like, value), generate


@_instruction
def lanes(typing: Any, like: Any) -> Any:
    """How many numbers a vector has."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return ir.Constant(context.get_value_type(types.intp), like.size)

    return types.intp(like), generate


@_instruction
def number(typing: Any, array: Any, place: Any) -> Any:
    """The number at a place of an array."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.load(builder.gep(data, [arguments[1]]), align=array.dtype.bitwidth // 8)

    return array.dtype(array, types.intp), generate


@_instruction
def total(typing: Any, vector: Any) -> Any:
    """The sum of a vector's numbers, in any order, or the number itself."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if not isinstance(vector, Vector):
            return arguments[0]
        kind = context.get_value_type(vector)
        function = ir.FunctionType(kind.element, [kind.element, kind])
        name = f"llvm.vector.reduce.fadd.v{vector.size}f{vector.dtype.bitwidth}"
        reduced = builder.module.declare_intrinsic(name, (), function)
        return builder.call(reduced, [ir.Constant(kind.element, 0.0), arguments[0]], fastmath=("reassoc",))

    return (vector.dtype if isinstance(vector, Vector) else vector)(vector), generate


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
_define(operator.iadd, "fadd")
_define(operator.sub, "fsub")
_define(operator.mul, "fmul")
_define(operator.truediv, "fdiv")


def bits_of(builder: Any, kind: Any, values: Any) -> tuple[Any, Any]:
    """Values of a vector type as integers of as many bits, and the type of those."""
    whole = ir.VectorType(ir.IntType(32 if kind.element == ir.FloatType() else 64), kind.count)
    return builder.bitcast(values, whole), whole


def product_block(rows: int, strips: int) -> Any:
    """An instruction for the products of so many rows with so many strips of a matrix, its sums in registers.

        block(like, a, a0, ai, ak, K, b, b0, bk, bj, scales, s0, out, o0, oi, adds)

        out[i, j] += sum over k of  a[i, k] * b[k, j]        or =, where `adds` is false

    A strip has as many columns j as `like` has numbers. a0, b0, o0: flat places of the first numbers; ai, ak, bk, oi:
    the distances of numbers that follow each other along i and k; bj: that of strips in b, which lie side by side in
    out. Each sum runs over k in order.
    Where b is of int8 it is widened as it is read: then a sum begins with 0, and is added at the end times the number
    of `scales` of its column, those from s0 on. Otherwise there are no scales; any array stands for them.
    """

    @_instruction
    def block(
        typing: Any, like: Any, a: Any, a0: Any, ai: Any, ak: Any, K: Any, b: Any, b0: Any, bk: Any, bj: Any,
        scales: Any, s0: Any, out: Any, o0: Any, oi: Any, adds: Any,
    ) -> Any:  # fmt: skip
        scaled = isinstance(b.dtype, types.Integer)
        size, width = out.dtype.bitwidth // 8, like.size if isinstance(like, Vector) else 1

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            def data(number: int) -> Any:
                return context.make_array(signature.args[number])(context, builder, arguments[number]).data

            def index(number: int) -> Any:
                return ir.Constant(ir.IntType(64), number)

            def pointer(data: Any, place: Any, kind: Any) -> Any:
                return builder.bitcast(builder.gep(data, [place]), kind.as_pointer())

            a0, ai, ak, K = arguments[2:6]
            b0, bk, bj = arguments[7:10]
            s0, (o0, oi, adds) = arguments[11], arguments[13:16]
            a, b, scales, out = (data(number) for number in (1, 6, 10, 12))
            kind = context.get_value_type(like)
            stored = context.get_value_type(signature.args[6].dtype)
            stored = ir.VectorType(stored, width) if isinstance(like, Vector) else stored

            places = [
                pointer(out, builder.add(o0, builder.add(builder.mul(oi, index(r)), index(width * p))), kind)
                for r in range(rows)
                for p in range(strips)
            ]
            totals = [_code.alloca_once(builder, kind) for _ in places]
            nothing = ir.Constant(kind, None if isinstance(like, Vector) else 0.0)
            for there, total in zip(places, totals, strict=True):
                start = nothing if scaled else builder.select(adds, builder.load(there, align=size), nothing)
                builder.store(start, total)
            lines = [builder.gep(a, [builder.add(a0, builder.mul(ai, index(r)))]) for r in range(rows)]
            begins = [builder.add(b0, builder.mul(bj, index(p))) for p in range(strips)]
            with _code.for_range(builder, K) as loop:
                along, down = builder.mul(loop.index, ak), builder.mul(loop.index, bk)
                seen = []
                for begin in begins:
                    vector = builder.load(pointer(b, builder.add(begin, down), stored), align=1 if scaled else size)
                    seen.append(builder.sitofp(vector, kind) if scaled else vector)
                for r, line in enumerate(lines):
                    x = builder.load(builder.gep(line, [along]))
                    x = _repeated(builder, x, kind) if isinstance(like, Vector) else x
                    for vector, total in zip(seen, totals[r * strips : (r + 1) * strips], strict=True):
                        product = builder.fmul(x, vector, flags=CONTRACT)
                        builder.store(builder.fadd(builder.load(total), product, flags=CONTRACT), total)
            for number, (there, total) in enumerate(zip(places, totals, strict=True)):
                value = builder.load(total)
                if scaled:
                    column = builder.add(s0, index(width * (number % strips)))
                    scale = builder.load(pointer(scales, column, kind), align=size)
                    before = builder.select(adds, builder.load(there, align=size), nothing)
                    value = builder.fadd(before, builder.fmul(value, scale, flags=CONTRACT), flags=CONTRACT)
                builder.store(value, there, align=size)
            return context.get_dummy_value()

        whole = types.intp
        signature = types.none(
            like, a, whole, whole, whole, whole, b, whole, whole, whole, scales, whole, out, whole, whole, types.boolean
        )
        return signature, generate

    return block


@_instruction
def pointer_at(typing: Any, address: Any, like: Any) -> Any:
    """A pointer to numbers of an array's type at an address, for `numba.carray`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    pointer: Any = types.CPointer  # without types
    return pointer(like.dtype)(types.intp, like), generate


def _repeated(builder: Any, number: Any, kind: Any) -> Any:
    """A vector that repeats one number."""
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), number, ir.Constant(ir.IntType(32), 0))
    same = ir.Constant(ir.VectorType(ir.IntType(32), kind.count), [0] * kind.count)
    return builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), same)
