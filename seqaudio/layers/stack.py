"""Stacks of layers, with dropout that draws anew at each step, or once for all steps of a sequence."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seqaudio.errors import OptionError
from seqaudio.layers.base import Layer, Sequences
from seqaudio.layers.dropout import Dropout
from seqaudio.layers.stepping import CompiledStepper, Stepper, stepper_of
from seqaudio.layers.weight_dropout import recurrent_weight, with_dropped_weights
from seqaudio.state import State

STREAMED_LINES = 64  # frames times rows of a window up to which a stepper is faster than kernels for sequences


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

    def stepper(self, rows: int = 1, output: tuple[Tensor, Tensor] | None = None, int8: bool = False) -> Stepper:
        """Steps at inference with a copy of the weights: one compiled call a step for LSTM and GRU layers.

        Each row has the bits that it has alone, whatever the number of rows. Any other layers take each row's step
        alone, by torch.

        Args:
            rows: at once, as a rule; memory for more is taken when they come.
            output: weights [V, H] and biases [V] of an output layer, for scores in place of outputs.
            int8: keep weights as int8 with a scale for each row of a matrix, which a single stream's steps read in less
                time: a weight is off by 1/254 of the greatest of its row at most. Sums are float.
        Raises:
            OptionError: int8 for other layers, devices or types; a layer that is not causal.
        """
        if not self.causal:
            raise OptionError(
                "got a stack that needs whole sequences, which has no single steps; use one trained with bidirectional "
                "off"
            )
        return stepper_of(self, self._chain(), output, int8, rows, self.layer_states)

    def for_streams(self) -> Layer:
        """This stack in evaluation mode, with a few frames of a stream in one compiled call; itself where that is none.

        The calls keep a copy of the weights as they are now.
        """
        stepper = self.stepper() if self.causal else None
        return StreamedStack(self, stepper) if isinstance(stepper, CompiledStepper) else self

    def layer_states(self, state: State) -> State:
        """The states of the layers, from the bottom up."""
        return state

    def _chain(self) -> Sequence[Layer]:
        """The layers if each reads the outputs of the one below in evaluation mode, the first the frames; else none."""
        return self._layers() if type(self).step is Stack.step else []

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

    def layer_states(self, state: State) -> State:
        return cast(MaskedState, state).layers

    def _chain(self) -> Sequence[Layer]:
        plain = type(self).step is MaskedStack.step and type(self).input_features is MaskedStack.input_features
        return self._layers() if plain else []

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


class StreamedStack(Layer):
    """A stack whose steps, and windows of a few frames, are taken by a stepper where there are no gradients.

    Longer windows, padding and resets are run by the stack itself, with weights as they are then.
    """

    def __init__(self, stack: Stack, stepper: CompiledStepper) -> None:
        super().__init__(stack.input_size, stack.output_size)
        self.stack = stack
        self._stepper = stepper

    def run_checked(self, sequences: Sequences) -> tuple[Tensor, State]:
        T, B, _ = sequences.inputs.shape
        whole = sequences.lengths is None and sequences.resets is None
        if whole and 0 < T * B <= STREAMED_LINES and self._serves(sequences.inputs):
            return self._stepper.steps(sequences.inputs, sequences.state)
        return self.stack.run_checked(sequences)

    def initial_state(self, batch_size: int) -> State:
        return self.stack.initial_state(batch_size)

    def step(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        if not self._serves(inputs):
            return self.stack.step(inputs, state)
        outputs, state = self._stepper.steps(inputs[None], state)
        return outputs[0], state

    def _serves(self, inputs: Tensor) -> bool:
        return not torch.is_grad_enabled() and not self.training and inputs.dtype == self._stepper.dtype
