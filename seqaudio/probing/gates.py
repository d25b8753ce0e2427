"""Read the gates of a trained model's recurrent cells at every step, of one sequence."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from seqaudio.cells import Cell
from seqaudio.probing.step_by_step import step_by_step
from seqaudio.probing.tracing import cell_paths

SIGMOIDS = (torch.sigmoid, Tensor.sigmoid, F.sigmoid)


class Gate(NamedTuple):
    """One gate of a cell: `layer 1`, `update`, and its values [T, H] float32, from 0, shut, to 1, open."""

    layer: str
    name: str
    values: np.ndarray


class _Sigmoids(TorchFunctionMode):
    """Keeps the results of torch's sigmoid for the cell that runs."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Tensor] | None = None  # of the present step of a cell

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if self.found is not None and func in SIGMOIDS and result.dim() == 2 and len(result) == 1:
            self.found.append(result[0])
        return result


@torch.no_grad()
def gates_of(model: nn.Module, call: Callable[[Any], object]) -> list[Gate]:
    """The gates of all cells of a model, layer by layer, in the order in which a step computes them.

    A cell in another order of time than the frames, one that reads from the end, is turned round. Cells without
    sigmoids have no gates.

    Args:
        model: in evaluation mode; a copy runs, one Python step at a time, so it stays as it is.
        call: runs the copy over one sequence, a batch of one row.
    """
    run = step_by_step(deepcopy(model))
    watch = _Sigmoids()
    steps: list[tuple[str, bool, Cell[Any], list[list[Tensor]]]] = []
    for path in cell_paths(run):
        backward = "backward_layer" in path.split(".")
        number = sum(not before for _, before, _, _ in steps) + (not backward)
        cell = run.get_submodule(path)
        assert isinstance(cell, Cell)
        kept: list[list[Tensor]] = []
        steps.append((f"layer {number}" + " backward" * backward, backward, cell, kept))
        _watch(cell, watch, kept)
    with watch:
        call(run)
    return [gate for layer, backward, cell, kept in steps for gate in _gates(layer, backward, cell, kept)]


def _watch(cell: Cell[Any], watch: _Sigmoids, kept: list[list[Tensor]]) -> None:
    """Keep the sigmoids of each step of a cell."""

    def begin(cell: nn.Module, arguments: Any) -> None:
        del cell, arguments
        watch.found = []

    def end(cell: nn.Module, arguments: Any, result: Any) -> None:
        del cell, arguments, result
        kept.append(watch.found or [])
        watch.found = None

    cell.register_forward_pre_hook(begin)
    cell.register_forward_hook(end)


def _gates(layer: str, backward: bool, cell: Cell[Any], kept: list[list[Tensor]]) -> list[Gate]:
    count = min(map(len, kept), default=0)
    names = _names(cell)
    if len(names) != count:
        names = tuple(f"gate {number}" for number in range(1, count + 1))
    found = []
    for place, name in enumerate(names):
        values = torch.stack([step[place] for step in kept]).numpy()
        found.append(Gate(layer, name, values[::-1] if backward else values))
    return found


def _names(cell: Cell[Any]) -> tuple[str, ...]:
    """The names of a cell's gates; of a wrapper those of the cell inside."""
    while not cell.gate_names and (inside := [part for part in cell.children() if isinstance(part, Cell)]):
        cell = inside[0]
    return cell.gate_names
