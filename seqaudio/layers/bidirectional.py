"""Bidirectional layers: two layers over the same sequences, one from each end."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from seqaudio.errors import OptionError
from seqaudio.layers.base import Layer, Sequences, effective, flip
from seqaudio.layers.fused import both_ways
from seqaudio.state import State


class BidirectionalState(NamedTuple):
    forward: State
    backward: State


class Bidirectional(Layer):
    """A forward and a backward layer, their outputs concatenated: [T, B, H forward + H backward].

    Each row is reversed within its length, so the backward layer reads its last real frame first. Resets divide a
    row into separate sequences: going backwards, the state is reset on entering the sequence before.
    """

    causal = False

    def __init__(self, forward: Layer, backward: Layer) -> None:
        if forward.input_size != backward.input_size:
            raise ValueError(
                f"got layers for {forward.input_size} and {backward.input_size} inputs, expected equal widths: both "
                f"directions read the same frames"
            )
        super().__init__(forward.input_size, forward.output_size + backward.output_size)
        self.forward_layer = forward
        self.backward_layer = backward

    def run_checked(self, sequences: Sequences) -> tuple[Tensor, State]:
        together = both_ways(self.forward_layer, self.backward_layer, sequences)
        if together is not None:
            return together[0], BidirectionalState(*together[1])
        inputs, (forward_state, backward_state), lengths, _, resets, _ = sequences
        forward, forward_state = self.forward_layer.run_checked(sequences._replace(state=forward_state))
        backward_resets = None
        if resets is not None:
            # a reset before frame t is, going backwards, one before frame t - 1
            shifted = torch.cat([resets[1:], torch.zeros_like(resets[:1])])
            backward_resets = flip(shifted, lengths)
        backward_resets, steps = effective(backward_resets)
        backward, backward_state = self.backward_layer.run_checked(
            sequences._replace(
                inputs=flip(inputs, lengths), state=backward_state, resets=backward_resets, reset_steps=steps
            )
        )
        outputs = torch.cat([forward, flip(backward, lengths)], dim=2)
        return outputs, BidirectionalState(forward_state, backward_state)

    def initial_state(self, batch_size: int) -> State:
        return BidirectionalState(
            self.forward_layer.initial_state(batch_size), self.backward_layer.initial_state(batch_size)
        )

    def step(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        raise OptionError(
            "got a single step for a bidirectional layer, which needs whole sequences; "
            "use a model trained with bidirectional off"
        )
