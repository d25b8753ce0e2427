"""Write a step as one JavaScript module without dependencies: weights, features, step, and a listener for keywords."""

from __future__ import annotations

import base64
import json
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np

from seqaudio.errors import RunError
from seqaudio.export.checking import TOLERANCE, difference, examples, expected, finished
from seqaudio.export.code import CodeWriter
from seqaudio.export.graph import Cosines, Graph, Node, Value
from seqaudio.export.js_listener import listener_text
from seqaudio.export.quantising import is_quantised, quantised
from seqaudio.export.steps import ExportStep
from seqaudio.files import write_bytes

UNARY = {
    "sigmoid": "1 / (1 + Math.exp(-{0}))", "tanh": "Math.tanh({0})", "relu": "({0} > 0 ? {0} : 0)",
    "exp": "Math.exp({0})", "log": "Math.log({0})", "sqrt": "Math.sqrt({0})", "neg": "-{0}", "abs": "Math.abs({0})",
    "logical_not": "({0} === 0 ? 1 : 0)",
}  # fmt: skip
MODULE = """/* One step of a model of seqaudio, and what it hears where it takes sound.
   The outputs of the first about.warm_up calls do not count. */

export const about = {about};

function bytes(text) {{
    return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer;
}}

/* integers [N, K] times the scale of their row */
function widened(integers, scales) {{
    const width = integers.length / scales.length;
    return Float32Array.from(integers, (value, i) => value * scales[Math.floor(i / width)]);
}}

/* cos(2 pi row . column / points) of each row and column */
function cosines(points, rows, columns) {{
    const turn = (angle) => Math.cos((2 * Math.PI * (((angle % points) + points) % points)) / points);
    const angle = (row, column) => row.reduce((sum, value, i) => sum + value * column[i], 0);
    return Float32Array.from(rows.flatMap((row) => columns.map((column) => turn(angle(row, column)))));
}}

const input = new {kind}Array({inputs}), output = new Float32Array({outputs}), state = new Float32Array({states});
const s = new Float32Array({scratch});
const start = {start};
{tables}
/** The state before the first call. */
export function initialState() {{
    return start.slice();
}}

/** One call: about.input_size values and a state, of which neither is changed -> {{output, state}}. */
export function step(values, before) {{
    if (values.length !== input.length) throw new RangeError(`input of ${{values.length}}, expected ${{input.length}}`);
    if (before.length !== state.length) throw new RangeError(`state of ${{before.length}}, expected ${{state.length}}`);
    input.set(values);
    state.set(before);
    compute();
    return {{ output: output.slice(), state: state.slice() }};
}}

function compute() {{
{body}}}
{listener}"""
RUN = """
import { readFileSync } from "node:fs";
import { about, initialState, step } from "./step.mjs";
let state = initialState(), call = 0;
const outputs = [];
for (const input of JSON.parse(readFileSync(0, "utf8"))) {
    const found = step(input, state);
    state = found.state;
    if (call++ >= about.warm_up) outputs.push(Array.from(found.output));
}
process.stdout.write(JSON.stringify(outputs));
"""


def write_js(step: ExportStep, graph: Graph, path: Path, int8: bool = False) -> str:
    """Write the step as a module; what was written, in words, and as `checked_js`."""
    text, compared = checked_js(step, graph, path, int8)
    write_bytes(path, text.encode())
    return f"{compared}; {len(text.encode()):,} bytes, {4 * step.initial.numel():,} bytes of state"


def checked_js(step: ExportStep, graph: Graph, path: Path, int8: bool) -> tuple[str, str]:
    """The module of a step, and how far it is from torch, in words; where there is node, it is run.

    Raises RunError where it does not give torch's outputs, within TOLERANCE in float, so that nothing is written.
    """
    text, precision = js_source(step, graph, int8), "int8, " if int8 else ""
    if shutil.which("node") is None:
        return text, f"{precision}not compared, since there is no node here"
    found = max(difference(run_module(text, inputs), _flat(expected(step, inputs))) for inputs in examples(step))
    if not int8 and not found <= TOLERANCE:
        raise RunError(
            f"{path}: in node, it differs from torch by {found:.1e}, expected at most {TOLERANCE:g}; nothing was "
            f"written"
        )
    return text, f"{precision}largest difference from torch {found:.1e}"


def js_source(step: ExportStep, graph: Graph, int8: bool = False) -> str:
    """The module of a step. int8: weights of its products in 8 bits, see `quantising.py`."""
    writer = _Writer(int8)
    body = writer.body(graph)
    given, output = graph.inputs["input"], graph.results["output"]
    sizes = {"input_size": given.size, "output_size": output.size, "state_size": step.initial.numel()}
    facts = asdict(step.about) | {"weights": "int8" if int8 else "float32"} | sizes
    return MODULE.format(
        about=json.dumps(facts, indent=4),
        kind="Int32" if given.dtype == "int64" else "Float32",
        inputs=given.size,
        outputs=output.size,
        states=step.initial.numel(),
        scratch=max(1, writer.scratch),
        start=_decoded(step.initial.numpy()),
        tables="".join(f"{line}\n" for line in writer.lines),
        body=body,
        listener=listener_text(step),
    )


def run_module(text: str, inputs: np.ndarray) -> np.ndarray:
    """Outputs of a module in node for a sequence of inputs from the initial state on, [calls - warm_up, values].

    Raises RunError with what node says where it fails.
    """
    calls = inputs.reshape(len(inputs), -1).tolist()
    return np.array(json.loads(run_node(text, RUN, json.dumps(calls).encode())), dtype=np.float32)


def run_node(module: str, program: str, content: bytes) -> str:
    """Output of a program run by node that imports a module as ./step.mjs, with `content` on stdin."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "step.mjs").write_text(module, encoding="utf-8")
        (Path(folder) / "run.mjs").write_text(program, encoding="utf-8")
        done = finished(["node", "run.mjs"], cwd=folder, input=content)
    if done.returncode:
        said = [line for line in done.stderr.decode(errors="replace").splitlines() if "Error" in line]
        raise RunError(f"node does not run the step: {(said or ['no message'])[0]}")
    printed: str = done.stdout.decode()
    return printed


class _Writer(CodeWriter):
    """Tables and statements in JavaScript: parts of arrays are views, made once."""

    integer = real = "let"
    unary = UNARY

    def __init__(self, int8: bool) -> None:
        super().__init__()
        self.int8 = int8
        self.lines: list[str] = []
        self._known: dict[str, str] = {}  # names by expression

    def table(self, array: np.ndarray) -> str:
        return self._named("c", _decoded(array))

    def constant(self, value: Value) -> str:
        return super().constant(value) if value.cosines is None else self._computed(value.cosines)

    def weights(self, node: Node) -> str:
        weight = node.inputs[1]
        if weight.cosines is not None:
            return self._computed(weight.cosines.transposed())
        if not self.int8 or not is_quantised(node):
            return super().weights(node)
        eight = quantised(weight)
        return self._named("c", f"widened({_decoded(eight.values.T)}, {_decoded(eight.scales)})")

    def _computed(self, table: Cosines) -> str:
        rows, columns = (json.dumps(part.tolist(), separators=(",", ":")) for part in (table.left, table.right.T))
        return self._named("c", f"cosines({table.points}, {rows}, {columns})")

    def part(self, array: str, start: int, size: int) -> str:
        return self._named("v", f"{array}.subarray({start}, {start + size})")

    def copy(self, to: str, at: str, of: str, start: str, size: int) -> str:
        return f"{self.loop('j', size)} {to}[{at} + j] = {of}[{start} + j];"

    def _named(self, letter: str, value: str) -> str:
        """The name of an expression, which is evaluated when the module is loaded; equal ones are one."""
        if value not in self._known:
            self._known[value] = f"{letter}{len(self.lines)}"
            self.lines.append(f"const {self._known[value]} = {value};")
        return self._known[value]


def _decoded(array: np.ndarray) -> str:
    """An expression that gives the array, flat; indices in as few bytes as hold them."""
    if array.dtype.kind in "fb":
        kind, content = "Float32", np.ascontiguousarray(array, dtype="<f4")
    elif array.dtype == np.int8:
        kind, content = "Int8", np.ascontiguousarray(array)
    else:
        width = np.min_scalar_type(int(array.max(initial=0)))
        kind, content = f"Uint{8 * width.itemsize}", np.ascontiguousarray(array, dtype=width.newbyteorder("<"))
    return f'new {kind}Array(bytes("{base64.b64encode(content.tobytes()).decode()}"))'


def _flat(answers: np.ndarray) -> np.ndarray:
    return answers.reshape(len(answers), -1)
