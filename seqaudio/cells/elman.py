"""The simple (Elman) recurrent cell, with tanh or ReLU."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from seqaudio.cells.affine import AffineCell
from seqaudio.cells.base import CELLS


class ElmanState(NamedTuple):
    hidden: Tensor  # [B, H]


@CELLS.register("elman")
class ElmanCell(AffineCell[ElmanState]):
    """One step of a simple recurrent network.

        h' = tanh(W x + b + U h + b')        also the output; equals torch.nn.RNNCell

    Source: Elman (1990). Biases start at zero.

    Args:
        inputs: [B, F] float, one frame per row.
        state: ElmanState(hidden [B, H]) of the previous step.
        recurrent: see AffineCell.
    Returns:
        outputs [B, H] and the next ElmanState.
    Raises:
        ValueError: F differs from the size given at construction; both sizes are in the message.
    """

    gates = 1

    def forward(self, inputs: Tensor, state: ElmanState, recurrent: Tensor | None = None) -> tuple[Tensor, ElmanState]:
        self.check_width(inputs)
        (x,), (h,) = self.from_inputs(inputs), self.from_hidden(state.hidden if recurrent is None else recurrent)
        hidden = self.activation(x + h)
        return hidden, ElmanState(hidden)

    def activation(self, total: Tensor) -> Tensor:
        return torch.tanh(total)

    def zero_state(self, batch_size: int) -> ElmanState:
        return ElmanState(self.zeros(batch_size))


@CELLS.register("elman_relu")
class ElmanReLUCell(ElmanCell):
    """One step of a simple recurrent network with ReLU: h' = max(0, W x + b + U h + b').

    The state is unbounded: clip gradients and prefer short windows. Equals torch.nn.RNNCell(nonlinearity="relu").
    """

    def activation(self, total: Tensor) -> Tensor:
        return torch.relu(total)
