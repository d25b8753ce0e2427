"""Predict values at each step from the inputs so far: a recurrent stack with a linear read-out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seqaudio.batching.batch import Batch
from seqaudio.layers import build_stack
from seqaudio.layers.dropout import Dropout
from seqaudio.models.base import MODELS, Model
from seqaudio.state import State


@MODELS.register("series")
class SeriesModel(Model):
    """Recurrent stack, linear read-out, squared error.

        y_t = V h_t + c,   h_t = stack(x_t, h_{t-1})
        L   = sum over steps t and channels k of w_t (y_tk - target_tk)^2

    Counts are values: the channels of each step inside its row's length whose weight is not zero. A batch without
    weights counts every step.

    Args:
        input_size: F, channels of a frame.
        output_size: K, values a step.
        cell, hidden_size, layers, initialisation, learned_state: of the recurrent stack, as
            `seqaudio.layers.build.build_stack` takes them.
        dropout: probability, between the layers and before the read-out.
    """

    windowed = True

    def __init__(
        self,
        input_size: int,
        output_size: int = 1,
        cell: str = "lstm",
        hidden_size: int = 64,
        layers: int = 1,
        dropout: float = 0.0,
        initialisation: str = "",
        learned_state: bool = False,
    ) -> None:
        super().__init__()
        self.layers = build_stack(
            cell,
            input_size,
            hidden_size,
            layers=layers,
            dropout=dropout,
            initialisation=initialisation,
            learned_state=learned_state,
        )
        self.dropout = Dropout(dropout)
        self.output = nn.Linear(self.layers.output_size, output_size)

    def initial_state(self, batch_size: int) -> State:
        return self.layers.initial_state(batch_size)

    def forward(
        self,
        inputs: Tensor,
        state: State | None = None,
        lengths: Tensor | None = None,
        resets: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Inputs [T, B, F] -> values [T, B, K] after each step, and the state after the last."""
        outputs, state = self.layers(inputs, state, lengths=lengths, resets=resets)
        return self.output(self.dropout(outputs)), state

    def step(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        outputs, state = self.layers.step(inputs, state)
        return self.output(self.dropout(outputs)), state

    def loss(self, batch: Batch, state: State | None = None) -> tuple[Tensor, int, State]:
        if batch.targets is None:
            raise ValueError(f"a series batch needs targets [T, B, {self.output.out_features}]")
        values, state = self(batch.inputs, state, batch.lengths, batch.resets)
        counted, weights = counted_steps(batch)
        # selecting before the difference keeps padding out of the loss and of the gradient
        errors = (values[counted] - batch.targets[counted]).square()
        if weights is not None:
            errors = errors * weights[:, None]
        return errors.sum(), errors.numel(), state

    @torch.no_grad()
    def evaluate(self, batch: Batch, state: State | None = None) -> dict[str, tuple[float, int]]:
        total, count, _ = self.loss(batch, state)
        return {"mse": (float(total), count)}


def counted_steps(batch: Batch) -> tuple[Tensor, Tensor | None]:
    """Mask [T, B] bool of the steps that count, and the weights [N] of those N steps; None where there are none."""
    counted = batch.mask()
    if batch.weights is None:
        return counted, None
    counted &= batch.weights != 0
    return counted, batch.weights[counted]
