"""The base class of fused layers: a cell, run over a sequence by code that computes exactly that cell."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, Generic, TypeVar

from torch import Tensor

from seqaudio.cells import Cell
from seqaudio.layers.base import Layer, Sequences
from seqaudio.state import State

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

    def forward(
        self,
        inputs: Tensor,
        state: State | None = None,
        lengths: Tensor | None = None,
        resets: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        sequences = self.check(inputs, state, lengths, resets)
        T, B, _ = inputs.shape
        if T == 0:
            return inputs.new_zeros(0, B, self.output_size), sequences.state
        start = None if sequences.resets is None else self.initial_state(B)
        return self.run(sequences, start)

    def initial_state(self, batch_size: int) -> State:
        state: State = self.cell.initial_state(batch_size)
        return state

    def step(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        result: tuple[Tensor, State] = self.cell(inputs, state)
        return result
