"""Write a step as ONNX: `input` and `state` in, `output` and `stateN` out, all else in the metadata."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import asdict
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from seqaudio.errors import OptionError, how_to_install
from seqaudio.export.graph import Cosines, Graph, Node, Value
from seqaudio.export.quantising import is_quantised, quantised
from seqaudio.export.steps import ExportStep

if TYPE_CHECKING:
    import onnx

OPSET = 17
IR_VERSION = 8  # of onnx 1.12, the first with this opset
SPARSE = 4  # a table with fewer than one value in so many that is not 0 is kept as places and values
UNARY = {"sigmoid": "Sigmoid", "tanh": "Tanh", "relu": "Relu", "exp": "Exp", "log": "Log", "sqrt": "Sqrt", "neg": "Neg",
         "abs": "Abs", "logical_not": "Not"}  # fmt: skip
BINARY = {"add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "max": "Max", "min": "Min", "greater": "Greater",
          "less": "Less", "greater_equal": "GreaterOrEqual", "less_equal": "LessOrEqual", "equal": "Equal",
          "and": "And"}  # fmt: skip
REDUCED = {"mean": "ReduceMean", "max": "ReduceMax"}  # their axes are an attribute up to opset 17


def check_extra() -> None:
    """Raise OptionError where onnx or onnxruntime are missing."""
    if missing := [name for name in ("onnx", "onnxruntime") if find_spec(name) is None]:
        raise OptionError(f"{' and '.join(missing)} not installed; {how_to_install('export')}")


def onnx_bytes(step: ExportStep, graph: Graph, int8: bool = False) -> bytes:
    """The file of a step. int8: weights of its products in 8 bits, see `quantising.py`."""
    from onnx import checker, helper

    writer = _Writer(int8)
    for node in graph.nodes():
        writer.add(node)
    results = [writer.result(name, value) for name, value in graph.results.items()]
    inputs = [_info(name, value) for name, value in graph.inputs.items()]
    made = helper.make_graph(writer.nodes, "step", inputs, results, list(writer.tensors.values()))
    model = helper.make_model(
        made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="seqaudio"
    )
    helper.set_model_props(model, metadata(step, int8))
    checker.check_model(model)
    written: bytes = model.SerializeToString()
    return written


def metadata(step: ExportStep, int8: bool) -> dict[str, str]:
    """What a user of the file needs: text as it is, everything else as JSON."""
    about = asdict(step.about) | {"weights": "int8" if int8 else "float32"}
    about["state"] = {name: [offset, list(shape)] for name, (offset, shape) in step.layout.items()}
    about["state_size"] = step.initial.numel()
    about["initial_state"] = base64.b64encode(step.initial.numpy().astype("<f4").tobytes()).decode()
    return {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in about.items()
    }


class _Writer:
    """Collects the nodes and tensors of the file."""

    def __init__(self, int8: bool) -> None:
        self.int8 = int8
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: dict[str, onnx.TensorProto] = {}
        self._names: dict[int, str] = {}
        self._kept: list[Any] = []
        self._counted = 0
        self._known: dict[str, str] = {}  # names of tensors by their content

    def add(self, node: Node) -> None:
        """Write one node."""
        getattr(self, f"_{node.kind}")(node)

    def result(self, name: str, value: Value) -> onnx.ValueInfoProto:
        """Give a value the name of a result."""
        self._emit("Identity", [self._name(value)], output=name)
        return _info(name, value)

    def _matmul(self, node: Node) -> None:
        one, other = node.inputs
        weight = self._widened(other) if self.int8 and is_quantised(node) else self._name(other)
        self._emit("MatMul", [self._name(one), weight], node)

    def _widened(self, weight: Value) -> str:
        """Integers times scales; onnxruntime multiplies by the integers themselves, at half the time of floats."""
        if id(weight) not in self._names:
            parts = [self._tensor(part) for part in quantised(weight)]
            self._names[id(weight)] = self._emit("DequantizeLinear", parts, axis=1)
            self._kept.append(weight)
        return self._names[id(weight)]

    def _elementwise(self, node: Node) -> None:
        function = node.options["function"]
        self._emit(UNARY.get(function) or BINARY[function], map(self._name, node.inputs), node)

    def _where(self, node: Node) -> None:
        self._emit("Where", map(self._name, node.inputs), node)

    def _reduce(self, node: Node) -> None:
        function, names = node.options["function"], [self._name(node.inputs[0])]
        if function == "sum":
            self._emit("ReduceSum", [*names, self._tensor(np.array([-1]))], node, keepdims=1)
        else:
            self._emit(REDUCED[function], names, node, axes=[-1], keepdims=1)

    def _concat(self, node: Node) -> None:
        self._emit("Concat", map(self._name, node.inputs), node, axis=node.options["axis"])

    def _slice(self, node: Node) -> None:
        places = [np.array([node.options[name]]) for name in ("start", "end", "axis")]
        self._emit("Slice", [self._name(node.inputs[0]), *map(self._tensor, places)], node)

    def _permute(self, node: Node) -> None:
        self._emit("Transpose", map(self._name, node.inputs), node, perm=list(node.options["axes"]))

    def _reshape(self, node: Node) -> None:
        self._emit("Reshape", [self._name(node.inputs[0]), self._shape(node.result.shape)], node)

    def _pick(self, node: Node) -> None:
        flat = self._emit("Reshape", [self._name(node.inputs[0]), self._shape((-1,))])
        index = self._places(node.options["index"].reshape(node.result.shape))
        self._emit("Gather", [flat, index], node, axis=0)

    def _rows(self, node: Node) -> None:
        self._emit("Gather", map(self._name, node.inputs), node, axis=0)

    def _name(self, value: Value) -> str:
        """The name of a value; that of a constant is written as a tensor when it is first asked for."""
        if id(value) in self._names:
            return self._names[id(value)]
        name = value.name or self._new()
        if value.constant is not None:
            name = self._constant(value.constant) if value.cosines is None else self._computed(value.cosines)
        self._names[id(value)] = name
        self._kept.append(value)
        return name

    def _constant(self, array: np.ndarray) -> str:
        if array.ndim == 2 and array.size >= 1024 and SPARSE * np.count_nonzero(array) < array.size:
            return self._scattered(array)
        return self._tensor(array)

    def _scattered(self, array: np.ndarray) -> str:
        """A table that is mostly zero, made when the file is loaded."""
        from onnx import numpy_helper

        places = np.flatnonzero(array)
        zero = numpy_helper.from_array(np.zeros(1, dtype=np.float32))
        empty = self._emit("ConstantOfShape", [self._shape((array.size,))], value=zero)
        values = self._tensor(array.ravel()[places])
        filled = self._emit("ScatterElements", [empty, self._places(places), values], axis=0)
        return self._emit("Reshape", [filled, self._shape(array.shape)])

    def _computed(self, table: Cosines) -> str:
        """A table of cosines, looked up in those of one turn when the file is loaded."""
        angles = self._emit("MatMul", [self._tensor(part.astype(np.int32)) for part in (table.left, table.right)])
        index = self._emit("Mod", [angles, self._tensor(np.array(table.points, dtype=np.int32))])
        return self._emit("Gather", [self._tensor(table.circle()), index], axis=0)

    def _places(self, index: np.ndarray) -> str:
        """Indices in as few bytes as hold them, widened when the file is loaded."""
        from onnx import TensorProto

        narrow = index.astype(np.min_scalar_type(int(index.max(initial=0))))
        if index.size < 64 or narrow.itemsize >= 4:
            return self._tensor(index.astype(np.int32))
        return self._emit("Cast", [self._tensor(narrow)], to=TensorProto.INT32)

    def _shape(self, shape: tuple[int, ...]) -> str:
        return self._tensor(np.array(shape, dtype=np.int64))

    def _tensor(self, array: np.ndarray) -> str:
        """The name of a tensor of the file; equal ones are one."""
        from onnx import numpy_helper

        key = f"{array.dtype}{array.shape}{array.tobytes()!r}"
        if key in self._known:
            return self._known[key]
        name = f"c{len(self.tensors)}"
        self.tensors[name] = numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name)
        self._known[key] = name
        return name

    def _emit(
        self,
        kind: str,
        inputs: Iterable[str],
        node: Node | None = None,
        output: str = "",
        outputs: list[str] | None = None,
        **attributes: Any,
    ) -> str:
        """Add a node of the file; the name of its (first) output."""
        from onnx import helper

        names = outputs or [self._name(node.result) if node is not None else output or self._new()]
        self.nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names[0]

    def _new(self) -> str:
        self._counted += 1
        return f"v{self._counted}"


def _info(name: str, value: Value) -> onnx.ValueInfoProto:
    from onnx import TensorProto, helper

    kinds = {"float32": TensorProto.FLOAT, "int64": TensorProto.INT64}
    return helper.make_tensor_value_info(name, kinds[value.dtype], value.shape)
