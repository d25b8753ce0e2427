"""LSTM and GRU with layer normalisation of their affine maps at every step."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqaudio.cells.affine import AffineCell
from seqaudio.cells.base import CELLS
from seqaudio.cells.gru import GRUCell, GRUState
from seqaudio.cells.lstm import LSTMCell, LSTMState
from seqaudio.state import StateT

EPSILON = 1e-5  # added to the variance


class LayerNormCell(AffineCell[StateT]):
    """An affine cell whose two maps are normalised, each over the G H values of all gates of a row together.

        W x + b   becomes  LN(W x) * gain_ih + bias_ih
        U h + b'  becomes  LN(U h) * gain_hh + bias_hh
        LN(a) = (a - mean(a)) / sqrt(variance(a) + 1e-5)

    gain_ih and gain_hh [G H] start at one.
    """

    def add_parameters(self) -> None:
        super().add_parameters()
        self.gain_ih = nn.Parameter(torch.empty(self.gates * self.hidden_size))
        self.gain_hh = nn.Parameter(torch.empty(self.gates * self.hidden_size))

    def reset_parameters(self) -> None:
        super().reset_parameters()
        nn.init.ones_(self.gain_ih)
        nn.init.ones_(self.gain_hh)

    def from_inputs(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """LN(W x) * gain_ih + bias_ih for each gate: G tensors [B, H]."""
        products = F.linear(inputs, self.weight_ih)
        return _normalise(products, self.gain_ih, self.bias_ih).chunk(self.gates, dim=1)

    def from_hidden(self, hidden: Tensor) -> tuple[Tensor, ...]:
        """LN(U h) * gain_hh + bias_hh for each gate: G tensors [B, H]."""
        products = F.linear(hidden, self.weight_hh)
        return _normalise(products, self.gain_hh, self.bias_hh).chunk(self.gates, dim=1)


@CELLS.register("layer_norm_lstm")
class LayerNormLSTMCell(LayerNormCell[LSTMState], LSTMCell):
    """One step of a long short-term memory with layer normalisation.

        x       = LN(W x) * gain_ih + bias_ih                    LN over the 4 H values of all gates together
        h       = LN(U h) * gain_hh + bias_hh
        i, f, o = sigmoid(x + h)                                 input, forget and output gates
        g       = tanh(x + h)                                    candidate; weights are stacked i, f, g, o
        c'      = f * c + i * g                                  memory, carried without normalisation
        h'      = o * tanh(LN(c') * gain_memory + bias_memory)   also the output; LN over H values

    Source: Ba, Kiros & Hinton (2016). Gains start at one, gain_memory and bias_memory have shape [H]; all else starts
    as in LSTMCell, the forget gate's bias at one.

    Args:
        inputs: [B, F] float, one frame per row.
        state: LSTMState(hidden [B, H], memory [B, H]) of the previous step.
        recurrent: see AffineCell.
    Returns:
        outputs [B, H] and the next LSTMState.
    Raises:
        ValueError: F differs from the size given at construction; both sizes are in the message.
    """

    def add_parameters(self) -> None:
        super().add_parameters()
        self.gain_memory = nn.Parameter(torch.empty(self.hidden_size))
        self.bias_memory = nn.Parameter(torch.empty(self.hidden_size))

    def reset_parameters(self) -> None:
        super().reset_parameters()
        nn.init.ones_(self.gain_memory)
        nn.init.zeros_(self.bias_memory)

    def read(self, memory: Tensor) -> Tensor:
        """tanh of the normalised memory, [B, H]."""
        return torch.tanh(_normalise(memory, self.gain_memory, self.bias_memory))


@CELLS.register("layer_norm_gru")
class LayerNormGRUCell(LayerNormCell[GRUState], GRUCell):
    """One step of a gated recurrent unit with layer normalisation, reset applied after the matrix product.

        x    = LN(W x) * gain_ih + bias_ih     LN over the 3 H values of all gates together
        h    = LN(U h) * gain_hh + bias_hh
        r, z = sigmoid(x + h)                  reset and update gates; weights are stacked r, z, n
        n    = tanh(x + r * h)
        h'   = (1 - z) * n + z * h             h of the previous step, not normalised; also the output

    Source: Ba, Kiros & Hinton (2016). Gains start at one, biases at zero.

    Args:
        inputs: [B, F] float, one frame per row.
        state: GRUState(hidden [B, H]) of the previous step.
        recurrent: see AffineCell.
    Returns:
        outputs [B, H] and the next GRUState.
    Raises:
        ValueError: F differs from the size given at construction; both sizes are in the message.
    """


def _normalise(values: Tensor, gain: Tensor, bias: Tensor) -> Tensor:
    return F.layer_norm(values, gain.shape, gain, bias, EPSILON)
