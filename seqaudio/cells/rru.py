"""The residual recurrent unit: no gates, but a residual connection of the state and a normalised hidden layer."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqaudio.cells.base import CELLS, Cell

EPSILON = 1e-5  # added to the mean square
WIDENING = 2  # q: hidden units of a step for each number that it reads
KEPT = 0.01  # least share of a unit's memory that a step keeps at the start of training, and that it drops
RATE = 10.0  # what the memory keeps is learned as fast as if its learning rate were higher by this factor


class RRUState(NamedTuple):
    hidden: Tensor  # [B, H], the output
    memory: Tensor  # [B, H], carried from step to step


@CELLS.register("rru")
class RRUCell(Cell[RRUState]):
    """One step of a residual recurrent unit.

        a    = W x + U m + b                    [B, Q], Q = 2 (F + H)
        j    = max(0, a / sqrt(mean(a^2) + 1e-5))
        c, o = V j + d                          candidate and output, stacked in this order
        m'   = sigmoid(10 s) * m + z * c        memory: a residual connection with ReZero
        h'   = o                                also the output; no step reads it

    Source: Zakovskis et al. (2021), "Gates are not what you need in RNNs"; their dropout of j is not part of the cell,
    and their memory starts at a constant other than zero (here zero, or learned).

    weight_ih (W) [Q, F] and weight_hh (U) [Q, H] start within sqrt(6 / (F + H + Q)), weight_out (V) [2 H, Q] within
    sqrt(6 / (Q + 2 H)) (Glorot & Bengio 2010), biases at zero, rezero (z) [H] at zero, and keep (s) [H] such that
    sigmoid(10 s) is uniform in 0.01 .. 0.99: units forget after different times.

    Args:
        inputs: [B, F] float, one frame per row.
        state: RRUState(hidden [B, H], memory [B, H]) of the previous step.
    Returns:
        outputs [B, H] and the next RRUState.
    Raises:
        ValueError: F differs from the size given at construction; both sizes are in the message.
    """

    unread = ("hidden",)

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.hidden_size = hidden_size
        middle = WIDENING * (input_size + hidden_size)
        self.weight_ih = nn.Parameter(torch.empty(middle, input_size))
        self.weight_hh = nn.Parameter(torch.empty(middle, hidden_size))
        self.bias_ih = nn.Parameter(torch.empty(middle))
        self.weight_out = nn.Parameter(torch.empty(2 * hidden_size, middle))
        self.bias_out = nn.Parameter(torch.empty(2 * hidden_size))
        self.keep = nn.Parameter(torch.empty(hidden_size))
        self.rezero = nn.Parameter(torch.empty(hidden_size))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw new weights from torch's global generator."""
        middle, width = len(self.bias_ih), self.input_size + self.hidden_size
        bound = math.sqrt(6 / (width + middle))
        nn.init.uniform_(self.weight_ih, -bound, bound)
        nn.init.uniform_(self.weight_hh, -bound, bound)
        nn.init.xavier_uniform_(self.weight_out)
        nn.init.zeros_(self.bias_ih)
        nn.init.zeros_(self.bias_out)
        nn.init.zeros_(self.rezero)
        self.keep.copy_(torch.empty_like(self.keep).uniform_(KEPT, 1 - KEPT).logit() / RATE)

    def forward(self, inputs: Tensor, state: RRUState) -> tuple[Tensor, RRUState]:
        self.check_width(inputs)
        a = F.linear(inputs, self.weight_ih, self.bias_ih) + F.linear(state.memory, self.weight_hh)
        j = torch.relu(a * torch.rsqrt(a.square().mean(dim=1, keepdim=True) + EPSILON))
        c, o = F.linear(j, self.weight_out, self.bias_out).chunk(2, dim=1)
        memory = torch.sigmoid(RATE * self.keep) * state.memory + self.rezero * c
        return o, RRUState(o, memory)

    def zero_state(self, batch_size: int) -> RRUState:
        zeros = self.keep.new_zeros(batch_size, self.hidden_size)
        return RRUState(zeros, zeros.clone())
