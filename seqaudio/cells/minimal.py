"""Cells whose gates read the frame alone: the state is then a linear recurrence, which a layer can scan in parallel."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqaudio.cells.base import CELLS, Cell


class MinimalState(NamedTuple):
    hidden: Tensor  # [B, H]


class MinimalCell(Cell[MinimalState]):
    """A cell h' = a * h + b, with a and b [B, H] functions of the frame x [B, F] alone.

    weight_ih [G H, F] starts within sqrt(6 / (F + H)) in each gate (Glorot & Bengio 2010), bias_ih [G H] at zero.
    """

    gates: ClassVar[int]

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.hidden_size = hidden_size
        self.weight_ih = nn.Parameter(torch.empty(self.gates * hidden_size, input_size))
        self.bias_ih = nn.Parameter(torch.empty(self.gates * hidden_size))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw new weights from torch's global generator."""
        for gate in self.weight_ih.chunk(self.gates):
            nn.init.xavier_uniform_(gate)
        nn.init.zeros_(self.bias_ih)

    @abstractmethod
    def coefficients(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """a and b of h' = a * h + b, [..., H] each, for frames [..., F]; a lies in 0..1."""

    def from_inputs(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """W x + b for each gate: G tensors [..., H]."""
        return F.linear(inputs, self.weight_ih, self.bias_ih).chunk(self.gates, dim=-1)

    def forward(self, inputs: Tensor, state: MinimalState) -> tuple[Tensor, MinimalState]:
        self.check_width(inputs)
        a, b = self.coefficients(inputs)
        hidden = a * state.hidden + b
        return hidden, MinimalState(hidden)

    def zero_state(self, batch_size: int) -> MinimalState:
        return MinimalState(self.weight_ih.new_zeros(batch_size, self.output_size))


@CELLS.register("min_gru")
class MinGRUCell(MinimalCell):
    """One step of a minimal gated recurrent unit.

        z  = sigmoid(W x + b)          z = 1 takes the candidate, where GRUCell keeps h; weights are stacked z, n
        n  = W x + b                   candidate
        h' = (1 - z) * h + z * n       also the output

    Source: Feng et al. (2024), without the function that makes their candidate positive.

    Args:
        inputs: [B, F] float, one frame per row.
        state: MinimalState(hidden [B, H]) of the previous step.
    Returns:
        outputs [B, H] and the next MinimalState.
    Raises:
        ValueError: F differs from the size given at construction; both sizes are in the message.
    """

    gates = 2

    def coefficients(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        z, n = self.from_inputs(inputs)
        return torch.sigmoid(-z), torch.sigmoid(z) * n


@CELLS.register("min_lstm")
class MinLSTMCell(MinimalCell):
    """One step of a minimal long short-term memory.

        f, i = sigmoid(W x + b)                       forget and input gates; weights are stacked f, i, n
        n    = W x + b                                candidate
        h'   = f / (f + i) * h + i / (f + i) * n      also the output

    Source: Feng et al. (2024), the variant with normalised gates, whose scale does not depend on time.

    Args:
        inputs: [B, F] float, one frame per row.
        state: MinimalState(hidden [B, H]) of the previous step.
    Returns:
        outputs [B, H] and the next MinimalState.
    Raises:
        ValueError: F differs from the size given at construction; both sizes are in the message.
    """

    gates = 3

    def coefficients(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        f, i, n = self.from_inputs(inputs)
        # f / (f + i) = sigmoid(log f - log i), which stays defined where both gates underflow to zero
        difference = F.logsigmoid(f) - F.logsigmoid(i)
        return torch.sigmoid(difference), torch.sigmoid(-difference) * n
