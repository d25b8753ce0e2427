"""The base class of layers: `(inputs [T, B, F], state, lengths, resets) -> (outputs [T, B, H], state)`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from seqaudio.state import State, batch_size, flatten, tensors


class Sequences(NamedTuple):
    """The checked arguments of one call; lengths and resets that have no effect are None."""

    inputs: Tensor  # [T, B, F], padding replaced by zeros
    state: State  # before the first step
    lengths: Tensor | None  # [B] int64, CPU; None where every row has T frames
    valid: Tensor | None  # [T, B] bool on the device of the inputs; None where every row has T frames
    resets: Tensor | None  # [T, B] bool on the same device, false in the padding; None where nothing is reset
    reset_steps: list[int]  # steps at which any row is reset, ascending


class Layer(nn.Module, ABC):
    """A recurrence over whole sequences: `forward` checks its arguments, a subclass runs them in `run_checked`.

    Rows are independent. Row b has lengths[b] real frames; after them its outputs are zero, its state stays as it
    was, and values in the padding (NaN too) reach neither outputs nor gradients. Where resets[t, b] is true, the
    row's state is replaced by the initial state before step t; a reset in the padding does nothing.

    Args:
        input_size: F.
        output_size: H, the width of the outputs.
    """

    causal: bool = True  # output t depends on frames 0..t alone, so `step` is possible

    def __init__(self, input_size: int, output_size: int) -> None:
        super().__init__()
        self.input_size = input_size
        self.output_size = output_size

    def forward(
        self,
        inputs: Tensor,
        state: State | None = None,
        lengths: Tensor | None = None,
        resets: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Run over a batch of sequences.

        inputs: [T, B, F] float; T may be 0.
        state: before the first step; None starts from `initial_state(B)`.
        lengths: [B] int64 on the CPU, each 0..T; None where every row has T frames.
        resets: [T, B] bool; None where no row is reset.
        Returns outputs [T, B, H] and, for each row, the state after its last real frame.
        Raises ValueError where shapes disagree; the message has both.
        """
        return self.run_checked(self.check(inputs, state, lengths, resets))

    @abstractmethod
    def run_checked(self, sequences: Sequences) -> tuple[Tensor, State]:
        """`forward` of arguments that `check` returned; layers within layers need no check of their own."""

    @abstractmethod
    def initial_state(self, batch_size: int) -> State:
        """The state before the first step, on the device and in the dtype of the layer's weights."""

    @abstractmethod
    def step(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """One frame for each row: inputs [B, F] to outputs [B, H] and the next state.

        Raises OptionError where the layer is not causal.
        """

    def check(self, inputs: Tensor, state: State | None, lengths: Tensor | None, resets: Tensor | None) -> Sequences:
        """Check the arguments of `forward` against each other; drop lengths and resets that have no effect."""
        if inputs.dim() != 3 or inputs.shape[2] != self.input_size:
            raise ValueError(
                f"{type(self).__name__} got inputs of shape {list(inputs.shape)}, expected "
                f"[T, B, {self.input_size}]; sequences are time-major"
            )
        T, B, _ = inputs.shape
        if state is None:
            state = self.initial_state(B)
        elif flatten(state) and batch_size(state) != B:
            raise ValueError(
                f"got a state of {batch_size(state)} rows for inputs of {B} rows; select the state's rows first"
            )

        valid = None
        if lengths is not None:
            if lengths.shape != (B,) or lengths.is_floating_point():
                raise ValueError(f"got lengths {lengths.dtype} {list(lengths.shape)}, expected int64 [{B}]")
            if B and not 0 <= int(lengths.min()) <= int(lengths.max()) <= T:
                raise ValueError(f"got lengths {lengths.tolist()}, expected frame counts in 0..{T}")
            if bool((lengths == T).all()):
                lengths = None
            else:
                valid = mask(lengths, T).to(inputs.device)
                inputs = torch.where(valid[..., None], inputs, 0)

        if resets is not None:
            if resets.shape != (T, B) or resets.dtype != torch.bool:
                raise ValueError(f"got resets {resets.dtype} {list(resets.shape)}, expected bool [{T}, {B}]")
            resets = resets if valid is None else resets & valid
        return Sequences(inputs, state, lengths, valid, *effective(resets))

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.output_size}"


def no_outputs(layer: Layer, sequences: Sequences) -> Tensor:
    """The outputs [0, B, H] of no steps, whose gradient with respect to inputs, state and weights is zero.

    With a graph, a loss of a window of any length can call backward.
    """
    _, B, _ = sequences.inputs.shape
    parts = (sequences.inputs, *tensors(sequences.state), *layer.parameters())
    nothing = [part.flatten()[:0].to(sequences.inputs.dtype) for part in parts if part.requires_grad]
    return torch.cat([sequences.inputs.new_zeros(0), *nothing]).view(0, B, layer.output_size)


def effective(resets: Tensor | None) -> tuple[Tensor | None, list[int]]:
    """Resets [T, B], None where no row is reset, and the steps at which any row is."""
    steps: list[int] = [] if resets is None else resets.any(1).nonzero().flatten().tolist()
    return (resets if steps else None), steps


def mask(lengths: Tensor, T: int) -> Tensor:
    """[T, B] bool, true at real frames, false in the padding. lengths: [B] int64, each 0..T."""
    return torch.arange(T, device=lengths.device)[:, None] < lengths


def flip(sequences: Tensor, lengths: Tensor | None) -> Tensor:
    """Reverse each row within its length; padding stays where it is. Its own inverse.

    sequences: [T, B, ...]. lengths: [B] int64, each 0..T; None where every row has T frames.
    """
    if lengths is None:
        return sequences.flip(0)
    T, B = sequences.shape[:2]
    steps = torch.arange(T)[:, None]
    lengths = lengths.cpu()
    source = torch.where(steps < lengths, lengths - 1 - steps, steps)
    frames = (source * B + torch.arange(B)).flatten().to(sequences.device)
    return sequences.flatten(0, 1).index_select(0, frames).view_as(sequences)
