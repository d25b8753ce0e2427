"""Stacks of layers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from seqaudio.layers.base import Layer
from seqaudio.state import State


class Stack(Layer):
    """Layers each of which reads the outputs of the one below, with dropout between layers, not after the last.

    The state is the tuple of the layers' states, from the bottom up.

    Args:
        layers: from the bottom up, at least one; the widths must chain.
        dropout: probability with which an output between two layers is zeroed in training mode, 0 <= p < 1.
    """

    def __init__(self, layers: Sequence[Layer], dropout: float = 0.0) -> None:
        if not layers:
            raise ValueError("got no layers, expected at least one")
        for number, (below, above) in enumerate(pairwise(layers)):
            if below.output_size != above.input_size:
                raise ValueError(
                    f"layer {number} gives {below.output_size} outputs, layer {number + 1} expects "
                    f"{above.input_size} inputs; make them equal"
                )
        if not 0 <= dropout < 1:
            raise ValueError(f"got dropout {dropout}, expected a probability in 0 <= p < 1")
        super().__init__(layers[0].input_size, layers[-1].output_size)
        self.layers = nn.ModuleList(layers)
        self.dropout = nn.Dropout(dropout)
        self.causal = all(layer.causal for layer in layers)

    def forward(
        self,
        inputs: Tensor,
        state: State | None = None,
        lengths: Tensor | None = None,
        resets: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        inputs, state, lengths, _, resets, _ = self.check(inputs, state, lengths, resets)
        next_state = []
        for number, (layer, layer_state) in enumerate(zip(self.layers, state, strict=True)):
            below = self.dropout(inputs) if number else inputs
            inputs, layer_state = layer(below, layer_state, lengths, resets)
            next_state.append(layer_state)
        return inputs, tuple(next_state)

    def initial_state(self, batch_size: int) -> State:
        return tuple(layer.initial_state(batch_size) for layer in self._layers())

    def step(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        next_state = []
        for number, (layer, layer_state) in enumerate(zip(self._layers(), state, strict=True)):
            below = self.dropout(inputs) if number else inputs
            inputs, layer_state = layer.step(below, layer_state)
            next_state.append(layer_state)
        return inputs, tuple(next_state)

    def _layers(self) -> Sequence[Layer]:
        return list(self.layers)  # type: ignore[arg-type]  # a ModuleList of layers
