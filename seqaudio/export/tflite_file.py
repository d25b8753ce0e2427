"""Write a program of integer operations as a `.tflite` file: a flatbuffer of tensors, operators and their constants.

Numbers of fields and of operators are those of TensorFlow Lite's schema, version 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

SCHEMA = 3
IDENTIFIER = b"TFL3"
TYPES = {"int32": 2, "uint8": 3, "int8": 9, "resource": 13}
OPERATORS = {
    "add": 0, "concatenation": 2, "conv_2d": 3, "fully_connected": 9, "logistic": 14, "mul": 18, "reshape": 22,
    "pad": 34, "strided_slice": 45, "quantize": 114, "call_once": 129, "var_handle": 142, "read_variable": 143,
    "assign_variable": 144,
}  # fmt: skip
OPTIONS = {
    "conv_2d": 1, "fully_connected": 8, "concatenation": 10, "add": 11, "reshape": 17, "mul": 21, "pad": 22,
    "strided_slice": 32, "quantize": 89, "call_once": 103, "var_handle": 111, "read_variable": 112,
    "assign_variable": 113,
}  # fmt: skip
# of each operator, the first that takes 8 bits; 1 of others
VERSIONS = {
    "add": 2, "concatenation": 2, "conv_2d": 3, "fully_connected": 4, "logistic": 2, "mul": 2, "pad": 2,
    "strided_slice": 2,
}  # fmt: skip
# fields of options that are enumerations, of a byte; others are whole numbers
BYTES = {"conv_2d": (0, 3), "fully_connected": (0, 1), "concatenation": (1,), "add": (0,), "mul": (0,)}
RELU, VALID = 1, 1  # values of such fields
ALIGNMENT = 16  # of a buffer


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor of integers q, which are (q - zero) scale; with a scale for each index of the first axis, or without."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    scales: tuple[float, ...] = ()
    zero: int = 0
    content: np.ndarray | None = None  # of a constant

    @property
    def scale(self) -> float:
        """The one scale."""
        (scale,) = self.scales
        return scale

    @property
    def bytes(self) -> int:
        """Bytes of its numbers."""
        size = {"resource": 4}.get(self.dtype) or np.dtype(self.dtype).itemsize
        return int(np.prod(self.shape, dtype=np.int64)) * size


@dataclass(frozen=True, eq=False)
class Operator:
    """One operation; `options` by the number of the field, an int, a bool or a text each."""

    kind: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    options: dict[int, int | bool | str] = field(default_factory=dict)


@dataclass(eq=False)
class Program:
    """Operators in their order; the first program of a file is run at each call, others where `call_once` says so."""

    name: str
    inputs: tuple[Tensor, ...] = ()
    outputs: tuple[Tensor, ...] = ()
    operators: list[Operator] = field(default_factory=list)

    def add(
        self, kind: str, inputs: Sequence[Tensor], outputs: Sequence[Tensor], options: dict[int, Any] | None = None
    ) -> None:
        """Append an operation."""
        self.operators.append(Operator(kind, tuple(inputs), tuple(outputs), options or {}))

    def tensors(self) -> list[Tensor]:
        """All tensors, each once, in the order of their first use."""
        used = [*self.inputs, *(part for each in self.operators for part in (*each.inputs, *each.outputs))]
        return list(dict.fromkeys([*used, *self.outputs]))


def file_of(programs: Sequence[Program], description: str) -> bytes:
    """The bytes of a file with these programs."""
    import flatbuffers

    builder = flatbuffers.Builder(1 << 16)
    kinds = list(dict.fromkeys(each.kind for program in programs for each in program.operators))
    buffers: list[np.ndarray] = [np.zeros(0, dtype=np.uint8)]  # the first is empty, for tensors that are no constants
    graphs = [_graph(builder, program, kinds, buffers) for program in programs]
    codes = []
    for kind in kinds:
        number, version = OPERATORS[kind], VERSIONS.get(kind, 1)
        # the first field is that of readers which know 127 operators
        codes.append(_table(builder, {0: ("byte", min(number, 127)), 2: ("int", version), 3: ("int", number)}))
    contents = [
        _table(builder, {0: ("offset", _bytes(builder, content))} if content.size else {}) for content in buffers
    ]
    model = _table(
        builder,
        {
            0: ("uint", SCHEMA),
            1: ("offset", _offsets(builder, codes)),
            2: ("offset", _offsets(builder, graphs)),
            3: ("offset", builder.CreateString(description)),
            4: ("offset", _offsets(builder, contents)),
        },
    )
    builder.Finish(model, file_identifier=IDENTIFIER)
    return bytes(builder.Output())


def _graph(builder: Any, program: Program, kinds: list[str], buffers: list[np.ndarray]) -> int:
    tensors = program.tensors()
    places = {tensor: place for place, tensor in enumerate(tensors)}
    written = [_tensor(builder, tensor, buffers) for tensor in tensors]
    operators = [_operator(builder, each, kinds, places) for each in program.operators]
    return _table(
        builder,
        {
            0: ("offset", _offsets(builder, written)),
            1: ("offset", builder.CreateNumpyVector(_places(program.inputs, places))),
            2: ("offset", builder.CreateNumpyVector(_places(program.outputs, places))),
            3: ("offset", _offsets(builder, operators)),
            4: ("offset", builder.CreateString(program.name)),
        },
    )


def _tensor(builder: Any, tensor: Tensor, buffers: list[np.ndarray]) -> int:
    number = 0
    if tensor.content is not None:
        number = len(buffers)
        buffers.append(np.ascontiguousarray(tensor.content, dtype=np.dtype(tensor.dtype)).reshape(-1).view(np.uint8))
    fields: dict[int, tuple[str, Any]] = {
        0: ("offset", builder.CreateNumpyVector(np.array(tensor.shape, dtype=np.int32))),
        1: ("byte", TYPES[tensor.dtype]),
        2: ("uint", number),
        3: ("offset", builder.CreateString(tensor.name)),
    }
    if tensor.scales:
        scales = np.array(tensor.scales, dtype=np.float32)
        quantisation = {
            2: ("offset", builder.CreateNumpyVector(scales)),
            3: ("offset", builder.CreateNumpyVector(np.full(len(scales), tensor.zero, dtype=np.int64))),
        }
        fields[4] = ("offset", _table(builder, quantisation))
    return _table(builder, fields)


def _operator(builder: Any, each: Operator, kinds: list[str], places: dict[Tensor, int]) -> int:
    fields: dict[int, tuple[str, Any]] = {
        0: ("uint", kinds.index(each.kind)),
        1: ("offset", builder.CreateNumpyVector(_places(each.inputs, places))),
        2: ("offset", builder.CreateNumpyVector(_places(each.outputs, places))),
    }
    if each.kind in OPTIONS:
        options: dict[int, tuple[str, Any]] = {}
        for number, value in each.options.items():
            if isinstance(value, str):
                options[number] = ("offset", builder.CreateString(value))
            else:
                kind = "bool" if isinstance(value, bool) else "byte" if number in BYTES.get(each.kind, ()) else "int"
                options[number] = (kind, value)
        fields[3] = ("byte", OPTIONS[each.kind])
        fields[4] = ("offset", _table(builder, options))
    return _table(builder, fields)


def _table(builder: Any, fields: dict[int, tuple[str, Any]]) -> int:
    """A table with fields by their number; all are written, even those that equal a default."""
    builder.StartObject(max(fields, default=-1) + 1)
    for number, (kind, value) in fields.items():
        if kind == "offset":
            builder.PrependUOffsetTRelative(value)
        else:
            {"byte": builder.PrependInt8, "bool": builder.PrependBool, "int": builder.PrependInt32,
             "uint": builder.PrependUint32}[kind](value)  # fmt: skip
        builder.Slot(number)
    return int(builder.EndObject())


def _offsets(builder: Any, offsets: Sequence[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def _bytes(builder: Any, content: np.ndarray) -> int:
    builder.StartVector(1, len(content), ALIGNMENT)
    builder.head = builder.head - len(content)
    builder.Bytes[builder.head : builder.head + len(content)] = content.tobytes()
    return int(builder.EndVector())


def _places(tensors: Sequence[Tensor], places: dict[Tensor, int]) -> np.ndarray:
    return np.array([places[tensor] for tensor in tensors], dtype=np.int32)
