"""Zoneout: units that keep their previous value at random steps."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from seqaudio.cells.base import Cell
from seqaudio.cells.wrappers.base import (
    WRAPPERS,
    Wrapper,
    check_probability,
    core_state,
    replace_core_state,
    state_fields,
)
from seqaudio.cells.wrappers.residual import Residual
from seqaudio.errors import OptionError


@WRAPPERS.register("zoneout")
class Zoneout(Wrapper):
    """In training mode, each unit of the state keeps its previous value with a probability, drawn at every step.

        (h*, c*) = cell(x, h, c)
        h' = d_h * h + (1 - d_h) * h*        also the output; d_h [B, H] is one with the probability `hidden`
        c' = d_c * c + (1 - d_c) * c*        d_c [B, H] is one with the probability `memory`

    In evaluation mode d_h and d_c are the probabilities themselves. Source: Krueger et al. (2017).

    Args:
        cell: its state has a field `hidden`; without a field `memory` the second number has no effect.
        hidden, memory: probabilities, 0 <= p <= 1.
    Raises:
        OptionError: the state has no field `hidden`, a residual connection is inside, or a number is not a probability.
    """

    def __init__(self, cell: Cell[Any], hidden: float = 0.05, memory: float = 0.5) -> None:
        super().__init__(cell)
        check_probability("zoneout", "hidden", hidden)
        check_probability("zoneout", "memory", memory)
        fields = state_fields("zoneout", cell)
        if any(isinstance(part, Residual) for part in cell.modules()):
            raise OptionError(
                "got zoneout around residual, whose outputs are not its hidden state; name zoneout before residual"
            )
        self.hidden = hidden
        self.memory = memory if "memory" in fields else 0.0

    def forward(self, inputs: Tensor, state: Any, *recurrent: Tensor) -> tuple[Tensor, Any]:
        _, next_state = super().forward(inputs, state, *recurrent)
        before, after = core_state(self, state), core_state(self, next_state)
        hidden = self._keep(before.hidden, after.hidden, self.hidden)
        after = after._replace(hidden=hidden)
        if self.memory:
            after = after._replace(memory=self._keep(before.memory, after.memory, self.memory))
        return hidden, replace_core_state(self, next_state, after)

    def _keep(self, before: Tensor, after: Tensor, probability: float) -> Tensor:
        if self.training:
            kept = torch.empty_like(after, dtype=torch.bool).bernoulli_(probability)
            return torch.where(kept, before, after)
        return torch.lerp(after, before, probability)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, hidden={self.hidden}, memory={self.memory}"
