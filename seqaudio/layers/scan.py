"""Cells whose state is linear in the state before, with coefficients of the frame alone: one scan for all steps."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from seqaudio.cells import MinGRUCell, MinimalCell, MinimalState, MinLSTMCell
from seqaudio.layers.base import Sequences
from seqaudio.layers.fused_layer import FusedLayer
from seqaudio.layers.kernels import linear_scan
from seqaudio.state import State


class ScanLayer(FusedLayer[MinimalCell]):
    """`MinGRUCell` or `MinLSTMCell` over a sequence.

        a_t, b_t = coefficients(x_t)          for all steps in one product
        h_t      = a_t * h_(t-1) + b_t        a linear scan

    A step that begins anew has a = 0 and b + a * start, by selection; a frame of padding has a = 1 and b = 0.
    """

    cells = (MinGRUCell, MinLSTMCell)

    def run(self, sequences: Sequences, start: Any) -> tuple[Tensor, State]:
        a, b = self.cell.coefficients(sequences.inputs)
        if sequences.resets is not None:
            fresh = sequences.resets[..., None]
            b = torch.where(fresh, a * start.hidden + b, b)
            a = a.masked_fill(fresh, 0)
        if sequences.valid is not None:
            padding = ~sequences.valid[..., None]
            a, b = a.masked_fill(padding, 1), b.masked_fill(padding, 0)
        state: MinimalState = sequences.state  # type: ignore[assignment]  # the cell's
        hidden = linear_scan(a, b, state.hidden)
        outputs = hidden if sequences.valid is None else hidden.masked_fill(padding, 0)
        return outputs, MinimalState(hidden[-1])
