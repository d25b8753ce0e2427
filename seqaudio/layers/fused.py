"""Fused layers: the results of `Unrolled` in less time.

Products with the inputs are computed for all steps at once; a step is then one product with the state and one kernel.
`kernels/choice.py` says which kernel.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Generic, TypeVar

import torch
from torch import Tensor

from seqaudio.cells import (
    Cell,
    ElmanCell,
    ElmanReLUCell,
    GRUCell,
    GRUState,
    LayerNormGRUCell,
    LayerNormLSTMCell,
    LSTMCell,
    LSTMState,
    MinGRUCell,
    MinimalCell,
    MinimalState,
    MinLSTMCell,
    PeepholeLSTMCell,
)
from seqaudio.layers import kernels, torch_kernels
from seqaudio.layers.base import Layer, Sequences, no_outputs
from seqaudio.layers.kernels import linear_scan
from seqaudio.state import State, map_state, tensors

CellT = TypeVar("CellT", bound=Cell[Any])


class FusedLayer(Layer, Generic[CellT]):
    """A cell run by code that computes exactly that cell.

    It holds the cell itself, so one state_dict loads into `Unrolled(cell)` and into the fused layer, and `step` calls
    the cell. Raises TypeError for any other cell, a subclass too, whose changes the code would ignore.
    """

    cells: ClassVar[tuple[type[Cell[Any]], ...]]

    def __init__(self, cell: CellT) -> None:
        if type(cell) not in self.cells:
            expected = " or ".join(known.__name__ for known in self.cells)
            raise TypeError(
                f"{type(self).__name__} runs {expected} exactly, got {type(cell).__name__}; use Unrolled(cell)"
            )
        super().__init__(cell.input_size, cell.output_size)
        self.cell = cell

    @abstractmethod
    def run(self, sequences: Sequences, start: Any) -> tuple[Tensor, State]:
        """Run over T > 0 frames. start: the initial state, to which rows are reset; None where nothing is reset."""

    def run_checked(self, sequences: Sequences) -> tuple[Tensor, State]:
        T, B, _ = sequences.inputs.shape
        if T == 0:
            return no_outputs(self, sequences), sequences.state
        start = None if sequences.resets is None else self.initial_state(B)
        return self.run(sequences, start)

    def initial_state(self, batch_size: int) -> State:
        state: State = self.cell.initial_state(batch_size)
        return state

    def step(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        result: tuple[Tensor, State] = self.cell(inputs, state)
        return result


class FusedElman(FusedLayer[ElmanCell]):
    """`ElmanCell` or `ElmanReLUCell` over a sequence."""

    cells = (ElmanCell, ElmanReLUCell)

    def run(self, sequences: Sequences, start: Any) -> tuple[Tensor, State]:
        return torch_kernels.run_between_resets(torch_kernels.elman, self.cell, sequences, start)


class RecurrenceLayer(FusedLayer[CellT]):
    """A cell run by this package's kernels, in the dtype of its weights even under autocast."""

    @abstractmethod
    def recur(self, sequences: Sequences, start: Any) -> tuple[Tensor, State]:
        """Run over T > 0 frames; autocast is off."""

    def run(self, sequences: Sequences, start: Any) -> tuple[Tensor, State]:
        inputs, state = sequences.inputs, sequences.state
        dtype = next(self.cell.parameters()).dtype
        if torch.is_autocast_enabled(inputs.device.type):
            inputs, state = inputs.to(dtype), map_state(lambda tensor: tensor.to(dtype), state)
            sequences = sequences._replace(inputs=inputs, state=state)
        types = {inputs.dtype, *(tensor.dtype for tensor in tensors(state))}
        if types != {dtype}:
            got = " and ".join(sorted(map(str, types)))
            raise TypeError(f"got inputs and state of {got} for weights of {dtype}; convert the layer or the tensors")
        with kernels.without_autocast(inputs):
            return self.recur(sequences, start)


class FusedLSTM(RecurrenceLayer[LSTMCell]):
    """`LSTMCell` over a sequence."""

    cells = (LSTMCell,)

    def run(self, sequences: Sequences, start: Any) -> tuple[Tensor, State]:
        if kernels.torch_serves_lstm(self.cell.weight_hh, sequences.inputs, sequences.resets):
            return torch_kernels.run_between_resets(torch_kernels.lstm, self.cell, sequences, start)
        return super().run(sequences, start)

    def recur(self, sequences: Sequences, start: Any) -> tuple[Tensor, State]:
        return _lstm(self.cell, None, sequences, start)


def both_ways(forward: Layer, backward: Layer, sequences: Sequences) -> tuple[Tensor, Any] | None:
    """Outputs [T, B, 2 H] and both states of layers that run from each end, where one call of a kernel makes them.

    None where it does not: for other layers than LSTMs of one size on torch's kernel, and where a backward layer that
    does not begin with zeros would meet padding first.
    """
    inputs, states, lengths, _, resets, _ = sequences
    if not (isinstance(forward, FusedLSTM) and isinstance(backward, FusedLSTM) and len(inputs)):
        return None
    weight, other = forward.cell.weight_hh, backward.cell.weight_hh
    if resets is not None or weight.shape != other.shape or not kernels.torch_serves_lstm(weight, inputs, resets):
        return None
    hidden = states[1].hidden  # type: ignore[union-attr]  # of an LSTM
    if lengths is not None and (hidden.requires_grad or bool(hidden.any())):
        return None
    return torch_kernels.lstm_both_ways(forward.cell, backward.cell, inputs, tuple(states), lengths)


class FusedPeepholeLSTM(RecurrenceLayer[PeepholeLSTMCell]):
    """`PeepholeLSTMCell` over a sequence."""

    cells = (PeepholeLSTMCell,)

    def recur(self, sequences: Sequences, start: Any) -> tuple[Tensor, State]:
        return _lstm(self.cell, self.cell.weight_peephole, sequences, start)


class FusedGRU(RecurrenceLayer[GRUCell]):
    """`GRUCell` over a sequence."""

    cells = (GRUCell,)

    def run(self, sequences: Sequences, start: Any) -> tuple[Tensor, State]:
        if kernels.torch_serves_gru(self.cell.weight_hh):
            return torch_kernels.run_between_resets(torch_kernels.gru, self.cell, sequences, start)
        cell, (inputs, state, lengths, _, resets, _) = self.cell, sequences
        hidden: Tensor = state[0]  # type: ignore[assignment]  # of the cell's state
        if lengths is None and resets is None and kernels.stream_serves_gru(cell.weight_hh, inputs, hidden):
            weights = (cell.weight_ih, cell.bias_ih, cell.weight_hh, cell.bias_hh)
            outputs, hidden = kernels.gru_stream(
                kernels.steps("gru", cell.weight_hh, _frames(sequences)), inputs, *weights, hidden
            )
            return outputs, GRUState(hidden)
        return super().run(sequences, start)

    def recur(self, sequences: Sequences, start: Any) -> tuple[Tensor, State]:
        cell, (inputs, state, lengths, _, resets, _) = self.cell, sequences
        gates = 2 * cell.hidden_size  # r and z, which the kernel has behind n
        W_rz, W_n = cell.weight_ih.tensor_split([gates])
        (b_rz, b_n), (c_rz, c_n) = cell.bias_ih.tensor_split([gates]), cell.bias_hh.tensor_split([gates])
        outputs, hidden = kernels.apply(
            kernels.GRURecurrence,
            kernels.steps("gru", cell.weight_hh, _frames(sequences)),
            *(inputs, torch.cat([W_n, W_rz]), torch.cat([b_n, b_rz + c_rz, c_n])),
            *(cell.weight_hh, *state, *_parts(start, state), lengths, resets),
        )
        return outputs, GRUState(hidden)


class FusedLayerNormLSTM(RecurrenceLayer[LayerNormLSTMCell]):
    """`LayerNormLSTMCell` over a sequence."""

    cells = (LayerNormLSTMCell,)

    def recur(self, sequences: Sequences, start: Any) -> tuple[Tensor, State]:
        cell, (inputs, state, lengths, _, resets, _) = self.cell, sequences
        outputs, *final = kernels.apply(
            kernels.LayerNormLSTMRecurrence,
            kernels.steps("layer_norm_lstm", cell.weight_hh, _frames(sequences)),
            *(inputs, cell.weight_ih),
            *(cell.weight_hh, cell.gain_ih, cell.gain_hh, cell.bias_ih + cell.bias_hh),
            *(cell.gain_memory, cell.bias_memory, *state, *_parts(start, state), lengths, resets),
        )
        return outputs, LSTMState(*final)


class FusedLayerNormGRU(RecurrenceLayer[LayerNormGRUCell]):
    """`LayerNormGRUCell` over a sequence."""

    cells = (LayerNormGRUCell,)

    def recur(self, sequences: Sequences, start: Any) -> tuple[Tensor, State]:
        cell, (inputs, state, lengths, _, resets, _) = self.cell, sequences
        outputs, hidden = kernels.apply(
            kernels.LayerNormGRURecurrence,
            kernels.steps("layer_norm_gru", cell.weight_hh, _frames(sequences)),
            *(inputs, cell.weight_ih),
            *(cell.weight_hh, cell.gain_ih, cell.bias_ih, cell.gain_hh, cell.bias_hh),
            *(*state, *_parts(start, state), lengths, resets),
        )
        return outputs, GRUState(hidden)


class ScanLayer(FusedLayer[MinimalCell]):
    """`MinGRUCell` or `MinLSTMCell` over a sequence.

        a_t, b_t = coefficients(x_t)          for all steps in one product
        h_t      = a_t * h_(t-1) + b_t        a linear scan

    At a reset, a is replaced by 0 and b by b + a * start; in the padding a = 1 and b = 0.
    """

    cells = (MinGRUCell, MinLSTMCell)

    def run(self, sequences: Sequences, start: Any) -> tuple[Tensor, State]:
        a, b = self.cell.coefficients(sequences.inputs)
        if sequences.resets is not None:
            reset = sequences.resets[..., None]
            b = torch.where(reset, a * start.hidden + b, b)
            a = a.masked_fill(reset, 0)
        if sequences.valid is not None:
            padding = ~sequences.valid[..., None]
            a, b = a.masked_fill(padding, 1), b.masked_fill(padding, 0)
        state: MinimalState = sequences.state  # type: ignore[assignment]  # the cell's
        hidden = linear_scan(a, b, state.hidden)
        outputs = hidden if sequences.valid is None else hidden.masked_fill(padding, 0)
        return outputs, MinimalState(hidden[-1])


FUSED: dict[type[Cell[Any]], Callable[[Any], Layer]] = {
    cell: layer
    for layer in (
        FusedElman,
        FusedLSTM,
        FusedPeepholeLSTM,
        FusedGRU,
        FusedLayerNormLSTM,
        FusedLayerNormGRU,
        ScanLayer,
    )
    for cell in layer.cells
}


def _lstm(cell: LSTMCell, peephole: Tensor | None, sequences: Sequences, start: Any) -> tuple[Tensor, State]:
    inputs, state, lengths, _, resets, _ = sequences
    outputs, *final = kernels.apply(
        kernels.LSTMRecurrence,
        kernels.steps("lstm", cell.weight_hh, _frames(sequences)),
        *(inputs, cell.weight_ih, cell.bias_ih + cell.bias_hh),
        *(cell.weight_hh, peephole, *state, *_parts(start, state), lengths, resets),
    )
    return outputs, LSTMState(*final)


def _frames(sequences: Sequences) -> int:
    """Frames of all rows of a window."""
    return len(sequences.inputs) * sequences.inputs.shape[1]


def _parts(start: Any, state: State) -> tuple[Tensor | None, ...]:
    """The tensors of `start`, or as many None as the state has tensors."""
    return tuple(start) if start is not None else (None,) * len(state)
