"""Write a checked file: nothing is written that computes something else than torch does."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from seqaudio.errors import RunError
from seqaudio.export.checking import TOLERANCE, OnnxRunner, Runner, examples, largest_difference
from seqaudio.export.graph import Graph
from seqaudio.export.onnx_file import onnx_bytes
from seqaudio.export.steps import ExportStep
from seqaudio.files import write_bytes

TIMED = 300  # calls


def write_onnx(step: ExportStep, graph: Graph, path: Path, int8: bool = False) -> str:
    """Write the step as ONNX; what was written, in words. The float file is checked, also where int8 is written.

    Raises RunError where onnxruntime does not give torch's outputs within TOLERANCE; nothing is written then.
    """
    content = onnx_bytes(step, graph)
    runner: Runner = OnnxRunner(content)
    found = largest_difference(runner, step)
    if not found <= TOLERANCE:
        raise RunError(
            f"{path}: onnxruntime differs from torch by {found:.1e}, expected at most {TOLERANCE:g}; nothing was "
            f"written"
        )
    size = f"{len(content):,} bytes"
    if int8:
        eight = onnx_bytes(step, graph, int8=True)
        runner, size = OnnxRunner(eight), f"{len(eight):,} bytes in int8, {len(content):,} in float"
        content = eight
    write_bytes(path, content)
    in_float = "in float, " if int8 else ""
    return (
        f"{in_float}largest difference from torch {found:.1e}; {size}, {4 * step.initial.numel():,} bytes of state, "
        f"{microseconds(runner, step):,.0f} us a call"
    )


def microseconds(runner: Runner, step: ExportStep) -> float:
    """The median time of a call of a runner."""
    parts, state = next(examples(step)), step.initial.numpy()
    times = []
    for number in range(TIMED):
        start = time.perf_counter()
        _, state = runner(parts[number % len(parts)], state)
        times.append(time.perf_counter() - start)
    return float(np.median(times)) * 1e6
