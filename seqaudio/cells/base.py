"""The base class of recurrent cells: one step, state in and state out. The loop over time is a layer's work."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Generic

import torch
from torch import Tensor, nn

from seqaudio.registry import Registry
from seqaudio.state import StateT, flatten, unflatten


class Cell(nn.Module, ABC, Generic[StateT]):
    """One step of a recurrence over a batch of independent rows.

    A registered cell is constructed from (input_size, hidden_size) alone, and its output is the field `hidden` of its
    next state. A wrapper holds a cell and is itself a cell.

    The initial state is zero until `learn_initial_state` is called; from then on it is the parameters `start`, except
    for the fields `unread`.

    Args:
        input_size: F, the width of one frame.
        output_size: H, the width of one output.
    """

    unread: ClassVar[tuple[str, ...]] = ()  # fields of the state that no step reads, so there is nothing to learn
    gate_names: ClassVar[tuple[str, ...]] = ()  # of the sigmoids of a step, in the order in which it computes them

    def __init__(self, input_size: int, output_size: int) -> None:
        super().__init__()
        if input_size < 1 or output_size < 1:
            raise ValueError(f"a cell has positive sizes, got {input_size} inputs and {output_size} outputs")
        self.input_size = input_size
        self.output_size = output_size
        self.start: nn.ParameterDict | None = None

    @abstractmethod
    def forward(self, inputs: Tensor, state: StateT) -> tuple[Tensor, StateT]:
        """One step: inputs [B, F] and the previous state to outputs [B, H] and the next state."""

    @abstractmethod
    def zero_state(self, batch_size: int) -> StateT:
        """A state of zeros, on the device and in the dtype of the weights."""

    def initial_state(self, batch_size: int) -> StateT:
        """The state before the first step: zeros, or the learned initial state; the same for every row."""
        state = self.zero_state(batch_size)
        if self.start is None:
            return state
        return unflatten(
            state,
            {
                name: zeros if name in self.unread else zeros + self.start[_key(name)]
                for name, zeros in flatten(state).items()
            },
        )

    @torch.no_grad()
    def learn_initial_state(self) -> None:
        """Turn each tensor of the initial state into a parameter [1, ...], `start.hidden` and so on, zero at first.

        A second call changes nothing. Call it before the parameters are given to the optimiser.
        """
        if self.start is None:
            state = flatten(self.zero_state(1))
            self.start = nn.ParameterDict(
                {_key(name): nn.Parameter(zeros) for name, zeros in state.items() if name not in self.unread}
            )

    def begin_window(self) -> None:
        """Draw what stays fixed for a window, such as dropped weights. Called before the window's first step.

        The call is passed on to the cells that this one holds.
        """
        for part in self.children():
            if isinstance(part, Cell):
                part.begin_window()

    def check_width(self, inputs: Tensor) -> None:
        """Raise ValueError where inputs are not [B, input_size]."""
        if inputs.dim() != 2 or inputs.shape[1] != self.input_size:
            raise ValueError(
                f"{type(self).__name__} got inputs of shape {list(inputs.shape)}, expected [B, {self.input_size}]; "
                f"construct the cell with the width of the frames"
            )

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.output_size}"


def _key(name: str) -> str:
    """Turn the name of a state's tensor into that of a parameter, which may not be empty or contain a dot."""
    return name.replace(".", "_") or "state"


CELLS: Registry[type[Cell[Any]]] = Registry("cell")
