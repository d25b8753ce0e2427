"""Two layers over the same sequences, one from each end."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from seqaudio.errors import OptionError
from seqaudio.layers.base import Layer
from seqaudio.layers.lengths import flip
from seqaudio.state import State


class BidirectionalState(NamedTuple):
    forward: State
    backward: State


class Bidirectional(Layer):
    """Outputs of a forward and a backward layer side by side: [T, B, H forward + H backward].

    Each row is reversed within its length, so the backward layer meets its last real frame first. Between two
    resets lies a sequence of its own: the backward layer starts anew where it enters the one before.
    """

    causal = False

    def __init__(self, forward: Layer, backward: Layer) -> None:
        if forward.input_size != backward.input_size:
            raise ValueError(
                f"both directions read the same frames, got layers for {forward.input_size} and "
                f"{backward.input_size} inputs"
            )
        super().__init__(forward.input_size, forward.output_size + backward.output_size)
        self.forward_layer = forward
        self.backward_layer = backward

    def forward(
        self,
        inputs: Tensor,
        state: State | None = None,
        lengths: Tensor | None = None,
        resets: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        inputs, state, lengths, _, resets, _ = self.check(inputs, state, lengths, resets)
        ahead_state, behind_state = state
        ahead, ahead_state = self.forward_layer(inputs, ahead_state, lengths, resets)
        behind_resets = None
        if resets is not None:
            # a reset before frame t is, seen from the end, one before frame t - 1
            starts_before = torch.cat([resets[1:], torch.zeros_like(resets[:1])])
            behind_resets = flip(starts_before, lengths)
        behind, behind_state = self.backward_layer(flip(inputs, lengths), behind_state, lengths, behind_resets)
        outputs = torch.cat([ahead, flip(behind, lengths)], dim=2)
        return outputs, BidirectionalState(ahead_state, behind_state)

    def initial_state(self, batch_size: int) -> State:
        return BidirectionalState(
            self.forward_layer.initial_state(batch_size), self.backward_layer.initial_state(batch_size)
        )

    def step(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        raise OptionError(
            "got a single step for a bidirectional layer, which needs whole sequences; "
            "use a model trained with bidirectional off"
        )
