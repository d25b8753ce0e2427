"""A net's step as a graph of a dozen kinds of operations on arrays of fixed shapes: what the writers of files read.

Kinds of nodes, and what `options` holds:

    matmul       a [R, K] @ b [K, N]
    elementwise  unary or binary with broadcasting (`function`), of float32; comparisons give bool
    where        condition, if true, if false; broadcasting
    reduce       sum, mean or max (`function`) over the last axis, which stays, as 1
    concat       along `axis`
    slice        `start` to `end` along `axis`
    permute      axes in the order `axes`
    reshape      the same values in the same order
    pick         value `index`[i] of the flat input is value i of the result
    rows         rows of a table [V, E], the first input, by ids, the second
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np


class Cosines(NamedTuple):
    """A table [I, J] of cos(2 pi (left @ right) / points), which a file can compute instead of storing it.

    left: [I, n] and right: [n, J], integers.
    """

    points: int
    left: np.ndarray
    right: np.ndarray

    def values(self) -> np.ndarray:
        """The table, float32."""
        table: np.ndarray = self.circle()[(self.left @ self.right) % self.points]
        return table

    def circle(self) -> np.ndarray:
        """Cosines of one turn, [points] float32, of which the table consists."""
        turn: np.ndarray = np.cos(2 * np.pi * np.arange(self.points) / self.points).astype(np.float32)
        return turn

    def transposed(self) -> Cosines:
        """The table [J, I]."""
        return Cosines(self.points, self.right.T, self.left.T)


@dataclass(eq=False)
class Value:
    """An array of the graph: a constant, an input, or the result of a node."""

    shape: tuple[int, ...]
    dtype: str = "float32"  # or int64, of ids and indices, or bool
    constant: np.ndarray | None = None
    node: Node | None = None
    name: str = ""  # of an input
    exact: bool = False  # a constant of the front end, which is not rounded
    cosines: Cosines | None = None  # the same constant as a formula

    @property
    def size(self) -> int:
        """The number of its elements."""
        return int(np.prod(self.shape, dtype=np.int64))


@dataclass(eq=False)
class Node:
    """One operation."""

    kind: str
    inputs: tuple[Value, ...]
    result: Value
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False)
class Graph:
    """Inputs and results by name, and the nodes between them in the order of computation."""

    inputs: dict[str, Value]
    results: dict[str, Value]

    def nodes(self) -> list[Node]:
        """The nodes that the results need, each behind those that it needs itself."""
        found: dict[int, Node] = {}
        waiting = [(value, False) for value in reversed(self.results.values())]
        while waiting:
            value, is_ready = waiting.pop()
            node = value.node
            if node is None or id(node) in found:
                continue
            if is_ready:
                found[id(node)] = node
            else:
                waiting.append((value, True))
                waiting += [(part, False) for part in reversed(node.inputs)]
        return list(found.values())

    def constants(self) -> list[Value]:
        """The constants that the results need, each once."""
        read = (value for node in self.nodes() for value in node.inputs)
        return unique(value for value in [*read, *self.results.values()] if value.constant is not None)


def unique(values: Iterable[Value]) -> list[Value]:
    """Values without repetitions, in their order."""
    return list({id(value): value for value in values}.values())


def new_node(kind: str, inputs: Iterable[Value], shape: Iterable[int], dtype: str = "float32", **options: Any) -> Value:
    """The result of a new node."""
    value = Value(tuple(shape), dtype)
    value.node = Node(kind, tuple(inputs), value, options)
    return value


def constant(array: np.ndarray, name: str = "") -> Value:
    """A constant of float32, int64 or bool."""
    if array.dtype.kind == "f":
        array = array.astype(np.float32)
    elif array.dtype.kind in "iu":
        array = array.astype(np.int64)
    return Value(tuple(array.shape), str(array.dtype), np.ascontiguousarray(array).reshape(array.shape), name=name)


def picked(source: Value, index: np.ndarray) -> Value:
    """The values of a flat source at `index`, in its shape; as a view or slice where it is one."""
    if index.size == source.size and bool((index.ravel() == np.arange(source.size)).all()):
        return reshaped(source, index.shape)
    axis = _sliced_axis(source.shape, index)
    if axis is not None:
        number, start, end = axis
        shape = (*source.shape[:number], end - start, *source.shape[number + 1 :])
        part = new_node("slice", [source], shape, source.dtype, axis=number, start=start, end=end)
        return reshaped(part, index.shape)
    if source.node is not None and source.node.kind == "pick":
        return picked(source.node.inputs[0], source.node.options["index"].ravel()[index])
    return new_node("pick", [source], index.shape, source.dtype, index=index.astype(np.int64))


def reshaped(source: Value, shape: Iterable[int]) -> Value:
    """The same values in another shape."""
    shape = tuple(shape)
    if source.shape == shape:
        return source
    if source.node is not None and source.node.kind == "reshape":
        return reshaped(source.node.inputs[0], shape)
    return new_node("reshape", [source], shape, source.dtype)


def _sliced_axis(shape: tuple[int, ...], index: np.ndarray) -> tuple[int, int, int] | None:
    """Axis, start and end where the values at `index` are a slice along one axis, in their order."""
    flat = index.ravel()
    if not len(flat):
        return None
    first, last = np.unravel_index(flat[0], shape), np.unravel_index(flat[-1], shape)
    for axis, length in enumerate(shape):
        start, end = int(first[axis]), int(last[axis]) + 1
        if end <= start or len(flat) * length != (end - start) * int(np.prod(shape, dtype=np.int64)):
            continue
        places = np.arange(int(np.prod(shape, dtype=np.int64))).reshape(shape)
        if (places[(slice(None),) * axis + (slice(start, end),)].ravel() == flat).all():
            return axis, start, end
    return None
