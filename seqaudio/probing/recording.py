"""Record the state of a cell at every step, for gradients with respect to it, and count saturated activations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

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
    inner: frozenset[str] | None = None  # parts of the state from which other parts of the same step are computed

    def parts(self) -> list[str]:
        """Names of the state's tensors that a gradient can reach."""
        return list(self.steps[-1].after)


class Recorder:
    """Records through hooks on cells, which take `(inputs [B, F], state)` and return `(outputs, state)`.

    The next layer and the next step both use the hidden state, and its gradient has to include both. It does, since the
    cell returns one tensor for both. The memory of an LSTM has two uses too: the next step, and the hidden state of the
    same step. Only the first may count, or a gradient that goes through the hidden state would be counted twice. So
    the memory is passed to the next step through a graph node of its own, and the gradient is taken there.
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


SATURATED_TANH = 0.95  # a tanh is saturated where its absolute value is above this
SHUT_GATE = 0.05  # a gate is shut below this, and open above 1 minus this

Shares = dict[str, tuple[Tensor, int]]  # "gates shut" -> saturated activations in each row [B], of how many in a row


def saturated(kind: str, values: Tensor) -> dict[str, Tensor]:
    """Where activations are saturated, by the way they saturate ("gates shut"), bool in the shape of `values`."""
    match kind:
        case "tanh":
            return {"tanh saturated": values.abs() > SATURATED_TANH}
        case "sigmoid":
            return {"gates shut": values < SHUT_GATE, "gates open": values > 1 - SHUT_GATE}
        case _:
            return {"rectifiers off": values <= 0}


_KINDS: dict[Callable[..., Any], str] = {
    torch.tanh: "tanh",
    Tensor.tanh: "tanh",
    F.tanh: "tanh",
    torch.sigmoid: "sigmoid",
    Tensor.sigmoid: "sigmoid",
    F.sigmoid: "sigmoid",
    torch.relu: "relu",
    Tensor.relu: "relu",
    F.relu: "relu",
}


class ActivationWatch(TorchFunctionMode):
    """Counts saturated results of torch's tanh, sigmoid and relu in any code that runs between `begin` and `end`.

    Use it in a `with` statement. A kernel that computes a whole cell in one call calls none of the three, so nothing is
    counted there.
    """

    def __init__(self) -> None:
        super().__init__()
        self._shares: Shares | None = None

    def begin(self) -> None:
        self._shares = {}

    def end(self) -> Shares:
        shares, self._shares = self._shares, None
        return shares or {}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        # of parameters alone there is one value for all rows, which no row saturates
        if self._shares is not None and (kind := _KINDS.get(func)) is not None and result.dim() > 1:
            for name, where in saturated(kind, result.detach()).items():
                rows = where.flatten(1)
                before, width = self._shares.get(name, (0, 0))
                self._shares[name] = (before + rows.sum(dim=1), width + rows.shape[1])
        return result
