"""The gated recurrent unit, and its variant with the reset before the matrix product."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from seqaudio.cells.affine import AffineCell
from seqaudio.cells.base import CELLS


class GRUState(NamedTuple):
    hidden: Tensor  # [B, H]


@CELLS.register("gru")
class GRUCell(AffineCell[GRUState]):
    """One step of a gated recurrent unit, reset applied after the matrix product.

        r, z = sigmoid(W x + b + U h + b')     reset and update gates; weights are stacked r, z, n
        n    = tanh(W x + b + r * (U h + b'))
        h'   = (1 - z) * n + z * h             also the output; equals torch.nn.GRUCell

    Source: Cho et al. (2014); the reset is placed as in cuDNN. Biases start at zero.

    Args:
        inputs: [B, F] float, one frame per row.
        state: GRUState(hidden [B, H]) of the previous step.
        recurrent: see AffineCell.
    Returns:
        outputs [B, H] and the next GRUState.
    Raises:
        ValueError: F differs from the size given at construction; both sizes are in the message.
    """

    gates = 3
    gate_names = ("reset", "update")

    def forward(self, inputs: Tensor, state: GRUState, recurrent: Tensor | None = None) -> tuple[Tensor, GRUState]:
        self.check_width(inputs)
        x_r, x_z, x_n = self.from_inputs(inputs)
        h_r, h_z, h_n = self.from_hidden(state.hidden if recurrent is None else recurrent)
        r = torch.sigmoid(x_r + h_r)
        z = torch.sigmoid(x_z + h_z)
        n = torch.tanh(x_n + r * h_n)
        hidden = (1 - z) * n + z * state.hidden
        return hidden, GRUState(hidden)

    def zero_state(self, batch_size: int) -> GRUState:
        return GRUState(self.zeros(batch_size))


@CELLS.register("gru_reset_before")
class GRUResetBeforeCell(GRUCell):
    """One step of a gated recurrent unit, reset applied before the matrix product.

        r, z = sigmoid(W x + b + U h + b')     reset and update gates; weights are stacked r, z, n
        n    = tanh(W x + b + U (r * h) + b')
        h'   = (1 - z) * n + z * h             also the output

    Source: Cho et al. (2014). Parameters and their initialisation are those of GRUCell.

    Args:
        inputs: [B, F] float, one frame per row.
        state: GRUState(hidden [B, H]) of the previous step.
        recurrent: see AffineCell.
    Returns:
        outputs [B, H] and the next GRUState.
    Raises:
        ValueError: F differs from the size given at construction; both sizes are in the message.
    """

    def forward(self, inputs: Tensor, state: GRUState, recurrent: Tensor | None = None) -> tuple[Tensor, GRUState]:
        self.check_width(inputs)
        h = state.hidden if recurrent is None else recurrent
        x_r, x_z, x_n = self.from_inputs(inputs)
        U_r, U_z, U_n = self.weight_hh.chunk(3)
        b_r, b_z, b_n = self.bias_hh.chunk(3)
        r = torch.sigmoid(x_r + F.linear(h, U_r, b_r))
        z = torch.sigmoid(x_z + F.linear(h, U_z, b_z))
        n = torch.tanh(x_n + F.linear(r * h, U_n, b_n))
        hidden = (1 - z) * n + z * state.hidden
        return hidden, GRUState(hidden)
