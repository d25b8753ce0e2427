"""A residual connection around the cell."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from seqaudio.cells.base import Cell
from seqaudio.cells.wrappers.base import WRAPPERS, Wrapper
from seqaudio.errors import OptionError


@WRAPPERS.register("residual")
class Residual(Wrapper):
    """Adds each frame to the cell's outputs: y = cell(x, h) + x. The state does not change.

    Source: He et al. (2016); between recurrent layers Wu et al. (2016).

    Args:
        cell: outputs as wide as its inputs.
    Raises:
        OptionError: the widths differ; both are in the message.
    """

    def __init__(self, cell: Cell[Any]) -> None:
        super().__init__(cell)
        if cell.input_size != cell.output_size:
            raise OptionError(
                f"residual adds inputs to outputs, got {type(cell).__name__} with {cell.input_size} inputs and "
                f"{cell.output_size} outputs; make both widths equal"
            )

    def forward(self, inputs: Tensor, state: Any, *recurrent: Tensor) -> tuple[Tensor, Any]:
        outputs, state = super().forward(inputs, state, *recurrent)
        return outputs + inputs, state
