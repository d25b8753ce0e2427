"""Check a written step against torch: the model of the run, on the frames that its own features give."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from seqaudio.errors import RunError
from seqaudio.export.steps import ExportStep
from seqaudio.features import StreamingExtractor

TOLERANCE = 1e-4  # of outputs around 1; of larger ones their share
SECONDS = 120  # for a compiler, and for a run of a program
CALLS = (40, 7, 100)  # of the sequences that a file is checked on


def finished(command: list[str], **given: Any) -> subprocess.CompletedProcess[Any]:
    """A program that has ended, with what it printed. Raises RunError where it takes longer than SECONDS."""
    try:
        return subprocess.run(command, capture_output=True, timeout=SECONDS, check=False, **given)
    except subprocess.TimeoutExpired as error:
        raise RunError(
            f"{Path(command[0]).name} took more than {SECONDS} s to check the step; try again when less else runs"
        ) from error


class Runner(Protocol):
    """A step in another program."""

    def __call__(self, inputs: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]: ...


class OnnxRunner:
    """A step in onnxruntime, on one core."""

    def __init__(self, content: bytes) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def __call__(self, inputs: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        output, after = self.session.run(["output", "stateN"], {"input": inputs, "state": state})
        return output, after


def examples(step: ExportStep) -> Iterator[np.ndarray]:
    """Sequences of inputs [calls, ...] of several lengths: sound that rises and falls, ids, or values."""
    for number, calls in enumerate(CALLS):
        draw = np.random.default_rng(number)
        shape = (calls, *step.example.shape)
        if step.about.hop:
            n = np.arange(calls * step.about.hop)
            loud = 10.0 ** (-1.5 + np.sin(n / (7.3 * step.about.hop)))
            tone = np.sin(n * (0.02 + 0.3 * draw.random()) + 3 * np.sin(n / 2000.0))
            samples = loud * (tone + 0.3 * draw.standard_normal(len(n)))
            yield np.clip(samples, -1, 1).astype(np.float32).reshape(shape)
        elif not step.example.is_floating_point():
            yield draw.integers(0, len(step.about.labels), shape)
        else:
            model: Any = step.model
            yield (model.mean.numpy() + model.std.numpy() * draw.standard_normal(shape)).astype(np.float32)


@torch.no_grad()
def expected(step: ExportStep, inputs: np.ndarray) -> np.ndarray:
    """Reference outputs of torch, [calls - warm_up, ...]: features of a stream, then the model's own steps."""
    model, state = step.model, step.model_start
    if step.front_end is None:
        frames = torch.from_numpy(inputs)
    else:
        stream = StreamingExtractor(step.front_end.settings)
        whole = stream.push(inputs.ravel())
        count = step.front_end.count
        frames = whole[: len(whole) // count * count].reshape(-1, 1, count * whole.shape[1])
        frames = frames[: max(0, len(inputs) - step.about.warm_up)]
    outputs = []
    for frame in frames:
        output, state = model.step(frame, state)
        outputs.append(step.in_units(output).numpy())
    return np.stack(outputs) if outputs else np.zeros((0, 1))


def run_steps(runner: Runner, step: ExportStep, inputs: np.ndarray) -> np.ndarray:
    """Outputs of another program from the initial state on, [calls - warm_up, ...]."""
    state, outputs = step.initial.numpy(), []
    for part in inputs:
        output, state = runner(part, state)
        outputs.append(output)
    return np.stack(outputs)[step.about.warm_up :]


def difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The largest difference between outputs, as a share of the largest where that is above 1; inf for other shapes."""
    if ours.shape != theirs.shape:
        return float("inf")
    if not ours.size:
        return 0.0
    found = np.abs(ours - theirs).max() / max(1.0, float(np.abs(theirs).max()))
    return float(found) if np.isfinite(found) else float("inf")


def largest_difference(runner: Runner, step: ExportStep, sequences: Sequence[np.ndarray] | None = None) -> float:
    """The largest difference from torch over sequences, each from the initial state on; by default `examples`."""
    return max(
        difference(run_steps(runner, step, inputs), expected(step, inputs))
        for inputs in (examples(step) if sequences is None else sequences)
    )
