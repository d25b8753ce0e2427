"""Run any cell as a layer, one Python step at a time: the reference that every faster layer is tested against."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from seqaudio.cells import Cell
from seqaudio.layers.base import Layer, Sequences, no_outputs
from seqaudio.state import State, select


class Unrolled(Layer):
    """A Python loop over the steps of any cell."""

    def __init__(self, cell: Cell[Any]) -> None:
        super().__init__(cell.input_size, cell.output_size)
        self.cell = cell

    def run_checked(self, sequences: Sequences) -> tuple[Tensor, State]:
        inputs, state, _, valid, resets, reset_steps = sequences
        self.cell.begin_window()
        T, B, _ = inputs.shape
        any_reset = set(reset_steps)
        outputs = []
        for t in range(T):
            if resets is not None and t in any_reset:
                state = select(resets[t], self.initial_state(B), state)
            output, next_state = self.step(inputs[t], state)
            state = next_state if valid is None else select(valid[t], next_state, state)
            outputs.append(output)
        if not outputs:
            return no_outputs(self, sequences), state
        whole = torch.stack(outputs)
        return whole if valid is None else torch.where(valid[..., None], whole, 0), state

    def initial_state(self, batch_size: int) -> State:
        state: State = self.cell.initial_state(batch_size)
        return state

    def step(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        result: tuple[Tensor, State] = self.cell(inputs, state)
        return result
