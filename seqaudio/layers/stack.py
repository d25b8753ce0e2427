"""Stacks of layers, with dropout that draws anew at each step, or once for all steps of a sequence."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqaudio.layers.base import Layer, Sequences
from seqaudio.layers.dropout import Dropout
from seqaudio.layers.weight_dropout import recurrent_weight, with_dropped_weights
from seqaudio.state import State


class Stack(Layer):
    """Layers each of which reads the outputs of the one below, with dropout between layers, not after the last.

    The state is the tuple of the layers' states, from the bottom up.

    Args:
        layers: from the bottom up, at least one; the widths must chain.
        dropout: probability with which an output between two layers is zeroed in training mode, 0 <= p <= 1.
        weight_dropout: probability with which each recurrent weight is zeroed in training mode, drawn anew in each call
            of `forward`; the layers keep their fused kernels.
    Raises:
        OptionError: a cell without recurrent weights, with weight_dropout.
    """

    def __init__(self, layers: Sequence[Layer], dropout: float = 0.0, weight_dropout: float = 0.0) -> None:
        if not layers:
            raise ValueError("got no layers, expected at least one")
        for number, (below, above) in enumerate(pairwise(layers)):
            if below.output_size != above.input_size:
                raise ValueError(
                    f"layer {number} gives {below.output_size} outputs, layer {number + 1} expects "
                    f"{above.input_size} inputs; make them equal"
                )
        for name, share in (("dropout", dropout), ("weight_dropout", weight_dropout)):
            if not 0 <= share <= 1:
                raise ValueError(f"got {name} {share}, expected a probability in 0 <= p <= 1")
        super().__init__(layers[0].input_size, layers[-1].output_size)
        self.layers = nn.ModuleList(layers)
        self.dropout = Dropout(dropout)
        self.weight_dropout = weight_dropout
        self.causal = all(layer.causal for layer in layers)
        if weight_dropout:
            for layer in layers:
                recurrent_weight(layer)

    def run_checked(self, sequences: Sequences) -> tuple[Tensor, State]:
        inputs, next_state = sequences.inputs, []
        for number, (layer, layer_state) in enumerate(zip(self._layers(), sequences.state, strict=True)):
            below = self.dropout(inputs) if number else inputs
            inputs, layer_state = self._run(layer, sequences._replace(inputs=below, state=layer_state))
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

    def _run(self, layer: Layer, sequences: Sequences) -> tuple[Tensor, State]:
        if self.training and self.weight_dropout:
            return with_dropped_weights(layer, self.weight_dropout, sequences)
        return layer.run_checked(sequences)


class MaskedState(NamedTuple):
    """The state of a `MaskedStack`."""

    layers: State
    masks: tuple[Tensor, ...]  # of the inputs [B, F] and of the outputs of each layer [B, H]; empty without dropout


class MaskedStack(Stack):
    """A stack with variational dropout: one mask for all steps of a sequence, of its inputs and each layer's outputs.

    The masks are in the state, as in the wrapper `variational_dropout`, so they outlive a window of truncated BPTT; a
    reset draws new ones for its row. Layers keep their fused kernels, which the wrapper does not. Source: Gal &
    Ghahramani (2016).

    Args:
        layers, dropout, weight_dropout: as for `Stack`; dropout is of the last layer's outputs, too.
        input_dropout: probability with which an input is zeroed.
        input_size: F, where the first layer does not read the inputs themselves, but what `seen` makes of them.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        dropout: float = 0.0,
        weight_dropout: float = 0.0,
        input_dropout: float = 0.0,
        input_size: int | None = None,
    ) -> None:
        super().__init__(layers, dropout, weight_dropout)
        self.input_size = self.input_size if input_size is None else input_size
        widths = [self.input_size, *(layer.output_size for layer in layers)]
        shares = [input_dropout, *[dropout] * len(layers)]
        self._masked = list(zip(widths, shares, strict=True)) if any(shares) else []

    def input_features(self, inputs: Tensor) -> Tensor:
        """Inputs [..., input_size] of the first layer, from inputs [..., F] after dropout; by default the same."""
        return inputs

    def initial_state(self, batch_size: int) -> MaskedState:
        """The initial state of the layers, and newly drawn masks in training mode."""
        state = super().initial_state(batch_size)
        like = next(self.parameters())
        masks = (F.dropout(like.new_ones(batch_size, width), share, self.training) for width, share in self._masked)
        return MaskedState(state, tuple(masks))

    def run_checked(self, sequences: Sequences) -> tuple[Tensor, MaskedState]:
        before, valid = cast(MaskedState, sequences.state), sequences.valid
        masks, last = self._at_steps(before.masks, sequences.resets)
        outputs, after = self.input_features(self._drop(sequences.inputs, masks, 0)), []
        if valid is not None:  # what is seen of zeros need not be zero
            outputs = torch.where(valid[..., None], outputs, 0)
        for number, (layer, layer_state) in enumerate(zip(self._layers(), before.layers, strict=True), start=1):
            outputs, layer_state = self._run(layer, sequences._replace(inputs=outputs, state=layer_state))
            outputs = self._drop(outputs, masks, number)
            after.append(layer_state)
        return outputs, MaskedState(tuple(after), last)

    def step(self, inputs: Tensor, state: State) -> tuple[Tensor, MaskedState]:
        held = cast(MaskedState, state)
        outputs, after = self.input_features(self._drop(inputs, held.masks, 0)), []
        for number, (layer, layer_state) in enumerate(zip(self._layers(), held.layers, strict=True), start=1):
            outputs, layer_state = layer.step(outputs, layer_state)
            outputs = self._drop(outputs, held.masks, number)
            after.append(layer_state)
        return outputs, MaskedState(tuple(after), held.masks)

    def _at_steps(
        self, held: tuple[Tensor, ...], resets: Tensor | None
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """The masks of all steps, [B, F], or [T, B, F] where a row is reset; and those after the last step."""
        if resets is None or not held or not self.training:
            return held, held
        begun = resets.cumsum(0)  # [T, B] sequences that have begun in the window
        rows = torch.arange(resets.shape[1], device=resets.device)
        whole, last = [], []
        for mask, (_, share) in zip(held, self._masked, strict=True):
            fresh = (F.dropout(torch.ones_like(mask), share) for _ in range(int(begun.max())))
            one_after_other = torch.stack([mask, *fresh])  # [K, B, F]
            whole.append(one_after_other[begun, rows])
            last.append(one_after_other[begun[-1], rows])
        return tuple(whole), tuple(last)

    def _drop(self, values: Tensor, masks: tuple[Tensor, ...], number: int) -> Tensor:
        return values * masks[number] if self.training and masks else values
