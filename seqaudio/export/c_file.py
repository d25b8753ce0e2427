"""Write a step as one C99 file without dependencies or allocation: weights, features, step, labels and a `main`."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from seqaudio.errors import RunError
from seqaudio.export.c_main import main_text
from seqaudio.export.checking import TOLERANCE, difference, examples, expected
from seqaudio.export.graph import Graph, Node, Value
from seqaudio.export.quantising import is_quantised, quantised
from seqaudio.export.steps import ExportStep
from seqaudio.files import write_bytes

FLAGS = ("-O2", "-Wall", "-Werror", "-std=c99")
SECONDS = 120  # for the compiler, and for a run of the program
SPARSE = 4  # a table with fewer than one value in so many that is not 0 is kept as places and values
UNARY = {
    "sigmoid": "1.0f / (1.0f + expf(-{0}))", "tanh": "tanhf({0})", "relu": "({0} > 0.0f ? {0} : 0.0f)",
    "exp": "expf({0})", "log": "logf({0})", "sqrt": "sqrtf({0})", "neg": "-{0}", "abs": "fabsf({0})",
    "logical_not": "({0} == 0.0f ? 1.0f : 0.0f)",
}  # fmt: skip
BINARY = {
    "add": "{0} + {1}", "sub": "{0} - {1}", "mul": "{0} * {1}", "div": "{0} / {1}", "max": "({0} > {1} ? {0} : {1})",
    "min": "({0} < {1} ? {0} : {1})", "greater": "({0} > {1})", "less": "({0} < {1})", "equal": "({0} == {1})",
    "greater_equal": "({0} >= {1})", "less_equal": "({0} <= {1})", "and": "({0} * {1})",
}  # fmt: skip


class Source(NamedTuple):
    """A C file, and what it needs on a device."""

    text: str
    ram: int  # bytes of state and scratch memory
    flash: int  # bytes of weights and tables
    products: int  # multiply-adds of a call, in products of matrices


def write_c(step: ExportStep, graph: Graph, path: Path, int8: bool = False) -> str:
    """Write the step as C; what was written, in words. Where there is gcc, it is compiled and compared first.

    Raises RunError where the compiled program does not give torch's outputs, within TOLERANCE in float; nothing is
    written then.
    """
    source = c_source(step, graph, path.stem, int8)
    compared = "not compared, since there is no gcc here"
    if shutil.which("gcc") is not None:
        with tempfile.TemporaryDirectory() as folder:
            program = compiled(source.text, Path(folder))
            found = max(
                difference(run_program(program, step, part), torch_answers(step, part)) for part in examples(step)
            )
        if not int8 and not found <= TOLERANCE:
            raise RunError(
                f"{path}: compiled, it differs from torch by {found:.1e}, expected at most {TOLERANCE:g}; "
                f"nothing was written"
            )
        compared = f"largest difference from torch {found:.1e}"
    write_bytes(path, source.text.encode())
    per_second = ""
    if step.about.hop:
        per_second = f", {source.products * step.about.sample_rate / step.about.hop / 1e6:,.1f} million a second"
    return (
        f"{'int8, ' if int8 else ''}{compared}; RAM {source.ram:,} bytes, flash {source.flash:,} bytes, "
        f"{source.products:,} multiply-adds a call{per_second}"
    )


def c_source(step: ExportStep, graph: Graph, stem: str, int8: bool = False) -> Source:
    """The C file of a step; names in it begin with `stem`."""
    stem = re.sub(r"[^A-Za-z0-9_]", "_", stem)
    writer = _Writer(stem if re.match(r"[A-Za-z]", stem) else f"m_{stem}", int8)
    body = writer.body(graph)
    about, name = step.about, writer.name
    labels = ", ".join(_quoted(label) for label in about.labels)
    is_ids = graph.inputs["input"].dtype == "int64"
    initial = step.initial.numpy().ravel()
    places = np.flatnonzero(initial)
    start = "".join(f"    net->state[{place}] = {_number(initial[place])};\n" for place in places)
    output = graph.results["output"]
    shown = str(about.licence or "unknown").replace("*/", "* /")
    text = f"""/* {about.model} of seqaudio {about.seqaudio}: a call takes {name}_INPUT values and gives {about.output}.
   Licence of the training data: {shown}

   static {name} net;
   {name}_reset(&net);
   {name}_step(&net, input, output);

   The outputs of the first {name}_WARM_UP calls do not count. Samples are floats, full scale -1 .. 1. */

#include <math.h>
#include <stdint.h>
#include <string.h>

#define {name}_INPUT {graph.inputs["input"].size}
#define {name}_OUTPUT {output.size}
#define {name}_STATE {step.initial.numel()}
#define {name}_LABELS {len(about.labels)}
#define {name}_WARM_UP {about.warm_up}
#define {name}_SAMPLE_RATE {about.sample_rate}
#define {name}_HOP {about.hop}

typedef struct {{
    float state[{name}_STATE];
    float scratch[{max(1, writer.scratch)}];
}} {name};

const char *const {name}_labels[] = {{{labels or '""'}}};

{"".join(writer.tables)}
void {name}_reset({name} *net) {{
    memset(net, 0, sizeof *net);
{start}}}

void {name}_step({name} *net, const {"int32_t" if is_ids else "float"} *input, float *output) {{
    float *const s = net->scratch;
    float *const state = net->state;
{body}}}
{main_text(step, name)}"""
    ram = 4 * (step.initial.numel() + writer.scratch)
    return Source(text, ram, writer.flash, writer.products)


def compiled(text: str, folder: Path) -> Path:
    """The program of a C file, with its `main`. Raises RunError with what gcc says."""
    source, program = folder / "step.c", folder / "step"
    source.write_text(text, encoding="utf-8")
    command = ["gcc", *FLAGS, "-DSEQAUDIO_MAIN", str(source), "-o", str(program), "-lm"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    if done.returncode:
        said = [line.partition("error: ")[2] for line in done.stderr.splitlines() if "error: " in line]
        raise RunError(f"gcc does not compile the step: {(said or ['no message'])[0]}")
    return program


def run_program(program: Path, step: ExportStep, inputs: np.ndarray) -> np.ndarray:
    """What the compiled `main` prints for a sequence of inputs, [calls - warm_up, ...]."""
    if step.about.hop:
        content = to_pcm(inputs).tobytes()
    else:
        content = " ".join(f"{value:.9g}" for value in inputs.ravel()).encode()
    done = subprocess.run([str(program), "raw"], input=content, capture_output=True, timeout=SECONDS, check=False)
    if done.returncode:
        raise RunError(f"the compiled step ended with status {done.returncode}")
    values = np.array(done.stdout.split(), dtype=np.float32)
    calls = len(inputs) - step.about.warm_up
    return values.reshape(calls, -1) if values.size and values.size % calls == 0 else values


def torch_answers(step: ExportStep, inputs: np.ndarray) -> np.ndarray:
    """What torch answers to what the program reads, [calls - warm_up, values]."""
    if step.about.hop:
        inputs = to_pcm(inputs).astype(np.float32) / 32768
    answers = expected(step, inputs)
    return answers.reshape(len(answers), -1)


def to_pcm(samples: np.ndarray) -> np.ndarray:
    """Samples as little-endian int16."""
    pcm: np.ndarray = np.clip(np.rint(samples * 32768), -32768, 32767).astype("<i2")
    return pcm


class _Writer:
    """Collects tables and code."""

    def __init__(self, name: str, int8: bool) -> None:
        self.name = name
        self.int8 = int8
        self.tables: list[str] = []
        self.scratch = 0  # floats
        self.flash = 0
        self.products = 0
        self._places: dict[int, str] = {}  # expression of a pointer to each value
        self._roots: dict[int, int] = {}  # of values that lie in another's memory, that one's identity
        self._held: dict[int, tuple[int, int]] = {}  # start and size in the scratch memory
        self._names: dict[int, str] = {}
        self._kept: list[Value] = []

    def body(self, graph: Graph) -> str:
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
            lines.append(f"memcpy({place}, {self._place(value)}, {value.size} * sizeof(float));")
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
            base = self._place(node.inputs[0])
            self._places[id(node.result)] = f"({base} + {offset})" if offset else base
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
        self._places[id(value)] = f"(s + {start})"
        return self._places[id(value)]

    def _place(self, value: Value) -> str:
        if id(value) not in self._places:
            assert value.constant is not None
            self._places[id(value)] = self._table(value.constant)
            self._kept.append(value)
        return self._places[id(value)]

    def _table(self, array: np.ndarray, kind: str = "") -> str:
        """The name of a new table; floats, or integers of the least width that holds them."""
        name = f"{self.name}_c{len(self.tables)}"
        flat = array.ravel()
        if not kind:
            kind = "float" if array.dtype.kind in "fb" else _width(flat)
        if kind == "float":
            text, size = ", ".join(map(_number, flat)), 4
        else:
            text, size = ", ".join(map(str, flat.tolist())), int(re.sub(r"\D", "", kind)) // 8
        self.flash += size * len(flat)
        lines = re.sub(r"(.{1,110}(?:, |$))", r"    \1\n", text).replace(" \n", "\n")
        self.tables.append(f"static const {kind} {name}[{len(flat)}] = {{\n{lines}}};\n")
        return name

    # --- nodes ---

    def _matmul(self, node: Node, place: str) -> Iterator[str]:
        one, other = node.inputs
        R, K, N = one.shape[0], one.shape[1], other.shape[1]
        a = self._place(one)
        weight = other.constant
        if weight is None:
            self.products += R * K * N
            yield f"for (int r = 0; r < {R}; r++) for (int n = 0; n < {N}; n++) {{"
            yield f"    float sum = 0.0f; for (int k = 0; k < {K}; k++)"
            yield f"        sum += {a}[r * {K} + k] * {self._place(other)}[k * {N} + n];"
            yield f"    {place}[r * {N} + n] = sum; }}"
        elif self.int8 and is_quantised(node):
            self.products += R * K * N
            eight = quantised(other)
            w, scales = self._table(np.ascontiguousarray(eight.values.T), "int8_t"), self._table(eight.scales)
            yield f"for (int r = 0; r < {R}; r++) {{"
            yield f"    int8_t q[{K}]; float most = 1e-30f;"
            yield f"    for (int k = 0; k < {K}; k++) {{ float v = fabsf({a}[r * {K} + k]); if (v > most) most = v; }}"
            yield f"    for (int k = 0; k < {K}; k++) q[k] = (int8_t) lrintf({a}[r * {K} + k] * (127.0f / most));"
            yield f"    for (int n = 0; n < {N}; n++) {{"
            yield f"        int32_t sum = 0; const int8_t *w = {w} + n * {K};"
            yield f"        for (int k = 0; k < {K}; k++) sum += (int32_t) q[k] * w[k];"
            yield f"        {place}[r * {N} + n] = (float) sum * (most / 127.0f) * {scales}[n]; }} }}"
        elif weight.size >= 1024 and SPARSE * np.count_nonzero(weight) < weight.size:
            ks, ns = np.nonzero(weight)
            self.products += R * len(ks)
            k, n, v = self._table(ks), self._table(ns), self._table(weight[ks, ns])
            yield f"memset({place}, 0, {R * N} * sizeof(float));"
            yield f"for (int r = 0; r < {R}; r++) for (int e = 0; e < {len(ks)}; e++)"
            yield f"    {place}[r * {N} + {n}[e]] += {a}[r * {K} + {k}[e]] * {v}[e];"
        else:
            self.products += R * K * N
            w = self._table(np.ascontiguousarray(weight.T))
            yield f"for (int r = 0; r < {R}; r++) for (int n = 0; n < {N}; n++) {{"
            yield f"    float sum = 0.0f; const float *a = {a} + r * {K}, *w = {w} + n * {K};"
            yield f"    for (int k = 0; k < {K}; k++) sum += a[k] * w[k];"
            yield f"    {place}[r * {N} + n] = sum; }}"

    def _elementwise(self, node: Node, place: str) -> Iterator[str]:
        function = node.options["function"]
        return self._mapped(node, place, UNARY.get(function) or BINARY[function])

    def _where(self, node: Node, place: str) -> Iterator[str]:
        return self._mapped(node, place, "({0} != 0.0f ? {1} : {2})")

    def _mapped(self, node: Node, place: str, formula: str) -> Iterator[str]:
        """A formula of values at the same place, with broadcasting."""
        shape = node.result.shape
        if all(value.size == node.result.size or value.size == 1 for value in node.inputs):
            parts = [
                _number(value.constant.ravel()[0])
                if value.constant is not None and value.size == 1
                else f"{self._place(value)}[{'i' if value.size > 1 or node.result.size == 1 else '0'}]"
                for value in node.inputs
            ]
            yield f"for (int i = 0; i < {node.result.size}; i++) {place}[i] = {formula.format(*parts)};"
            return
        letters = [f"i{axis}" for axis in range(len(shape))]
        parts = [
            f"{self._place(value)}[{_index(letters[len(shape) - len(value.shape) :], value.shape)}]"
            for value in node.inputs
        ]
        loops = "".join(f"for (int {i} = 0; {i} < {size}; {i}++) " for i, size in zip(letters, shape, strict=True))
        yield f"{loops}{place}[{_index(letters, shape)}] = {formula.format(*parts)};"

    def _reduce(self, node: Node, place: str) -> Iterator[str]:
        rows, width = node.inputs[0].shape
        a, function = self._place(node.inputs[0]), node.options["function"]
        more = "if (a[i] > sum) sum = a[i];" if function == "max" else "sum += a[i];"
        start = "a[0]" if function == "max" else "0.0f"
        end = f"sum / {width}.0f" if function == "mean" else "sum"
        yield f"for (int r = 0; r < {rows}; r++) {{ const float *a = {a} + r * {width}; float sum = {start};"
        yield f"    for (int i = 0; i < {width}; i++) {more}"
        yield f"    {place}[r] = {end}; }}"

    def _concat(self, node: Node, place: str) -> Iterator[str]:
        axis, shape = node.options["axis"], node.result.shape
        outer = int(np.prod(shape[:axis], dtype=np.int64))
        whole, offset = node.result.size // outer, 0
        for value in node.inputs:
            size = value.size // outer
            yield self._copied(outer, place, f"{offset}", whole, self._place(value), "0", size, size)
            offset += size

    def _slice(self, node: Node, place: str) -> Iterator[str]:
        axis, shape = node.options["axis"], node.inputs[0].shape
        outer = int(np.prod(shape[:axis], dtype=np.int64))
        inner = int(np.prod(shape[axis + 1 :], dtype=np.int64))
        size = (node.options["end"] - node.options["start"]) * inner
        start = str(node.options["start"] * inner)
        yield self._copied(outer, place, "0", size, self._place(node.inputs[0]), start, shape[axis] * inner, size)

    def _copied(self, outer: int, to: str, at: str, step: int, of: str, start: str, stride: int, size: int) -> str:
        """Copies of `size` values, `outer` times."""
        if outer == 1:
            return f"memcpy({to} + {at}, {of} + {start}, {size} * sizeof(float));"
        return (
            f"for (int r = 0; r < {outer}; r++) "
            f"memcpy({to} + {at} + r * {step}, {of} + {start} + r * {stride}, {size} * sizeof(float));"
        )

    def _permute(self, node: Node, place: str) -> Iterator[str]:
        axes, source, shape = node.options["axes"], node.inputs[0], node.result.shape
        letters = [f"i{axis}" for axis in range(len(shape))]
        there = [letters[axes.index(axis)] for axis in range(len(shape))]
        loops = "".join(f"for (int {i} = 0; {i} < {size}; {i}++) " for i, size in zip(letters, shape, strict=True))
        yield f"{loops}{place}[{_index(letters, shape)}] = {self._place(source)}[{_index(there, source.shape)}];"

    def _reshape(self, node: Node, place: str) -> Iterator[str]:
        yield f"memcpy({place}, {self._place(node.inputs[0])}, {node.result.size} * sizeof(float));"

    def _pick(self, node: Node, place: str) -> Iterator[str]:
        index = self._table(node.options["index"])
        yield f"for (int i = 0; i < {node.result.size}; i++) {place}[i] = {self._place(node.inputs[0])}[{index}[i]];"

    def _rows(self, node: Node, place: str) -> Iterator[str]:
        table, ids = node.inputs
        rows, width = table.shape
        yield f"for (int r = 0; r < {ids.size}; r++) {{"
        yield f"    int32_t id = {self._place(ids)}[r]; if (id < 0 || id >= {rows}) id = 0;"
        yield f"    memcpy({place} + r * {width}, {self._place(table)} + id * {width}, {width} * sizeof(float)); }}"


def _index(letters: Sequence[str], shape: Sequence[int]) -> str:
    """The place in a flat array of the element at these indices; axes of length 1 are always at 0."""
    parts, stride = [], 1
    for letter, size in reversed(list(zip(letters, shape, strict=True))):
        if size > 1:
            parts.append(letter if stride == 1 else f"{letter} * {stride}")
        stride *= size
    return " + ".join(reversed(parts)) or "0"


def _number(value: float) -> str:
    text = f"{float(np.float32(value)):.9g}"
    return f"{text}f" if "." in text or "e" in text else f"{text}.0f"


def _width(values: np.ndarray) -> str:
    most = int(values.max(initial=0))
    return "uint8_t" if most < 1 << 8 else "uint16_t" if most < 1 << 16 else "uint32_t"


def _quoted(text: str) -> str:
    """A string of C, of any bytes."""
    plain = "".join(
        chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\?' else f"\\{byte:03o}" for byte in text.encode()
    )
    return f'"{plain}"'
