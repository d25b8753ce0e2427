"""Write a step as one C99 file without dependencies or allocation: weights, features, step, labels and a `main`."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from seqaudio.errors import RunError
from seqaudio.export.c_main import main_text
from seqaudio.export.checking import TOLERANCE, difference, examples, expected, finished
from seqaudio.export.code import CodeWriter
from seqaudio.export.graph import Graph, Node
from seqaudio.export.quantising import is_quantised, quantised
from seqaudio.export.steps import ExportStep
from seqaudio.files import write_bytes

FLAGS = ("-O2", "-Wall", "-Werror", "-std=c99")
UNARY = {
    "sigmoid": "1.0f / (1.0f + expf(-{0}))", "tanh": "tanhf({0})", "relu": "({0} > 0.0f ? {0} : 0.0f)",
    "exp": "expf({0})", "log": "logf({0})", "sqrt": "sqrtf({0})", "neg": "-{0}", "abs": "fabsf({0})",
    "logical_not": "({0} == 0.0f ? 1.0f : 0.0f)",
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
    done = finished(command, text=True)
    if done.returncode:
        said = [line.partition("error: ")[2] for line in done.stderr.splitlines() if "error: " in line]
        raise RunError(f"gcc does not compile the step: {(said or ['no message'])[0]}")
    return program


def run_program(program: Path, step: ExportStep, inputs: np.ndarray) -> np.ndarray:
    """Outputs of the compiled `main` for a sequence of inputs, [calls - warm_up, ...]."""
    if step.about.hop:
        content = to_pcm(inputs).tobytes()
    else:
        content = " ".join(f"{value:.9g}" for value in inputs.ravel()).encode()
    done = finished([str(program), "raw"], input=content)
    if done.returncode:
        raise RunError(f"the compiled step ended with status {done.returncode}")
    values = np.array(done.stdout.split(), dtype=np.float32)
    calls = len(inputs) - step.about.warm_up
    return values.reshape(calls, -1) if values.size and values.size % calls == 0 else values


def torch_answers(step: ExportStep, inputs: np.ndarray) -> np.ndarray:
    """Reference outputs of torch for the inputs as the program reads them, [calls - warm_up, values]."""
    if step.about.hop:
        inputs = to_pcm(inputs).astype(np.float32) / 32768
    answers = expected(step, inputs)
    return answers.reshape(len(answers), -1)


def to_pcm(samples: np.ndarray) -> np.ndarray:
    """Samples as little-endian int16."""
    pcm: np.ndarray = np.clip(np.rint(samples * 32768), -32768, 32767).astype("<i2")
    return pcm


class _Writer(CodeWriter):
    """Tables and statements in C."""

    integer, real = "int", "float"
    unary = UNARY

    def __init__(self, name: str, int8: bool) -> None:
        super().__init__()
        self.name = name
        self.int8 = int8
        self.tables: list[str] = []
        self.flash = 0
        self._known: dict[tuple[str, bytes], str] = {}  # names of tables by type and content

    def table(self, array: np.ndarray, kind: str = "") -> str:
        """The name of a table: floats, or integers of the least width that holds them; equal ones are one."""
        flat = array.ravel()
        if not kind:
            kind = "float" if array.dtype.kind in "fb" else _width(flat)
        key = kind, flat.tobytes()
        if key in self._known:
            return self._known[key]
        name = self._known[key] = f"{self.name}_c{len(self.tables)}"
        if kind == "float":
            text, size = ", ".join(map(_number, flat)), 4
        else:
            text, size = ", ".join(map(str, flat.tolist())), int(re.sub(r"\D", "", kind)) // 8
        self.flash += size * len(flat)
        lines = re.sub(r"(.{1,110}(?:, |$))", r"    \1\n", text).replace(" \n", "\n")
        self.tables.append(f"static const {kind} {name}[{len(flat)}] = {{\n{lines}}};\n")
        return name

    def part(self, array: str, start: int, size: int) -> str:
        return f"({array} + {start})" if start else array

    def copy(self, to: str, at: str, of: str, start: str, size: int) -> str:
        return f"memcpy({to} + {at}, {of} + {start}, {size} * sizeof(float));"

    def number(self, value: float) -> str:
        return _number(value)

    def _matmul(self, node: Node, place: str) -> Iterator[str]:
        one, other = node.inputs
        if not self.int8 or other.constant is None or not is_quantised(node):
            yield from super()._matmul(node, place)
            return
        R, K, N = one.shape[0], one.shape[1], other.shape[1]
        a = self.place(one)
        self.products += R * K * N
        eight = quantised(other)
        w, scales = self.table(np.ascontiguousarray(eight.values.T), "int8_t"), self.table(eight.scales)
        yield f"for (int r = 0; r < {R}; r++) {{"
        yield f"    int8_t q[{K}]; float most = 1e-30f;"
        yield f"    for (int k = 0; k < {K}; k++) {{ float v = fabsf({a}[r * {K} + k]); if (v > most) most = v; }}"
        yield f"    for (int k = 0; k < {K}; k++) q[k] = (int8_t) lrintf({a}[r * {K} + k] * (127.0f / most));"
        yield f"    for (int n = 0; n < {N}; n++) {{"
        yield f"        int32_t sum = 0; const int8_t *w = {w} + n * {K};"
        yield f"        for (int k = 0; k < {K}; k++) sum += (int32_t) q[k] * w[k];"
        yield f"        {place}[r * {N} + n] = (float) sum * (most / 127.0f) * {scales}[n]; }} }}"


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
