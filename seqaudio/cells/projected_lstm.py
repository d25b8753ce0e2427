"""The LSTM with a projected, narrower hidden state."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqaudio.cells.base import CELLS
from seqaudio.cells.lstm import LSTMCell, LSTMState


@CELLS.register("projected_lstm")
class ProjectedLSTMCell(LSTMCell):
    """One step of a long short-term memory whose hidden state is a projection of the gated memory.

        i, f, o = sigmoid(W x + b + U h + b')      h has P values, the gates have H
        g       = tanh(W x + b + U h + b')         candidate; weights are stacked i, f, g, o
        c'      = f * c + i * g                    memory
        h'      = W_hr (o * tanh(c'))              also the output; equals torch.nn.LSTM(F, H, proj_size=P)

    Source: Sak et al. (2014). weight_hr [P, H] starts with orthogonal rows, all else as in LSTMCell.

    Args:
        input_size: F. hidden_size: H, the width of gates and memory.
        projection_size: P, the width of hidden state and outputs; half of H by default.

        inputs: [B, F] float, one frame per row.
        state: LSTMState(hidden [B, P], memory [B, H]) of the previous step.
        recurrent: see AffineCell.
    Returns:
        outputs [B, P] and the next LSTMState.
    Raises:
        ValueError: F differs from the size given at construction, or P exceeds H; both sizes are in the message.
    """

    def __init__(self, input_size: int, hidden_size: int, projection_size: int | None = None) -> None:
        if projection_size is not None and projection_size > hidden_size:
            raise ValueError(
                f"got a projection of {hidden_size} values to {projection_size}, expected at most {hidden_size}; "
                f"lower the projection size"
            )
        width = max(1, hidden_size // 2) if projection_size is None else projection_size
        super().__init__(input_size, hidden_size, width)

    def add_parameters(self) -> None:
        self.weight_hr = nn.Parameter(torch.empty(self.output_size, self.hidden_size))

    def reset_parameters(self) -> None:
        super().reset_parameters()
        nn.init.orthogonal_(self.weight_hr)

    def forward(self, inputs: Tensor, state: LSTMState, recurrent: Tensor | None = None) -> tuple[Tensor, LSTMState]:
        wide, (_, memory) = super().forward(inputs, state, recurrent)
        hidden = F.linear(wide, self.weight_hr)
        return hidden, LSTMState(hidden, memory)

    def zero_state(self, batch_size: int) -> LSTMState:
        return LSTMState(self.zeros(batch_size), self.zeros(batch_size, self.hidden_size))
