"""Variational dropout: one mask for all steps of a sequence."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor
from torch.nn import functional as F

from seqaudio.cells.affine import AffineCell
from seqaudio.cells.base import Cell
from seqaudio.cells.wrappers.base import WRAPPERS, Wrapper, check_probability, core_cell, core_state, state_fields
from seqaudio.errors import OptionError


class DropoutState(NamedTuple):
    cell: Any  # state of the held cell
    inputs_mask: Tensor  # [B, F]: 0 where an input is dropped, else 1 / (1 - p)
    hidden_mask: Tensor  # [B, H], the same for the recurrent connection


@WRAPPERS.register("variational_dropout")
class VariationalDropout(Wrapper):
    """In training mode, drops the same inputs and the same recurrent connections at every step of a sequence.

        h' = cell(m_x * x, U (m_h * h))

    The masks m are drawn for each row in `initial_state` and kept in the state, so a reset draws new masks for its
    row, and a state that is carried to the next window keeps its masks. Only what the recurrent weights U multiply is
    masked: the memory, or z * h in a GRU, is carried unmasked. In evaluation mode nothing is dropped.
    Source: Gal & Ghahramani (2016).

    Args:
        cell: any cell where only inputs are dropped; an AffineCell for the hidden state.
        inputs, hidden: probabilities of being dropped, 0 <= p <= 1.
    Raises:
        OptionError: the state has no field `hidden`, the cell is not an AffineCell, or a number is not a probability.
    """

    def __init__(self, cell: Cell[Any], inputs: float = 0.25, hidden: float = 0.25) -> None:
        super().__init__(cell)
        check_probability("variational_dropout", "inputs", inputs)
        check_probability("variational_dropout", "hidden", hidden)
        state_fields("variational_dropout", cell)
        core = core_cell(cell)
        if hidden and not isinstance(core, AffineCell):
            reason = "does not take a masked state" if hasattr(core, "weight_hh") else "has no recurrent weights"
            raise OptionError(
                f"variational_dropout got hidden {hidden} for {type(core).__name__}, which {reason}; "
                f"write variational_dropout={inputs:g},0"
            )
        self.inputs = inputs
        self.hidden = hidden

    def forward(self, inputs: Tensor, state: DropoutState, *recurrent: Tensor) -> tuple[Tensor, DropoutState]:
        self.check_width(inputs)
        if self.training:
            inputs = inputs * state.inputs_mask
            if self.hidden:
                hidden = recurrent[0] if recurrent else core_state(self, state).hidden
                recurrent = (hidden * state.hidden_mask,)
        outputs, inner = super().forward(inputs, state.cell, *recurrent)
        return outputs, state._replace(cell=inner)

    def zero_state(self, batch_size: int) -> DropoutState:
        """The held cell's zero state, and masks that drop nothing."""
        return self._with_masks(self.cell.zero_state(batch_size), drop=False)

    def initial_state(self, batch_size: int) -> DropoutState:
        """The held cell's initial state, and newly drawn masks in training mode."""
        return self._with_masks(self.cell.initial_state(batch_size), drop=self.training)

    def _with_masks(self, inner: Any, drop: bool) -> DropoutState:
        hidden = core_state(self.cell, inner).hidden
        return DropoutState(
            inner,
            F.dropout(hidden.new_ones(len(hidden), self.input_size), self.inputs, drop),
            F.dropout(hidden.new_ones(hidden.shape), self.hidden, drop),
        )

    def unwrap(self, state: DropoutState) -> Any:
        return state.cell

    def rewrap(self, state: DropoutState, inner: Any) -> DropoutState:
        return state._replace(cell=inner)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, inputs={self.inputs}, hidden={self.hidden}"
