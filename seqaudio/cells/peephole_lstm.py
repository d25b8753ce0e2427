"""The LSTM with peepholes: its gates read the memory."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqaudio.cells.base import CELLS
from seqaudio.cells.lstm import LSTMCell, LSTMState


@CELLS.register("peephole_lstm")
class PeepholeLSTMCell(LSTMCell):
    """One step of a long short-term memory with peepholes.

        i, f = sigmoid(W x + b + U h + b' + p * c)      input and forget gates read the previous memory
        g    = tanh(W x + b + U h + b')                 candidate; weights are stacked i, f, g, o
        c'   = f * c + i * g                            memory
        o    = sigmoid(W x + b + U h + b' + p * c')     the output gate reads the new memory
        h'   = o * tanh(c')                             also the output

    Source: Gers, Schraudolph & Schmidhuber (2002). weight_peephole [3, H] holds p of i, f and o and starts at zero,
    which makes the cell an LSTMCell; all else starts as in LSTMCell.

    Args:
        inputs: [B, F] float, one frame per row.
        state: LSTMState(hidden [B, H], memory [B, H]) of the previous step.
        recurrent: see AffineCell.
    Returns:
        outputs [B, H] and the next LSTMState.
    Raises:
        ValueError: F differs from the size given at construction; both sizes are in the message.
    """

    gate_names = ("input", "forget", "output")

    def add_parameters(self) -> None:
        self.weight_peephole = nn.Parameter(torch.empty(3, self.hidden_size))

    def reset_parameters(self) -> None:
        super().reset_parameters()
        nn.init.zeros_(self.weight_peephole)

    def forward(self, inputs: Tensor, state: LSTMState, recurrent: Tensor | None = None) -> tuple[Tensor, LSTMState]:
        self.check_width(inputs)
        from_hidden = self.from_hidden(state.hidden if recurrent is None else recurrent)
        i, f, g, o = (x + h for x, h in zip(self.from_inputs(inputs), from_hidden, strict=True))
        p_i, p_f, p_o = self.weight_peephole
        i = torch.sigmoid(i + p_i * state.memory)
        f = torch.sigmoid(f + p_f * state.memory)
        memory = f * state.memory + i * torch.tanh(g)
        hidden = torch.sigmoid(o + p_o * memory) * self.read(memory)
        return hidden, LSTMState(hidden, memory)
