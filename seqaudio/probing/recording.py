"""Record every state of a cell in the graph, so that gradients with respect to any step can be computed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from seqaudio.probing.saturation import ActivationWatch, Shares
from seqaudio.state import State, flatten, unflatten


class Step(NamedTuple):
    """One call of a cell. The parts of `after` are independent: none is computed from another."""

    before: dict[str, Tensor]  # the previous state
    after: dict[str, Tensor]  # the next state
    outputs: Tensor  # [B, H]
    saturation: Shares


@dataclass
class Record:
    """The calls of one cell, in the order in which it reads its frames."""

    name: str  # such as "layer 1"
    cell: nn.Module
    backward: bool = False  # reads its sequences from the end
    steps: list[Step] = field(default_factory=list)
    inner: frozenset[str] | None = None  # parts of the state from which others of the same step are computed

    def parts(self) -> list[str]:
        """Names of the state's tensors that a gradient can reach."""
        return list(self.steps[-1].after)


class Recorder:
    """Hooks on cells, which take `(inputs [B, F], state)` and return `(outputs, state)`.

    The gradient of the hidden state has to include both uses, by the next layer and by the next step. It does, since
    the cell returns one tensor for both. The memory of an LSTM goes to the next step, but the hidden state of the same
    step is computed from it too; it is passed on through a graph node of its own, so that hidden state and memory are
    two independent coordinates and nothing is counted twice.
    """

    def __init__(self) -> None:
        self.watch = ActivationWatch()
        self.records: list[Record] = []

    def attach(self, record: Record) -> None:
        """Record each call of `record.cell` from now on."""

        def begin(cell: nn.Module, arguments: Any) -> None:
            del cell, arguments
            self.watch.begin()

        def end(cell: nn.Module, arguments: Any, result: tuple[Tensor, State]) -> tuple[Tensor, State]:
            del cell
            return self._note(record, arguments[1], *result)

        self.records.append(record)
        record.cell.register_forward_pre_hook(begin)
        record.cell.register_forward_hook(end)

    def _note(self, record: Record, before: State, outputs: Tensor, state: State) -> tuple[Tensor, State]:
        saturation = self.watch.end()
        after = flatten(state)
        reached = {name: tensor for name, tensor in after.items() if tensor.requires_grad}
        if record.inner is None:
            record.inner = inner_parts(reached)
        # a view is a new node of the graph
        carried = {name: tensor.view_as(tensor) for name, tensor in reached.items() if name in record.inner}
        record.steps.append(Step(flatten(before), reached | carried, outputs, saturation))
        return outputs, unflatten(state, after | carried)


def inner_parts(parts: dict[str, Tensor]) -> frozenset[str]:
    """Names of the tensors from which another one of them is computed."""
    inner = set()
    for name, tensor in parts.items():
        others = [other.sum() for key, other in parts.items() if key != name]
        if others:
            (found,) = torch.autograd.grad(others, tensor, retain_graph=True, allow_unused=True)
            if found is not None:
                inner.add(name)
    return frozenset(inner)
