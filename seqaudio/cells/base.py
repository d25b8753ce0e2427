"""What every recurrent cell is: one step, state in and state out. A cell knows nothing of time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Generic

from torch import Tensor, nn

from seqaudio.registry import Registry
from seqaudio.state import StateT, flatten


class Cell(nn.Module, ABC, Generic[StateT]):
    """One step of a recurrence over a batch of independent rows.

    A registered cell is made from (input_size, hidden_size) alone; a wrapper holds a cell and is a cell.

    Args:
        input_size: F, the width of one frame.
        output_size: H, the width of one output.
    """

    def __init__(self, input_size: int, output_size: int) -> None:
        super().__init__()
        if input_size < 1 or output_size < 1:
            raise ValueError(f"a cell has positive sizes, got {input_size} inputs and {output_size} outputs")
        self.input_size = input_size
        self.output_size = output_size

    @abstractmethod
    def forward(self, inputs: Tensor, state: StateT) -> tuple[Tensor, StateT]:
        """One step: inputs [B, F] and the previous state to outputs [B, H] and the next state."""

    @abstractmethod
    def initial_state(self, batch_size: int) -> StateT:
        """The state before the first step, on the cell's own device and in its own type."""

    def state_spec(self) -> dict[str, tuple[int, ...]]:
        """Names of the state's tensors (as `seqaudio.state.flatten` gives them) to shapes without the batch."""
        return {name: tuple(tensor.shape[1:]) for name, tensor in flatten(self.initial_state(1)).items()}

    def check_width(self, inputs: Tensor) -> None:
        """Raise ValueError where inputs are not [B, input_size]."""
        if inputs.dim() != 2 or inputs.shape[1] != self.input_size:
            raise ValueError(
                f"{type(self).__name__} got inputs of shape {list(inputs.shape)}, expected [B, {self.input_size}]; "
                f"make the cell with the width of the frames"
            )

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.output_size}"


CELLS: Registry[type[Cell[Any]]] = Registry("cell")
