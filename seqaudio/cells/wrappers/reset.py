"""Reset the state where an input flag is set."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from seqaudio.cells.wrappers.base import WRAPPERS, Wrapper
from seqaudio.state import select


@WRAPPERS.register("reset")
class Reset(Wrapper):
    """Reads a flag from one more column at the end of each frame; a row with a flag other than zero is reset.

        y, h' = cell(x, h0 where flag != 0, h elsewhere)      the frame [B, F] is x [B, F - 1] and flag [B]

    The state is selected before the step, so the state before a reset (NaN too) reaches neither values nor gradients,
    and the flag has no gradient. Layers take resets as an argument; this wrapper is for a cell that runs without a
    layer. It must be the outermost wrapper.

    Args:
        cell: takes frames of one column less.
    """

    extra_inputs = 1

    def forward(self, inputs: Tensor, state: Any, *recurrent: Tensor) -> tuple[Tensor, Any]:
        self.check_width(inputs)
        flagged = inputs[:, -1].detach() != 0
        state = select(flagged, self.initial_state(inputs.shape[0]), state)
        return super().forward(inputs[:, :-1], state, *recurrent)
