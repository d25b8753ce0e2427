"""Write the step of a keyword model as `step.safetensors`, which NumPy computes (`recorded_step.py`)."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from seqaudio.errors import RunError
from seqaudio.export.graph import Graph, Value
from seqaudio.export.steps import ExportStep
from seqaudio.files import json_text, write_bytes
from seqaudio.recorded_step import About

OPTIONS = ("function", "axis", "start", "end", "axes")  # of nodes, as both name them


def write_step(step: ExportStep, path: Path, weights: str) -> None:
    """Write a step of keywords.

    weights: SHA-256 of the file of weights.
    Raises RunError for a step without sound, and one with operations that no step of keywords has.
    """
    write_bytes(path, step_bytes(step, step.graph(), weights))


def step_bytes(step: ExportStep, graph: Graph, weights: str) -> bytes:
    """The bytes of the file. Equal models give equal bytes."""
    about = step.about
    if about.kind != "keywords":
        raise RunError(f"a model of {about.kind}, expected one of keywords; NumPy computes no other step")
    nodes = graph.nodes()
    tensors: dict[str, np.ndarray] = {}
    numbers: dict[int, int] = {id(graph.inputs["input"]): 0, id(graph.inputs["state"]): 1}

    def keep(array: np.ndarray) -> int:
        place = len(tensors)
        tensors[f"c{place}"] = _narrowed(array)
        return 2 + place

    for value in graph.constants():
        assert value.constant is not None
        numbers[id(value)] = keep(value.constant)
    places = [keep(node.options["index"]) if node.kind == "pick" else 0 for node in nodes]
    for number, node in enumerate(nodes, 2 + len(tensors)):
        numbers[id(node.result)] = number
    described = [
        {"kind": node.kind, "inputs": [numbers[id(value)] for value in node.inputs], "shape": list(node.result.shape)}
        | {name: node.options[name] for name in OPTIONS if name in node.options}
        | ({"index": place} if node.kind == "pick" else {})
        for node, place in zip(nodes, places, strict=True)
    ]
    content: dict[str, Any] = {
        "input": list(graph.inputs["input"].shape),
        "state": list(graph.inputs["state"].shape),
        "constants": len(tensors),
        "nodes": described,
        "output": _number(numbers, graph.results["output"]),
        "next_state": _number(numbers, graph.results["stateN"]),
    }
    tensors["initial"] = step.initial.numpy()
    facts = About(about.labels, about.sample_rate, about.hop, about.warm_up, samples_of(step), weights)
    return save(tensors, {"about": json_text(asdict(facts)), "graph": json_text(content)})


def samples_of(step: ExportStep) -> tuple[int, int]:
    """First and last place, exclusive, of the samples before in the state; both 0 where it has none."""
    for name, (offset, shape) in step.layout.items():
        if name.endswith(SAMPLES):
            return offset, offset + int(np.prod(shape))
    return 0, 0


SAMPLES = "samples"  # the field of `FrontEndState`


def _number(numbers: dict[int, int], value: Value) -> int:
    if (found := numbers.get(id(value))) is None:
        raise RunError("the model's step gives its state back unchanged; it cannot be recorded")
    return found


def _narrowed(array: np.ndarray) -> np.ndarray:
    """The array in half precision where that is exact; indices as int32, of which there are few."""
    if array.dtype == np.int64 and (not array.size or np.abs(array).max() < 2**31):
        return array.astype(np.int32)
    if array.dtype == np.float32:
        with np.errstate(over="ignore"):
            half = array.astype(np.float16)
        if np.array_equal(half.astype(np.float32), array):
            return half
    return array
