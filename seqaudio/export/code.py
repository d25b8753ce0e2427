"""A graph as statements of a language like C: memory, loops and formulas, which C and JavaScript share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from seqaudio.export.graph import Graph, Node, Value

SPARSE = 4  # a table with fewer than one value in so many that is not 0 is kept as places and values
BINARY = {
    "add": "{0} + {1}", "sub": "{0} - {1}", "mul": "{0} * {1}", "div": "{0} / {1}", "max": "({0} > {1} ? {0} : {1})",
    "min": "({0} < {1} ? {0} : {1})", "greater": "({0} > {1})", "less": "({0} < {1})", "equal": "({0} == {1})",
    "greater_equal": "({0} >= {1})", "less_equal": "({0} <= {1})", "and": "({0} * {1})",
}  # fmt: skip


class CodeWriter(ABC):
    """Collects statements for the nodes of a graph; what differs between languages is in its subclasses.

    Arrays are named by expressions that an index may follow: `input`, `state`, `output`, parts of the scratch memory
    `s`, and tables.

    Attributes:
        scratch: floats of memory that the statements need.
        products: multiply-adds in products of matrices.
    """

    integer = real = ""  # the words that begin a declaration
    unary: Mapping[str, str]  # formulas of functions of one argument, {0}

    def __init__(self) -> None:
        self.scratch = 0
        self.products = 0
        self._places: dict[int, str] = {}  # array of each value
        self._roots: dict[int, int] = {}  # of values that lie in another's memory, that one's identity
        self._held: dict[int, tuple[int, int]] = {}  # start and size in the scratch memory
        self._kept: list[Value] = []

    # --- the language ---

    @abstractmethod
    def table(self, array: np.ndarray) -> str:
        """The name of a new table: floats, or indices."""

    @abstractmethod
    def part(self, array: str, start: int, size: int) -> str:
        """The array that begins at `start` of another."""

    @abstractmethod
    def copy(self, to: str, at: str, of: str, start: str, size: int) -> str:
        """A statement that copies `size` values, from and to these indices."""

    def formula(self, function: str) -> str:
        """The formula of an elementwise function, with {0} and {1}."""
        return self.unary.get(function) or BINARY[function]

    def number(self, value: float) -> str:
        """A float as a literal."""
        return f"{float(np.float32(value)):.9g}"

    # --- memory ---

    def body(self, graph: Graph) -> str:
        """The statements of a step: from `input` and `state` to `output` and the next `state`."""
        nodes = graph.nodes()
        for name, value in graph.inputs.items():
            self._places[id(value)] = name
        last = self._last_uses(nodes, graph)
        lines: list[str] = []
        for number, node in enumerate(nodes):
            lines += self._written(node)
            for root in [root for root, end in last.items() if end == number and root in self._held]:
                del self._held[root]
        ends = {"output": "output", "stateN": "state"}
        for name, place in ends.items():
            value = graph.results[name]
            lines.append(self.copy(place, "0", self.place(value), "0", value.size))
        return "".join(f"    {line}\n" for line in lines)

    def _last_uses(self, nodes: Sequence[Node], graph: Graph) -> dict[int, int]:
        """By value that has memory of its own, the number of the last node that reads it or what lies in it."""
        last: dict[int, int] = {}
        for number, node in enumerate(nodes):
            if self._is_alias(node):
                source = node.inputs[0]
                self._roots[id(node.result)] = self._roots.get(id(source), id(source))
            for value in node.inputs:
                last[self._roots.get(id(value), id(value))] = number
            last.setdefault(id(node.result), number)
        for value in graph.results.values():
            last[self._roots.get(id(value), id(value))] = len(nodes)
        return last

    def _is_alias(self, node: Node) -> bool:
        """Whether the result lies in the memory of the input: another shape, or a part that is in one piece."""
        if node.inputs and node.inputs[0].constant is not None:
            return False
        if node.kind == "reshape":
            return True
        return node.kind == "slice" and int(np.prod(node.inputs[0].shape[: node.options["axis"]])) == 1

    def _written(self, node: Node) -> Iterator[str]:
        if self._is_alias(node):
            offset = 0
            if node.kind == "slice":
                inner = int(np.prod(node.inputs[0].shape[node.options["axis"] + 1 :], dtype=np.int64))
                offset = node.options["start"] * inner
            base = self.place(node.inputs[0])
            is_part = offset > 0 or node.result.size < node.inputs[0].size
            self._places[id(node.result)] = self.part(base, offset, node.result.size) if is_part else base
            return
        place = self._allocated(node.result)
        yield from getattr(self, f"_{node.kind}")(node, place)

    def _allocated(self, value: Value) -> str:
        """A place in the scratch memory: the first gap that is large enough."""
        start = 0
        for first, size in sorted(self._held.values()):
            if start + value.size <= first:
                break
            start = max(start, first + size)
        self._held[id(value)] = (start, value.size)
        self.scratch = max(self.scratch, start + value.size)
        self._places[id(value)] = self.part("s", start, value.size)
        return self._places[id(value)]

    def place(self, value: Value) -> str:
        """The array of a value."""
        if id(value) not in self._places:
            assert value.constant is not None
            self._places[id(value)] = self.constant(value)
            self._kept.append(value)
        return self._places[id(value)]

    def constant(self, value: Value) -> str:
        """The name of the table of a constant."""
        assert value.constant is not None
        return self.table(value.constant)

    def weights(self, node: Node) -> str:
        """The name of the table of a product's constant weights [K, N], a row for each output: [N, K]."""
        weight = node.inputs[1].constant
        assert weight is not None
        return self.table(np.ascontiguousarray(weight.T))

    # --- nodes ---

    def _matmul(self, node: Node, place: str) -> Iterator[str]:
        one, other = node.inputs
        R, K, N = one.shape[0], one.shape[1], other.shape[1]
        a, weight = self.place(one), other.constant
        rows, columns = self.loop("r", R), self.loop("n", N)
        if weight is not None and weight.size >= 1024 and SPARSE * np.count_nonzero(weight) < weight.size:
            ks, ns = np.nonzero(weight)
            self.products += R * len(ks)
            k, n, v = self.table(ks), self.table(ns), self.table(weight[ks, ns])
            yield f"{self.loop('i', R * N)} {place}[i] = {self.number(0)};"
            yield f"{rows} {self.loop('e', len(ks))}"
            yield f"    {place}[r * {N} + {n}[e]] += {a}[r * {K} + {k}[e]] * {v}[e];"
            return
        self.products += R * K * N
        b = f"{self.place(other)}[k * {N} + n]" if weight is None else f"{self.weights(node)}[n * {K} + k]"
        yield f"{rows} {columns} {{"
        yield f"    {self.real} sum = {self.number(0)};"
        yield f"    {self.loop('k', K)} sum += {a}[r * {K} + k] * {b};"
        yield f"    {place}[r * {N} + n] = sum; }}"

    def _elementwise(self, node: Node, place: str) -> Iterator[str]:
        function = node.options["function"]
        return self._mapped(node, place, self.formula(function))

    def _where(self, node: Node, place: str) -> Iterator[str]:
        return self._mapped(node, place, "({0} != 0 ? {1} : {2})")

    def _mapped(self, node: Node, place: str, formula: str) -> Iterator[str]:
        """A formula of values at the same place, with broadcasting."""
        shape = node.result.shape
        if all(value.size == node.result.size or value.size == 1 for value in node.inputs):
            parts = [
                self.number(value.constant.ravel()[0])
                if value.constant is not None and value.size == 1
                else f"{self.place(value)}[{'i' if value.size > 1 or node.result.size == 1 else '0'}]"
                for value in node.inputs
            ]
            yield f"{self.loop('i', node.result.size)} {place}[i] = {formula.format(*parts)};"
            return
        letters = [f"i{axis}" for axis in range(len(shape))]
        parts = [
            f"{self.place(value)}[{_index(letters[len(shape) - len(value.shape) :], value.shape)}]"
            for value in node.inputs
        ]
        loops = " ".join(map(self.loop, letters, shape))
        yield f"{loops} {place}[{_index(letters, shape)}] = {formula.format(*parts)};"

    def _reduce(self, node: Node, place: str) -> Iterator[str]:
        rows, width = node.inputs[0].shape
        a, function = self.place(node.inputs[0]), node.options["function"]
        value, first = f"{a}[r * {width} + i]", f"{a}[r * {width}]"
        if function == "max":
            start, more, end = first, f"if ({value} > sum) sum = {value};", "sum"
        elif (
            function == "mean"
        ):  # of equal values, as in digital silence, exactly theirs, since models divide by differences from it
            start, more, end = self.number(0), f"sum += {value} - {first};", f"{first} + sum / {self.number(width)}"
        else:
            start, more, end = self.number(0), f"sum += {value};", "sum"
        yield f"{self.loop('r', rows)} {{ {self.real} sum = {start};"
        yield f"    {self.loop('i', width)} {more}"
        yield f"    {place}[r] = {end}; }}"

    def _concat(self, node: Node, place: str) -> Iterator[str]:
        axis, shape = node.options["axis"], node.result.shape
        outer = int(np.prod(shape[:axis], dtype=np.int64))
        whole, offset = node.result.size // outer, 0
        for value in node.inputs:
            size = value.size // outer
            yield self._copied(outer, place, f"{offset}", whole, self.place(value), "0", size, size)
            offset += size

    def _slice(self, node: Node, place: str) -> Iterator[str]:
        axis, shape = node.options["axis"], node.inputs[0].shape
        outer = int(np.prod(shape[:axis], dtype=np.int64))
        inner = int(np.prod(shape[axis + 1 :], dtype=np.int64))
        size = (node.options["end"] - node.options["start"]) * inner
        start = str(node.options["start"] * inner)
        yield self._copied(outer, place, "0", size, self.place(node.inputs[0]), start, shape[axis] * inner, size)

    def _copied(self, outer: int, to: str, at: str, step: int, of: str, start: str, stride: int, size: int) -> str:
        """Copies of `size` values, `outer` times."""
        if outer == 1:
            return self.copy(to, at, of, start, size)
        return f"{self.loop('r', outer)} {self.copy(to, f'{at} + r * {step}', of, f'{start} + r * {stride}', size)}"

    def loop(self, letter: str, size: int) -> str:
        return f"for ({self.integer} {letter} = 0; {letter} < {size}; {letter}++)"

    def _permute(self, node: Node, place: str) -> Iterator[str]:
        axes, source, shape = node.options["axes"], node.inputs[0], node.result.shape
        letters = [f"i{axis}" for axis in range(len(shape))]
        there = [letters[axes.index(axis)] for axis in range(len(shape))]
        loops = " ".join(map(self.loop, letters, shape))
        yield f"{loops} {place}[{_index(letters, shape)}] = {self.place(source)}[{_index(there, source.shape)}];"

    def _reshape(self, node: Node, place: str) -> Iterator[str]:
        yield self.copy(place, "0", self.place(node.inputs[0]), "0", node.result.size)

    def _pick(self, node: Node, place: str) -> Iterator[str]:
        index = self.table(node.options["index"])
        yield f"{self.loop('i', node.result.size)} {place}[i] = {self.place(node.inputs[0])}[{index}[i]];"

    def _rows(self, node: Node, place: str) -> Iterator[str]:
        table, ids = node.inputs
        rows, width = table.shape
        yield f"{self.loop('r', ids.size)} {{"
        yield f"    {self.integer} id = {self.place(ids)}[r]; if (id < 0 || id >= {rows}) id = 0;"
        yield f"    {self.copy(place, f'r * {width}', self.place(table), f'id * {width}', width)} }}"


def _index(letters: Sequence[str], shape: Sequence[int]) -> str:
    """The place in a flat array of the element at these indices; axes of length 1 are always at 0."""
    parts, stride = [], 1
    for letter, size in reversed(list(zip(letters, shape, strict=True))):
        if size > 1:
            parts.append(letter if stride == 1 else f"{letter} * {stride}")
        stride *= size
    return " + ".join(reversed(parts)) or "0"
