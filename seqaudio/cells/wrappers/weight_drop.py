"""DropConnect on the recurrent weights: the same weights are dropped throughout a window."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from seqaudio.cells.base import Cell
from seqaudio.cells.wrappers.base import WRAPPERS, Wrapper, check_probability, core_cell
from seqaudio.errors import OptionError


class _Product(NamedTuple):
    weight: Tensor
    version: int  # of the weight at the time of the product
    dropped: Tensor  # weight * mask


@WRAPPERS.register("weight_drop")
class WeightDrop(Wrapper):
    """In training mode, drops each recurrent weight with a probability p and scales the others by 1 / (1 - p).

    `begin_window` draws the mask, which holds for all rows and steps until the next call. Layers call it; code that
    steps a cell itself calls it before each window. In evaluation mode nothing is dropped. Source: Merity et al.
    (2018), after DropConnect (Wan et al. 2013).

    Args:
        cell: its innermost cell has a parameter weight_hh.
        probability: of being dropped, 0 <= p <= 1.
    Raises:
        OptionError: there is no weight_hh, or the number is not a probability.
    """

    mask: Tensor | None  # in the shape of weight_hh: 0 where a weight is dropped, else 1 / (1 - p)

    def __init__(self, cell: Cell[Any], probability: float = 0.5) -> None:
        super().__init__(cell)
        check_probability("weight_drop", "probability", probability)
        core = core_cell(cell)
        if not isinstance(getattr(core, "weight_hh", None), nn.Parameter):
            raise OptionError(f"weight_drop needs recurrent weights (weight_hh), {type(core).__name__} has none")
        self.probability = probability
        self._name = next(name for name, part in cell.named_parameters() if part is core.weight_hh)
        self.register_buffer("mask", None, persistent=False)
        self._product: _Product | None = None  # cached, so that the graph of a window holds the product once

    def begin_window(self) -> None:
        super().begin_window()
        if self.training:
            self._draw()

    def forward(self, inputs: Tensor, state: Any, *recurrent: Tensor) -> tuple[Tensor, Any]:
        if not self.training:
            return super().forward(inputs, state, *recurrent)
        weights = {self._name: self._dropped()}
        result: tuple[Tensor, Any] = functional_call(self.cell, weights, (inputs, state, *recurrent))
        return result

    def _weight(self) -> Tensor:
        return cast(Tensor, core_cell(self).weight_hh)

    def _draw(self) -> Tensor:
        self.mask = F.dropout(torch.ones_like(self._weight()), self.probability)
        self._product = None
        return self.mask

    def _dropped(self) -> Tensor:
        weight, cached = self._weight(), self._product
        if (
            cached is None
            or cached.weight is not weight
            or cached.version != weight._version  # changed in place, as by an optimiser
            or cached.dropped.requires_grad != (torch.is_grad_enabled() and weight.requires_grad)
        ):
            mask = self._draw() if self.mask is None else self.mask
            cached = self._product = _Product(weight, weight._version, weight * mask)
        return cached.dropped

    def __getstate__(self) -> dict[str, Any]:
        # a tensor with a graph cannot be copied; the copy computes its own product
        return self.__dict__ | {"_product": None}

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, probability={self.probability}"
