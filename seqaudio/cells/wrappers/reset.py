"""A start anew that the frames themselves ask for."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from seqaudio.cells.wrappers.base import WRAPPERS, Wrapper
from seqaudio.state import select


@WRAPPERS.register("reset")
class Reset(Wrapper):
    """One more column at the end of each frame: where it is not zero, the row starts from the initial state.

        y, h' = cell(x, h0 where flag != 0, h elsewhere)      x [B, F - 1] and flag [B] are the frame [B, F]

    The state is selected before the step, so what it held (NaN too) reaches neither values nor gradients, and the
    flag has no gradient. For resets that a program knows of, layers have an argument; this is for a cell that runs
    by itself. It goes around all other wrappers.

    Args:
        cell: takes frames of one column less.
    """

    extra_inputs = 1

    def forward(self, inputs: Tensor, state: Any, *recurrent: Tensor) -> tuple[Tensor, Any]:
        self.check_width(inputs)
        anew = inputs[:, -1].detach() != 0
        state = select(anew, self.initial_state(inputs.shape[0]), state)
        return super().forward(inputs[:, :-1], state, *recurrent)
