"""Steps of layers for sampling: many rows at once, each of which has the bits that it has alone.

    inputs known beforehand, such as embeddings ──prepared──> a table, once ──rows of it──┐
    outputs of the layer below ───────────────────────────────prepared, each step─────────┴─> step ─> outputs

A stepper holds a copy of the weights as they were when it was made, in an order that suits steps.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqaudio.cells import GRUCell, LSTMCell
from seqaudio.layers.base import Layer
from seqaudio.state import State, map_state

Rows = npt.NDArray[Any]


class Stepper(ABC):
    """Single steps of a layer in evaluation mode, without gradients; see `stepper_of`."""

    @abstractmethod
    def table(self, inputs: Tensor, first: int = 0, bias: bool = True) -> Tensor:
        """Products of the input weights with inputs [N, f]: columns first .. first + f of frames, zero elsewhere.

        [N, P]; the tables of several parts of a frame may be added, if one of them has the bias.
        """

    @abstractmethod
    def room(self, rows: int) -> Rows:
        """Memory for prepared rows [B, P]."""

    @abstractmethod
    def prepared(self, inputs: Rows) -> Rows:
        """[B, P] of whole frames [B, F], by operations on each row alone."""

    @abstractmethod
    def step(self, prepared: Rows, state: State) -> tuple[Rows, State]:
        """One step of prepared rows [B, P] to outputs [B, H] and the next state; may overwrite both arguments."""


class RowByRow(Stepper):
    """Steps of any layer, one row after the other: with more rows at once, torch's products may round otherwise."""

    def __init__(self, layer: Layer) -> None:
        self._layer = layer
        self._dtype = next(layer.parameters()).detach().numpy().dtype

    def table(self, inputs: Tensor, first: int = 0, bias: bool = True) -> Tensor:
        return F.pad(inputs, (first, self._layer.input_size - first - inputs.shape[1]))

    def room(self, rows: int) -> Rows:
        return np.empty((rows, self._layer.input_size), dtype=self._dtype)

    def prepared(self, inputs: Rows) -> Rows:
        return inputs

    def step(self, prepared: Rows, state: State) -> tuple[Rows, State]:
        outputs, state = row_by_row(self._layer.step, torch.from_numpy(prepared), state)
        return outputs.numpy(), state


def row_by_row(step: Callable[[Tensor, State], tuple[Tensor, State]], inputs: Tensor, state: State) -> Any:
    """A step of inputs [B, ...] and a state, each row by a call of its own: outputs and the next state."""
    # copies, as products may round by where in memory a row begins, too
    stepped = [
        step(inputs[b : b + 1].clone(), map_state(lambda part, b=b: part[b : b + 1].clone(), state))
        for b in range(len(inputs))
    ]
    outputs, states = zip(*stepped, strict=True)
    return torch.cat(outputs), map_state(lambda *parts: torch.cat(parts), *states)


class Panels:
    """The affine map W x + b of rows [B, K] to [B, M], W and b padded to a whole number of panels."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        from seqaudio.layers.kernels.compiled.panels import PANEL

        M, K = weight.shape
        self.width = -(-M // PANEL) * PANEL  # the width of sums
        whole = F.pad(weight, (0, 0, 0, self.width - M))
        self.weight: Rows = whole.view(-1, PANEL, K).transpose(1, 2).contiguous().flatten().numpy()
        self.bias: Rows = F.pad(bias, (0, self.width - M)).contiguous().numpy()
        self._room: Rows = np.empty((0, self.width), dtype=self.bias.dtype)

    def room(self, rows: int) -> Rows:
        """Memory for sums [B, width] until the next call: new memory at each step costs as much as its arithmetic."""
        if len(self._room) < rows:
            self._room = np.empty((rows, self.width), dtype=self.bias.dtype)
        return self._room[:rows]

    def starting(self, rows: int) -> Rows:
        """[B, width] of the bias, in `room`."""
        from seqaudio.layers.kernels.compiled import single_steps

        sums = self.room(rows)
        single_steps.repeat(self.bias, sums)
        return sums

    def __call__(self, rows: Rows) -> Rows:
        """[B, width] of rows [B, K], in `room`."""
        from seqaudio.layers.kernels.compiled.panels import add_products

        sums = self.starting(len(rows))
        add_products(rows, self.weight, sums)
        return sums


class AffineStepper(Stepper):
    """Steps of an LSTM or a GRU, whose frames are prepared by their product with the weights."""

    def __init__(self, cell: LSTMCell | GRUCell, bias: Tensor, recurrent_bias: Tensor) -> None:
        self._weight_ih = cell.weight_ih.detach().clone()
        self._from_inputs = Panels(self._weight_ih, bias)
        self._recurrent = Panels(cell.weight_hh.detach(), recurrent_bias)

    def table(self, inputs: Tensor, first: int = 0, bias: bool = True) -> Tensor:
        products = inputs @ self._weight_ih[:, first : first + inputs.shape[1]].t()
        products = F.pad(products, (0, self._from_inputs.width - products.shape[1]))
        return products + torch.from_numpy(self._from_inputs.bias) if bias else products

    def room(self, rows: int) -> Rows:
        return self._from_inputs.room(rows)

    def prepared(self, inputs: Rows) -> Rows:
        return self._from_inputs(inputs)


class LSTMStepper(AffineStepper):
    """Steps of an LSTM."""

    def __init__(self, cell: LSTMCell) -> None:
        bias = (cell.bias_ih + cell.bias_hh).detach()
        super().__init__(cell, bias, torch.zeros_like(bias))

    def step(self, prepared: Rows, state: State) -> tuple[Rows, State]:
        from seqaudio.layers.kernels.compiled import single_steps

        hidden, memory = (part.numpy() for part in state)  # type: ignore[union-attr]  # the tensors of an LSTMState
        single_steps.lstm_step(prepared, self._recurrent.weight, hidden, memory)
        return hidden, state


class GRUStepper(AffineStepper):
    """Steps of a GRU."""

    def __init__(self, cell: GRUCell) -> None:
        super().__init__(cell, cell.bias_ih.detach().clone(), cell.bias_hh.detach())

    def step(self, prepared: Rows, state: State) -> tuple[Rows, State]:
        from seqaudio.layers.kernels.compiled import single_steps

        hidden = state[0].numpy()  # type: ignore[union-attr]  # the tensor of a GRUState
        products = self._recurrent.starting(len(hidden))
        single_steps.gru_step(prepared, self._recurrent.weight, products, hidden)
        return hidden, state


def stepper_of(layer: Layer) -> Stepper:
    """The fastest steps of a layer: compiled for an LSTM or a GRU, `RowByRow` otherwise."""
    cell: nn.Module | None = getattr(layer, "cell", None)
    if type(cell) is LSTMCell:
        return LSTMStepper(cell)
    if type(cell) is GRUCell:
        return GRUStepper(cell)
    return RowByRow(layer)
