"""The long short-term memory cell."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from seqaudio.cells.affine import AffineCell
from seqaudio.cells.base import CELLS


class LSTMState(NamedTuple):
    hidden: Tensor  # [B, H]
    memory: Tensor  # [B, H]


@CELLS.register("lstm")
class LSTMCell(AffineCell[LSTMState]):
    """One step of a long short-term memory with forget gate.

        i, f, o = sigmoid(W x + b + U h + b')      input, forget and output gates
        g       = tanh(W x + b + U h + b')         candidate; weights are stacked i, f, g, o
        c'      = f * c + i * g                    memory
        h'      = o * tanh(c')                     also the output; equals torch.nn.LSTMCell

    Source: Hochreiter & Schmidhuber (1997); forget gate of Gers et al. (2000). The bias of the forget gate starts at
    one (Jozefowicz et al. 2015), in bias_ih; all other biases start at zero.

    Args:
        inputs: [B, F] float, one frame per row.
        state: LSTMState(hidden [B, H], memory [B, H]) of the previous step.
        recurrent: see AffineCell.
    Returns:
        outputs [B, H] and the next LSTMState.
    Raises:
        ValueError: F differs from the size given at construction; both sizes are in the message.
    """

    gates = 4
    gate_names = ("forget", "input", "output")

    def reset_parameters(self) -> None:
        super().reset_parameters()
        forget_bias = self.bias_ih.detach().chunk(4)[1]
        nn.init.ones_(forget_bias)

    def forward(self, inputs: Tensor, state: LSTMState, recurrent: Tensor | None = None) -> tuple[Tensor, LSTMState]:
        self.check_width(inputs)
        from_hidden = self.from_hidden(state.hidden if recurrent is None else recurrent)
        i, f, g, o = (x + h for x, h in zip(self.from_inputs(inputs), from_hidden, strict=True))
        memory = torch.sigmoid(f) * state.memory + torch.sigmoid(i) * torch.tanh(g)
        hidden = torch.sigmoid(o) * self.read(memory)
        return hidden, LSTMState(hidden, memory)

    def read(self, memory: Tensor) -> Tensor:
        """tanh of the memory, [B, H]: the value that the output gate scales."""
        return torch.tanh(memory)

    def zero_state(self, batch_size: int) -> LSTMState:
        return LSTMState(self.zeros(batch_size), self.zeros(batch_size))
