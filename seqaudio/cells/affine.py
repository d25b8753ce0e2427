"""The base class of Elman, LSTM and GRU cells: affine maps of the frame and of the previous hidden state."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqaudio.cells.base import Cell
from seqaudio.state import StateT


class AffineCell(Cell[StateT]):
    """A cell whose G gates are affine in the inputs x [B, F] and in the previous hidden state h [B, P].

    Names, shapes and gate order are those of torch.nn's cells, so weights can be copied one to one:
    weight_ih [G H, F], weight_hh [G H, P], bias_ih [G H], bias_hh [G H]. P is H, except in a projected cell.

    `forward` takes one more argument, `recurrent` [B, P]: the tensor that the recurrent weights multiply in place of
    the previous hidden state. Dropout on the recurrent connection goes there, so that what a cell carries over without
    those weights, such as z * h in a GRU, is not dropped with it.

    Initialisation, gate by gate: weight_ih uniform within sqrt(6 / (F + H)) (Glorot & Bengio 2010),
    weight_hh orthogonal (Saxe et al. 2014), so that repeated products neither grow nor shrink, biases zero.
    """

    gates: ClassVar[int]

    def __init__(self, input_size: int, hidden_size: int, output_size: int | None = None) -> None:
        super().__init__(input_size, hidden_size if output_size is None else output_size)
        self.hidden_size = hidden_size
        self.weight_ih = nn.Parameter(torch.empty(self.gates * hidden_size, input_size))
        self.weight_hh = nn.Parameter(torch.empty(self.gates * hidden_size, self.output_size))
        self.bias_ih = nn.Parameter(torch.empty(self.gates * hidden_size))
        self.bias_hh = nn.Parameter(torch.empty(self.gates * hidden_size))
        self.add_parameters()
        self.reset_parameters()

    def add_parameters(self) -> None:
        """Allocate a subclass's further parameters, uninitialised; `reset_parameters` fills them."""

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw new weights from torch's global generator."""
        for gate in self.weight_ih.chunk(self.gates):
            nn.init.xavier_uniform_(gate)
        for gate in self.weight_hh.chunk(self.gates):
            nn.init.orthogonal_(gate)
        nn.init.zeros_(self.bias_ih)
        nn.init.zeros_(self.bias_hh)

    def from_inputs(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """W x + b for each gate: G tensors [B, H]."""
        return F.linear(inputs, self.weight_ih, self.bias_ih).chunk(self.gates, dim=1)

    def from_hidden(self, hidden: Tensor) -> tuple[Tensor, ...]:
        """U h + b' for each gate: G tensors [B, H]."""
        return F.linear(hidden, self.weight_hh, self.bias_hh).chunk(self.gates, dim=1)

    def zeros(self, batch_size: int, width: int | None = None) -> Tensor:
        """Zeros [B, width] on the device and in the dtype of the weights; `width` is the output width by default."""
        return self.weight_hh.new_zeros(batch_size, self.output_size if width is None else width)
