"""The step of a keyword model with its features as a recorded graph, computed by NumPy: labels without torch.

A file `step.safetensors`, which `export/step_file.py` writes, holds the constants (`c0`, `c1` ..; half-precision where
that is exact), the state before the first sample (`initial`), and in its metadata JSON: the graph, see `Graph`, and the
facts of `About`. Kinds of nodes are those of `export/graph.py`, of which a step of keywords has all but `rows`.

    step = RecordedStep.read(path)
    stream = step.stream()
    logits = stream.push(samples)      # [n] float32 -> [T, C] float64, a row for each frame that is complete

What depends on the samples alone, the features, is computed for many calls at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from safetensors import SafetensorError, safe_open

from seqaudio.errors import RunError
from seqaudio.files import require_plain
from seqaudio.json_files import Range, checked, parse_json

STEP_FILE = "step.safetensors"  # of a run
AT_ONCE = 64  # calls whose features are computed at once
INPUT, STATE = 0, 1  # the first two values of a graph

Index = Annotated[int, Range(0, 1 << 20)]
Axis = Annotated[int, Range(0, 16)]


@dataclass(frozen=True)
class About:
    """What the user of a step needs to know."""

    labels: tuple[str, ...]  # of the outputs
    sample_rate: Annotated[int, Range(1, 1_000_000)]  # hertz
    hop: Annotated[int, Range(1, 1 << 20)]  # samples a call
    warm_up: Annotated[int, Range(0, 1 << 20)]  # first calls whose output does not count, since samples are missing
    samples: tuple[Index, ...]  # where the earlier samples are in the state: start, end (exclusive)
    weights: str  # SHA-256 of the weights that it was recorded from


@dataclass(frozen=True)
class Node:
    """One operation; its result is the next value. Options are those of its kind."""

    kind: Literal["matmul", "elementwise", "where", "reduce", "concat", "slice", "permute", "reshape", "pick"]
    inputs: tuple[Index, ...]  # numbers of values before it
    shape: tuple[Index, ...]
    function: str = ""
    axis: Axis = 0
    start: Index = 0
    end: Index = 0
    axes: tuple[Axis, ...] = ()
    index: Index = 0  # of pick: the constant with the places


@dataclass(frozen=True)
class Graph:
    """Values are numbered: the input, the state, the constants in their order, then the nodes."""

    input: tuple[Index, ...]  # shape
    state: tuple[Index, ...]
    constants: Index
    nodes: tuple[Node, ...]
    output: Index
    next_state: Index


def _sigmoid(x: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.tanh(x * np.float32(0.5)) * np.float32(0.5) + np.float32(0.5)
    return found


def _relu(x: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.maximum(x, np.float32(0))
    return found


UNARY: dict[str, Callable[[Any], Any]] = {
    "sigmoid": _sigmoid, "relu": _relu, "tanh": np.tanh, "exp": np.exp, "log": np.log, "sqrt": np.sqrt,
    "neg": np.negative, "abs": np.abs, "logical_not": np.logical_not,
}  # fmt: skip
BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "max": np.maximum, "min": np.minimum,
    "greater": np.greater, "less": np.less, "greater_equal": np.greater_equal, "less_equal": np.less_equal,
    "equal": np.equal, "and": np.logical_and,
}  # fmt: skip
REDUCE: dict[str, Callable[..., Any]] = {"sum": np.sum, "mean": np.mean, "max": np.max}

DAMAGED = (
    OSError, SafetensorError, ValueError, TypeError, IndexError, KeyError, AttributeError, OverflowError, MemoryError,
)  # fmt: skip
Values = list[Any]  # by their numbers; None where not computed
Operation = Callable[[Values], None]


class RecordedStep:
    """A step that was read from a file. `stream` begins a stream."""

    def __init__(self, about: About, graph: Graph, constants: Sequence[np.ndarray], initial: np.ndarray) -> None:
        self.about = about
        self.initial = initial
        self._graph = graph
        self._values: Values = [None, None, *constants, *([None] * len(graph.nodes))]
        self._shapes = [
            graph.input,
            graph.state,
            *(one.shape for one in constants),
            *(one.shape for one in graph.nodes),
        ]
        self._first = 2 + len(constants)  # number of the first node
        self._front = self._of_samples()
        used = {place for number in self._numbers(front=False) for place in self._node(number).inputs}
        self._border = sorted((used | {graph.output, graph.next_state}) & self._front - {INPUT, STATE})
        self._features = [self._operation(number, True) for number in self._numbers(front=True)]
        self._rest = [self._operation(number, False) for number in self._numbers(front=False)]
        self._alone = [self._operation(number, False) for number in range(self._first, len(self._values))]

    @classmethod
    def read(cls, path: Path) -> RecordedStep:
        """Read a file. Raises RunError where it is damaged: nothing in it is trusted."""
        try:
            require_plain(path)
            with safe_open(path, framework="np") as file:
                metadata = file.metadata() or {}
                about = checked(About, parse_json(metadata.get("about", "")))
                graph = checked(Graph, parse_json(metadata.get("graph", "")))
                constants = [_widened(file.get_tensor(f"c{number}")) for number in range(graph.constants)]
                initial = file.get_tensor("initial")
            step = cls(about, graph, constants, initial)
            with np.errstate(all="ignore"):
                step._check()
        except DAMAGED as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise RunError(f"{path}: not a readable step of a model ({reason}); install seqaudio again") from None
        return step

    def stream(self) -> StepStream:
        """A new stream."""
        return StepStream(self)

    def _check(self) -> None:
        """Raise an error of NumPy, or ValueError, where the parts do not fit each other: a call with zeros is made."""
        about, graph = self.about, self._graph
        if graph.input != (1, about.hop) or self.initial.shape != graph.state or len(about.samples) != 2:
            raise ValueError(f"an input of shape {list(graph.input)} and a state of {list(self.initial.shape)}")
        if not np.isfinite(self.initial).all():
            raise ValueError("a state with NaN or infinity")
        for count in (1, 2):
            logits, state = self.calls(np.zeros((count, about.hop), dtype=np.float32), self.initial)
            if logits.shape != (count, len(about.labels)) or state.shape != graph.state:
                raise ValueError(f"outputs {list(logits.shape)}, expected {[count, len(about.labels)]}")

    def calls(self, hops: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Some calls in turn: samples [n, H], n > 0, and a state [1, N] -> logits [n, C] and the state after."""
        values, output, following = list(self._values), self._graph.output, self._graph.next_state
        if len(hops) == 1:
            values[INPUT], values[STATE] = hops, state
            for operation in self._alone:
                operation(values)
            return values[output], values[following]
        first, last = self.about.samples
        known = np.concatenate([state[0, first:last], hops.ravel()])
        windows = (
            np.lib.stride_tricks.sliding_window_view(known, last - first) if last > first else known[:, None][:, :0]
        )
        values[INPUT], values[STATE] = hops[:, None], windows[:: self.about.hop][: len(hops), None]
        for operation in self._features:
            operation(values)
        border = [(place, values[place]) for place in self._border]
        logits = []
        for number in range(len(hops)):
            values[INPUT], values[STATE] = hops[number : number + 1], state
            for place, rows in border:
                values[place] = rows[number]
            for operation in self._rest:
                operation(values)
            logits.append(values[output])
            state = values[following]
        return np.concatenate(logits), state

    # --- the graph, taken apart ---

    def _node(self, number: int) -> Node:
        return self._graph.nodes[number - self._first]

    def _numbers(self, front: bool) -> list[int]:
        """The numbers of the nodes that depend on samples alone, or of the others."""
        return [place for place in range(self._first, len(self._values)) if (place in self._front) == front]

    def _is_constant(self, place: int) -> bool:
        return 2 <= place < self._first

    def _of_samples(self) -> set[int]:
        """The values that depend on the samples alone, of this call and of the state."""
        found = {INPUT}
        first, last = self.about.samples[0], self.about.samples[-1]
        for number in range(self._first, len(self._values)):
            node = self._node(number)
            if any(place >= number for place in node.inputs) or not node.inputs:
                raise ValueError(f"node {number} reads values behind it")
            of_state = node.kind == "slice" and node.axis == 1 and first <= node.start <= node.end <= last
            if all(
                self._is_constant(place) or place in found or (place == STATE and of_state) for place in node.inputs
            ):
                found.add(number)
        return found

    def _operation(self, number: int, many: bool) -> Operation:
        """The operation of a node. many: values have one more axis in front, the calls."""
        node, shape = self._node(number), self._graph.nodes[number - self._first].shape
        a, *others = node.inputs
        kind, lead = node.kind, int(many)

        def keep(function: Callable[[Values], Any]) -> Operation:
            def operation(values: Values) -> None:
                values[number] = function(values)

            return operation

        if kind == "elementwise":
            parts = [self._aligned(place, len(shape)) if many else None for place in node.inputs]
            if not others:
                unary = UNARY[node.function]
                return keep(lambda values: unary(values[a]))
            binary, b = BINARY[node.function], others[0]
            if not any(parts):
                return keep(lambda values: binary(values[a], values[b]))
            one, other = (part or (lambda value: value) for part in parts)
            return keep(lambda values: binary(one(values[a]), other(values[b])))
        if kind == "matmul":
            b = others[0]
            return keep(lambda values: values[a] @ values[b])
        if kind == "slice":
            offset = self.about.samples[0] if many and a == STATE else 0  # of the state the samples alone are there
            cut = (slice(None),) * (lead + node.axis) + (slice(node.start - offset, node.end - offset),)
            return keep(lambda values: values[a][cut])
        if kind == "reshape":
            if many:
                return keep(lambda values: values[a].reshape(len(values[a]), *shape))
            return keep(lambda values: values[a].reshape(shape))
        if kind == "permute":
            axes = (*range(lead), *(axis + lead for axis in node.axes))
            return keep(lambda values: values[a].transpose(axes))
        if kind == "reduce":
            function = REDUCE[node.function]
            return keep(lambda values: function(values[a], axis=-1, keepdims=True))
        if kind == "concat":
            places, axis = node.inputs, node.axis + lead
            spread = {place for place in places if many and self._is_constant(place)}
            if not spread:
                return keep(lambda values: np.concatenate([values[place] for place in places], axis=axis))
            varying = next(place for place in places if place not in spread)

            def joined(values: Values) -> np.ndarray:
                count = len(values[varying])
                parts = (
                    np.broadcast_to(values[p], (count, *self._shapes[p])) if p in spread else values[p] for p in places
                )
                found: np.ndarray = np.concatenate(list(parts), axis=axis)
                return found

            return keep(joined)
        if kind == "pick":
            index = self._values[node.index].reshape(shape)
            if many:
                return keep(lambda values: values[a].reshape(len(values[a]), -1)[:, index])
            return keep(lambda values: values[a].ravel()[index])
        b, c = others
        if many:
            aligned = [self._aligned(place, len(shape)) or (lambda value: value) for place in node.inputs]
            return keep(lambda values: np.where(*(at(values[p]) for at, p in zip(aligned, node.inputs, strict=True))))
        return keep(lambda values: np.where(values[a], values[b], values[c]))

    def _aligned(self, place: int, rank: int) -> Callable[[np.ndarray], np.ndarray] | None:
        """What gives a value with an axis of calls in front as many axes as the result has; None where it has them."""
        shape = self._shapes[place]
        if self._is_constant(place) or len(shape) == rank:
            return None
        return lambda value: value.reshape(len(value), *(1,) * (rank - len(shape)), *shape)


class StepStream:
    """A stream of samples through a recorded step."""

    def __init__(self, step: RecordedStep) -> None:
        self.step = step
        self.reset()

    def reset(self) -> None:
        """Start a new stream."""
        self._state = self.step.initial
        self._calls = 0  # up to the warm-up
        self._rest = np.zeros(0, dtype=np.float32)  # samples of a call that is not complete

    def another(self) -> StepStream:
        """A new stream of the same step; neither knows of the other."""
        return StepStream(self.step)

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Take the next samples [n] float32, n >= 0: the logits [T, C] float64 of the frames that they complete."""
        about = self.step.about
        known = np.concatenate([self._rest, np.asarray(samples, dtype=np.float32)])
        count = len(known) // about.hop
        hops, self._rest = known[: count * about.hop].reshape(count, about.hop), known[count * about.hop :].copy()
        found = [np.zeros((0, len(about.labels)))]
        for start in range(0, count, AT_ONCE):
            logits, self._state = self.step.calls(hops[start : start + AT_ONCE], self._state)
            warm = min(len(logits), max(0, about.warm_up - self._calls))
            self._calls = min(about.warm_up, self._calls + len(logits))
            found.append(logits[warm:].astype(np.float64))
        return reduce(lambda one, other: np.concatenate([one, other]), found) if len(found) > 2 else found[-1]


def _widened(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32) if array.dtype == np.float16 else array
