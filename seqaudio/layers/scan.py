"""Minimal cells (linear in the previous state, coefficients from the frame alone) as one scan over all steps."""

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
