"""What one run of a module leaves behind: every state of every recurrent cell, and the loss of every step."""

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
from seqaudio.probing.stand_ins import StepFunction
from seqaudio.state import State

Loss = Callable[[Tensor, int], Tensor]  # (outputs of step t [B, ...], t) -> the loss of each row [B]


@dataclass
class Trace:
    """What a run left behind. B rows of up to T steps."""

    subject: str  # what was run
    loss_name: str  # what L_t is
    records: list[Record]
    losses: Tensor  # [T, B] L_t of each row, in the graph
    total: Tensor  # the loss of all steps, or of all rows where a model has one a row
    counted: Tensor  # [T, B] bool, CPU: steps that have a loss
    lengths: Tensor  # [B] int64, CPU
    starts: Tensor  # [T, B] int64, CPU: the step at which the sequence that holds step t began

    def __post_init__(self) -> None:
        if not self.losses.requires_grad:
            raise OptionError(
                f"got losses of {self.subject} that depend on no weight and no state, so they have no gradient; "
                f"give a loss of the outputs that the recurrent part leads to"
            )


@dataclass(frozen=True)
class Request:
    """What to run, and how."""

    module: Any
    inputs: Tensor | Batch
    loss: Loss | None
    state: State | None
    lengths: Tensor | None
    double: bool
    seed: int


def floating(tensor: Tensor, double: bool) -> Tensor:
    """The tensor in float64 where that is asked for; ids stay ids."""
    return tensor.double() if double and tensor.is_floating_point() else tensor


def record_run(module: nn.Module, call: Callable[[Any], Any], steps: int) -> tuple[list[Record], Any]:
    """Call the module with hooks on its cells; the records of those that ran, and what the call gave."""
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
            f"{name_of(module)} ran nothing recurrent that is known (torch.nn.RNN, LSTM, GRU, their cells, cells and "
            f"layers of seqaudio); give a function (inputs, state) -> (outputs, state), and state="
        )
    for record in records:
        if len(record.steps) != steps:
            raise OptionError(
                f"{record.name} of {name_of(module)} ran {len(record.steps)} steps over inputs of {steps}, expected "
                f"one each; probe the part that runs once a step"
            )
    return records, result


def cell_paths(module: nn.Module, path: str = "") -> list[str]:
    """Where the outermost cells are: what a wrapper holds is not listed."""
    if isinstance(module, Cell | StepFunction):
        return [path]
    children = module.named_children()
    return [found for name, child in children for found in cell_paths(child, f"{path}.{name}" if path else name)]


def name_of(module: Any) -> str:
    """What to call a module or function in a message."""
    return type(module).__name__ if isinstance(module, nn.Module) else getattr(module, "__name__", "the function")


def projections(outputs: Tensor, seed: int) -> Tensor:
    """[T, B]: each output times a random unit vector, drawn for each step and row.

    Its gradient has the norm 1 at the output, whatever the scale of the outputs, so that g reads as an amplification.
    """
    T, B = outputs.shape[:2]
    flat = outputs.reshape(T, B, -1)
    draw = torch.Generator().manual_seed(seed)
    # a draw a step, so that further steps do not change those before them
    directions = torch.stack([torch.randn(B, flat.shape[2], generator=draw, dtype=torch.float64) for _ in range(T)])
    directions = directions / directions.norm(dim=2, keepdim=True)
    losses: Tensor = (flat * directions.to(flat)).sum(dim=2)
    return losses
