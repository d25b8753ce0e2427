"""Single steps of stacks at inference: many rows at once, each of which has the bits that it has alone.

    frames [B, F] ─────────────────────────────────────────────┐
    inputs known beforehand, such as embeddings ──table, once──┤
                                              ids of its rows ─┴─> one call for the whole stack ─> outputs or scores

A stepper holds a copy of the weights as they were when it was made, in an order that suits steps.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from seqaudio.cells import GRUCell, LSTMCell
from seqaudio.errors import OptionError
from seqaudio.layers.base import Layer
from seqaudio.layers.kernels import compiled_serves
from seqaudio.state import State, batch_size, map_state, tensors

Numbers: TypeAlias = npt.NDArray[Any]
Affine: TypeAlias = tuple[Tensor, Tensor]  # weights [V, H] and biases [V]
MOST = 127  # of int8, without its lowest, which has no opposite


class Stepper(ABC):
    """Single steps of a stack in evaluation mode, without gradients; see `Stack.stepper`.

    The memory of a state that `step` returns is used for the one after it, so a step uses it up; all other states that
    are given are left alone. One thread at a time may take steps.
    """

    def __init__(self, stack: Layer) -> None:
        self._stack = stack

    @torch.no_grad()
    def initial_state(self, batch_size: int) -> State:
        """The state before the first step, in memory of its own."""
        return _apart(self._stack.initial_state(batch_size))

    @abstractmethod
    def table(self, inputs: Tensor, first: int = 0, bias: bool = True) -> Tensor:
        """What the first layer makes of inputs [N, f]: columns first .. first + f of frames, zero elsewhere.

        [N, P]; the tables of several parts of a frame may be joined and their rows added up, if one has the bias.
        """

    @abstractmethod
    def step(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """One step of frames [B, F]: outputs [B, H], or scores [B, V] of the output layer, and the next state."""

    @abstractmethod
    def step_of(self, table: Tensor, ids: Numbers, state: State) -> tuple[Tensor, State]:
        """The same for ids [B, K] int64 of rows of a table that add up to what the first layer needs."""

    @abstractmethod
    def steps(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """Steps of frames [T, B, F], T > 0, one after the other: outputs [T, B, H] or scores [T, B, V], and the state.

        The given state is left alone.
        """


class RowByRow(Stepper):
    """Steps of any stack, one row after the other: with more rows at once, torch's products may round otherwise.

    It uses the weights of the stack as they are at each step, those of the output layer as they were.
    """

    def __init__(self, stack: Layer, output: Affine | None) -> None:
        super().__init__(stack)
        self._output = output
        self._compiled = None
        if output is not None and compiled_serves(output[0]):
            self._compiled = CompiledStepper(stack, [], output)

    def table(self, inputs: Tensor, first: int = 0, bias: bool = True) -> Tensor:
        return F.pad(inputs, (first, self._stack.input_size - first - inputs.shape[1]))

    @torch.no_grad()
    def step(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        outputs, state = row_by_row(self._stack.step, inputs, state)
        if self._compiled is not None:
            return self._compiled.step(outputs, ())[0], state
        if self._output is not None:
            outputs = torch.cat([F.linear(row, *self._output) for row in outputs.split(1)])
        return outputs, state

    def step_of(self, table: Tensor, ids: Numbers, state: State) -> tuple[Tensor, State]:
        frames = table[ids[:, 0]]
        for column in ids.T[1:]:
            frames += table[column]
        return self.step(frames, state)

    def steps(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        outputs = []
        for frames in inputs:
            output, state = self.step(frames, state)
            outputs.append(output)
        return torch.stack(outputs), state


def row_by_row(step: Callable[[Tensor, State], tuple[Tensor, State]], inputs: Tensor, state: State) -> Any:
    """A step of inputs [B, ...] and a state, each row by a call of its own: outputs and the next state."""
    # copies, as products may round by where in memory a row begins, too
    stepped = [
        step(inputs[b : b + 1].clone(), map_state(lambda part, b=b: part[b : b + 1].clone(), state))
        for b in range(len(inputs))
    ]
    outputs, states = zip(*stepped, strict=True)
    return torch.cat(outputs), map_state(lambda *parts: torch.cat(parts), *states)


class CompiledStepper(Stepper):
    """Steps of LSTM and GRU layers and an output layer, in one compiled call.

    Args:
        stack: whose state it is. cells: of its layers, from the bottom up; none for an output layer alone.
        output: of scores; None: the outputs of the last layer.
        int8: of weights; each row of a matrix has its scale, sums are float. Tables keep their numbers.
        rows: rows at once that there is memory for from the start.
        states_of: the states of the layers in a state of the stack.
    """

    def __init__(
        self,
        stack: Layer,
        cells: Sequence[LSTMCell | GRUCell],
        output: Affine | None = None,
        int8: bool = False,
        rows: int = 1,
        states_of: Callable[[State], State] = lambda state: state,
    ) -> None:
        from seqaudio.layers.kernels.compiled import single_steps

        super().__init__(stack)
        self._take_steps = single_steps.take_steps
        self._states_of = states_of
        packed = _Packed(int8)
        for cell in cells:
            packed.add_cell(cell)
        packed.add_output(output)
        self._plan, weights, self._vectors = packed.arrays()
        self._parts = self._plan, weights, self._vectors
        self.dtype = torch.from_numpy(self._vectors).dtype
        if cells:
            self._weight_ih, self._bias_ih = cells[0].weight_ih.detach().clone(), _biases(cells[0])[0]
        self._input_size, self._width = int(self._plan[0, 1]), stack.output_size if output is None else len(output[1])
        self._stored = int(self._plan[-1, 3]) or self._width  # columns of results
        widths = [row[[2, 3]] for row in self._plan[:-1]] or [np.zeros(2, dtype=np.int64)]
        widest, sums = (int(width) for width in np.max(widths, axis=0))
        self._room_of_row = 2 * sums + _padded(widest)
        self._scratch = self._room(rows)
        self._no_frames = self._vectors[:0, None]
        self._no_ids = self._no_frames, np.empty((0, 1), dtype=np.int64)
        self._places = np.zeros(1 + sum(2 if type(cell) is LSTMCell else 1 for cell in cells), dtype=np.int64)
        self._bound: State | None = None  # in whose memory steps take place

    def table(self, inputs: Tensor, first: int = 0, bias: bool = True) -> Tensor:
        products = inputs @ self._weight_ih[:, first : first + inputs.shape[1]].t()
        products = F.pad(products, (0, int(self._plan[0, 3]) - products.shape[1]))
        return products + F.pad(self._bias_ih, (0, products.shape[1] - len(self._bias_ih))) if bias else products

    def step(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        rows = inputs.shape[0]
        state, results = self._begin(rows, rows, state)
        self._take_steps(self._frames(inputs), *self._no_ids, *self._parts, self._places, self._scratch, results)
        return torch.from_numpy(results[:, : self._width]), state

    def step_of(self, table: Tensor, ids: Numbers, state: State) -> tuple[Tensor, State]:
        rows = len(ids)
        state, results = self._begin(rows, rows, state)
        self._take_steps(self._no_frames, table.numpy(), ids, *self._parts, self._places, self._scratch, results)
        return torch.from_numpy(results[:, : self._width]), state

    def steps(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        T, B, _ = inputs.shape
        self._bound = None
        state, results = self._begin(T * B, B, state)
        self._take_steps(
            self._frames(inputs.flatten(0, 1)), *self._no_ids, *self._parts, self._places, self._scratch, results
        )
        self._bound = None
        return torch.from_numpy(results.reshape(T, B, -1)[..., : self._width]), state

    def _frames(self, inputs: Tensor) -> Numbers:
        frames: Numbers = inputs.contiguous().numpy()
        if frames.shape[1] != self._input_size or frames.dtype != self._vectors.dtype:
            raise ValueError(
                f"got frames {frames.dtype} of {frames.shape[1]} numbers, expected {self._vectors.dtype} of "
                f"{self._input_size}"
            )
        return frames

    def _begin(self, lines: int, rows: int, state: State) -> tuple[State, Numbers]:
        """A state in whose memory steps of so many rows take place, and memory for results of so many lines."""
        if state is not self._bound or rows != self._places[0]:
            state = self._bind(state, rows)
        if len(self._scratch) < lines * self._room_of_row:
            self._scratch = self._room(lines)
        return state, np.empty((lines, self._stored), dtype=self._vectors.dtype)

    def _bind(self, state: State, rows: int) -> State:
        """A copy of a state, and its addresses as the places of steps."""
        state = _apart(state)
        parts = list(tensors(self._states_of(state)))
        dtypes = {part.numpy().dtype for part in parts}
        if len(parts) != len(self._places) - 1 or dtypes - {self._vectors.dtype}:
            raise ValueError(
                f"got a state of {len(parts)} parts, expected {len(self._places) - 1} of the weights' type"
            )
        if parts and batch_size(state) != rows:
            raise ValueError(f"got a state of {batch_size(state)} rows for inputs of {rows} rows")
        self._places[:] = [rows, *(part.data_ptr() for part in parts)]
        self._bound = state
        return state

    def _room(self, lines: int) -> Numbers:
        """Memory for so many lines of sums and outputs, kept between steps: new memory costs as much as arithmetic."""
        # torch's begins where a line of the cache does
        numbers: Numbers = torch.empty(lines * self._room_of_row, dtype=self.dtype).numpy()
        return numbers


class _Packed:
    """The plan of a stack as `take_steps` reads it; weights in panels in one array, biases and scales in one."""

    def __init__(self, int8: bool) -> None:
        self._int8 = int8
        self._plan: list[list[int]] = []
        self._weights: list[Tensor] = []
        self._vectors: list[Tensor] = []

    def add_cell(self, cell: LSTMCell | GRUCell) -> None:
        from seqaudio.layers.kernels.compiled.single_steps import GRU, LSTM

        kind = LSTM if type(cell) is LSTMCell else GRU
        bias, recurrent_bias = _biases(cell)
        below, above = self._matrix(cell.weight_ih, bias), self._matrix(cell.weight_hh, recurrent_bias)
        self._plan.append([kind, cell.input_size, cell.hidden_size, _padded(len(bias)), *below, *above])

    def add_output(self, output: Affine | None) -> None:
        from seqaudio.layers.kernels.compiled.single_steps import AFFINE

        if output is None:
            self._plan.append([AFFINE, *[0] * 9])
            return
        (M, K), matrix = output[0].shape, self._matrix(*output)
        self._plan.append([AFFINE, K, M, _padded(M), *matrix, 0, 0, 0])

    def arrays(self) -> tuple[Numbers, Numbers, Numbers]:
        """The plan, weights and vectors."""
        return np.array(self._plan), _joined(self._weights), _joined(self._vectors)

    def _matrix(self, weight: Tensor, bias: Tensor) -> tuple[int, int, int]:
        """Places of weights [M, K], biases [M], and scales of the weights; of whole panels."""
        from seqaudio.layers.kernels.compiled.panels import PANEL

        K, more = weight.shape[1], _padded(len(bias)) - len(bias)
        whole, scales = F.pad(weight.detach(), (0, 0, 0, more)), torch.empty(0)
        if self._int8:
            scales = whole.abs().amax(dim=1) / MOST
            scales = torch.where(scales > 0, scales, 1)
            whole = (whole / scales[:, None]).round().to(torch.int8)
        panels = whole.view(-1, PANEL, K).transpose(1, 2).flatten()
        at = sum(map(len, self._weights))
        self._weights.append(panels)
        return at, self._vector(F.pad(bias.detach(), (0, more))), self._vector(scales.to(bias))

    def _vector(self, vector: Tensor) -> int:
        at = sum(map(len, self._vectors))
        self._vectors.append(vector)
        return at


def _biases(cell: LSTMCell | GRUCell) -> Affine:
    """The biases [G H] that are added to products with the inputs, and with the state."""
    if type(cell) is LSTMCell:
        bias = (cell.bias_ih + cell.bias_hh).detach()
        return bias, torch.zeros_like(bias)
    return cell.bias_ih.detach().clone(), cell.bias_hh.detach()


def _padded(width: int) -> int:
    """A whole number of panels."""
    from seqaudio.layers.kernels.compiled.panels import PANEL

    return -(-width // PANEL) * PANEL


def _joined(parts: list[Tensor]) -> Numbers:
    return torch.cat(parts).numpy()


def _apart(state: State) -> State:
    """A copy of a state in memory of its own, contiguous and without a graph."""
    return map_state(lambda part: part.detach().clone(memory_format=torch.contiguous_format), state)


def stepper_of(
    stack: Layer,
    layers: Sequence[Layer],
    output: Affine | None,
    int8: bool,
    rows: int,
    states_of: Callable[[State], State],
) -> Stepper:
    """The fastest steps of a stack whose layers read the outputs of the one below, or that has none such."""
    cells = [getattr(layer, "cell", None) for layer in layers]
    served = cells and all(type(cell) in (LSTMCell, GRUCell) for cell in cells)
    if served and compiled_serves(next(stack.parameters())):
        return CompiledStepper(stack, cells, output, int8, rows, states_of)  # type: ignore[arg-type]  # as was asked
    if int8:
        raise OptionError("steps with weights of int8 need LSTM or GRU layers on the CPU in float32 or float64")
    return RowByRow(stack, output)
