"""Replace fused layers by loops over cells with the same parameters, so that every step can be recorded."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from seqaudio.cells import (
    Cell,
    ElmanCell,
    ElmanReLUCell,
    ElmanState,
    GRUCell,
    GRUState,
    LSTMCell,
    LSTMState,
    ProjectedLSTMCell,
)
from seqaudio.layers import Bidirectional, FusedLayer, Layer, Stack, Unrolled
from seqaudio.state import flatten

TORCH_LAYERS = (nn.RNN, nn.LSTM, nn.GRU)
TORCH_CELLS = (nn.RNNCell, nn.LSTMCell, nn.GRUCell)
PARAMETERS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")


def step_by_step(module: nn.Module) -> nn.Module:
    """The module with its fused layers, torch's and ours, replaced by loops over cells with the same parameters.

    Changes the module in place; pass a copy.
    """
    replacements: dict[int, nn.Module] = {}

    def replaced(part: nn.Module) -> nn.Module:
        if id(part) in replacements:  # the same part in two places
            return replacements[id(part)]
        new = _replacement(part)
        replacements[id(part)] = new
        if new is part and not isinstance(part, Cell):
            for name, child in list(part.named_children()):
                setattr(part, name, replaced(child))
        return new

    return replaced(module)


def _replacement(part: nn.Module) -> nn.Module:
    if isinstance(part, FusedLayer):
        return Unrolled(part.cell)
    # not subclasses, which may compute something else
    if type(part) in TORCH_LAYERS:
        assert isinstance(part, nn.RNNBase)
        return TorchLayer(part)
    if type(part) in TORCH_CELLS:
        return TorchCell(part)
    return part


def stack_of(module: nn.RNNBase) -> Stack:
    """torch.nn.RNN, LSTM or GRU as a stack of our cells that share its parameters. Time-major, without dropout."""

    def layer(number: int, reverse: bool = False) -> Unrolled:
        suffix = f"_l{number}" + ("_reverse" if reverse else "")
        found = {name: getattr(module, name + suffix, None) for name in PARAMETERS}
        return Unrolled(_cell(module, found))

    layers: list[Layer] = [
        Bidirectional(layer(number), layer(number, True)) if module.bidirectional else layer(number)
        for number in range(module.num_layers)
    ]
    return Stack(layers)


def _cell(module: nn.Module, parameters: dict[str, Any]) -> Cell[Any]:
    """A cell of the module's kind that holds these parameters; missing biases are zero."""
    weight_ih, weight_hh = parameters["weight_ih"], parameters["weight_hh"]
    width, projected = weight_ih.shape[1], weight_hh.shape[1]
    cell: Cell[Any]
    with torch.device("meta"):  # no random number is drawn
        if isinstance(module, nn.LSTM | nn.LSTMCell):
            hidden = weight_ih.shape[0] // 4
            narrow = parameters.get("weight_hr") is not None
            cell = ProjectedLSTMCell(width, hidden, projected) if narrow else LSTMCell(width, hidden)
        elif isinstance(module, nn.GRU | nn.GRUCell):
            cell = GRUCell(width, projected)
        else:
            cell = (ElmanReLUCell if module.nonlinearity == "relu" else ElmanCell)(width, projected)
    for name, _ in list(cell.named_parameters()):
        held = parameters.get(name)
        setattr(cell, name, nn.Parameter(weight_ih.new_zeros(len(weight_ih))) if held is None else held)
    return cell


class TorchLayer(nn.Module):
    """The interface of torch.nn.RNN, LSTM and GRU, packed sequences too, over our cells."""

    def __init__(self, module: nn.RNNBase) -> None:
        super().__init__()
        self.stack = stack_of(module)
        self.batch_first = module.batch_first
        self.memory = isinstance(module, nn.LSTM)
        self.directions = 2 if module.bidirectional else 1

    def forward(self, inputs: Tensor | PackedSequence, state: Any = None) -> tuple[Tensor | PackedSequence, Any]:
        lengths = None
        packed = isinstance(inputs, PackedSequence)
        if isinstance(inputs, PackedSequence):
            inputs, lengths = pad_packed_sequence(inputs)
        elif inputs.dim() != 3:
            raise ValueError(f"got inputs of shape {list(inputs.shape)}, expected 3 dimensions; add one for the batch")
        elif self.batch_first:
            inputs = inputs.transpose(0, 1)
        outputs, after = self.stack(inputs, None if state is None else self._to_stack(state), lengths)
        if packed:
            assert lengths is not None
            return pack_padded_sequence(outputs, lengths, enforce_sorted=False), self._to_torch(after)
        return outputs.transpose(0, 1) if self.batch_first else outputs, self._to_torch(after)

    def _to_stack(self, state: Any) -> Any:
        """The stack's state from torch's: h [L D, B, H] and, in an LSTM, c [L D, B, H]."""
        if self.memory:
            cells: list[Any] = [LSTMState(h, c) for h, c in zip(*state, strict=True)]
        else:
            cells = [ElmanState(h) for h in state]
        if self.directions == 1:
            return tuple(cells)
        return tuple(zip(cells[::2], cells[1::2], strict=True))

    def _to_torch(self, state: Any) -> Any:
        """The inverse of `_to_stack`."""
        parts = flatten(state)
        hidden = torch.stack([tensor for name, tensor in parts.items() if name.endswith("hidden")])
        if not self.memory:
            return hidden
        return hidden, torch.stack([tensor for name, tensor in parts.items() if name.endswith("memory")])


class TorchCell(nn.Module):
    """The interface of torch.nn.RNNCell, LSTMCell and GRUCell over one of our cells."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.cell = _cell(module, {name: getattr(module, name, None) for name in PARAMETERS})
        self.memory = isinstance(module, nn.LSTMCell)

    def forward(self, inputs: Tensor, state: Any = None) -> Any:
        if state is None:
            before = self.cell.zero_state(len(inputs))
        elif self.memory:
            before = LSTMState(*state)
        else:
            before = GRUState(state)
        _, after = self.cell(inputs, before)
        return tuple(after) if self.memory else after.hidden


class StepFunction(nn.Module):
    """A function (inputs [B, ...], state) -> (outputs [B, ...], state) as a module with a cell's interface."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, inputs: Tensor, state: Any) -> tuple[Tensor, Any]:
        outputs, state = self.function(inputs, state)
        return outputs, state
