"""Traces: one run of a module with every state of every recurrent cell and the loss of every step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from seqaudio.batching import Batch
from seqaudio.cells import Cell
from seqaudio.errors import OptionError
from seqaudio.probing.recording import Record, Recorder
from seqaudio.probing.step_by_step import StepFunction
from seqaudio.state import State

Loss = Callable[[Tensor, int], Tensor]  # (outputs of step t [B, ...], t) -> the loss of each row [B]


@dataclass
class Trace:
    """The records and losses of a run. B rows of up to T steps."""

    subject: str  # name of the module or function
    loss_name: str  # description of L_t
    records: list[Record]
    losses: Tensor  # [T, B] L_t of each row, in the graph
    total: Tensor  # the loss summed over all steps, or over all rows in a model with one loss a row
    counted: Tensor  # [T, B] bool, CPU: steps that have a loss
    lengths: Tensor  # [B] int64, CPU
    starts: Tensor  # [T, B] int64, CPU: the first step of the sequence that step t belongs to

    def __post_init__(self) -> None:
        if not self.losses.requires_grad:
            raise OptionError(
                f"got losses of {self.subject} that depend on no weight and no state, so they have no gradient; "
                f"give a loss that depends on the outputs of the recurrent part"
            )


@dataclass(frozen=True)
class Request:
    """The arguments of `probe` that say what to run, and how."""

    module: Any
    inputs: Tensor | Batch
    loss: Loss | None
    state: State | None
    lengths: Tensor | None
    double: bool
    seed: int


def floating(tensor: Tensor, double: bool) -> Tensor:
    """The tensor in float64 where `double`; integer ids are not changed."""
    return tensor.double() if double and tensor.is_floating_point() else tensor


def record_run(module: nn.Module, call: Callable[[Any], Any], steps: int) -> tuple[list[Record], Any]:
    """Call the module with hooks on its cells. Returns the records of the cells that ran, and the call's result."""
    recorder = Recorder()
    number = 0
    for path in cell_paths(module):
        backward = "backward_layer" in path.split(".")
        number += not backward
        name = f"layer {number}" + (" backward" if backward else "")
        recorder.attach(Record(name, module.get_submodule(path), backward))
    with recorder.watch:
        result = call(module)
    records = [record for record in recorder.records if record.steps]
    if not records:
        raise OptionError(
            f"found no recurrent part in {name_of(module)}, expected torch.nn.RNN, LSTM, GRU, their cells, or cells or "
            f"layers of seqaudio; give a function (inputs, state) -> (outputs, state), and state="
        )
    for record in records:
        if len(record.steps) != steps:
            raise OptionError(
                f"{record.name} of {name_of(module)} ran {len(record.steps)} steps for inputs of {steps}, expected "
                f"as many; probe the part that runs once a step"
            )
    return records, result


def cell_paths(module: nn.Module, path: str = "") -> list[str]:
    """Paths of the outermost cells; cells inside a wrapper are not listed."""
    if isinstance(module, Cell | StepFunction):
        return [path]
    children = module.named_children()
    return [found for name, child in children for found in cell_paths(child, f"{path}.{name}" if path else name)]


def name_of(module: Any) -> str:
    """The name of a module or function in messages."""
    return type(module).__name__ if isinstance(module, nn.Module) else getattr(module, "__name__", "the function")


def projections(outputs: Tensor, seed: int) -> Tensor:
    """[T, B]: the product of each output with a random unit vector, drawn for each step and row.

    Its gradient has norm 1 at the output, whatever the scale of the outputs, so g is an amplification.
    """
    T, B = outputs.shape[:2]
    flat = outputs.reshape(T, B, -1)
    draw = torch.Generator().manual_seed(seed)
    # one draw for each step, so that more steps do not change the earlier draws
    directions = torch.stack([torch.randn(B, flat.shape[2], generator=draw, dtype=torch.float64) for _ in range(T)])
    directions = directions / directions.norm(dim=2, keepdim=True)
    losses: Tensor = (flat * directions.to(flat)).sum(dim=2)
    return losses
