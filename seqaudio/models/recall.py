"""Recall tasks: predict a symbol at marked steps from the prefix."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from seqaudio.batching.batch import Batch
from seqaudio.models.base import MODELS, Model
from seqaudio.models.series import SeriesModel, counted_steps
from seqaudio.state import State


@MODELS.register("recall")
class RecallModel(Model):
    """One-hot symbols, recurrent stack, softmax over the symbols at the steps that the batch's weights mark.

        p(y_t | x_1 .. x_t) = softmax(V h_t + c),   h_t = stack(onehot(x_t), h_{t-1})

    Counts are the steps inside their row's length whose weight is not zero.

    Args:
        vocabulary_size: V, the number of symbols.
        cell, hidden_size, layers, dropout, initialisation, learned_state: as `SeriesModel` takes them.
    """

    windowed = True

    def __init__(
        self,
        vocabulary_size: int,
        cell: str = "lstm",
        hidden_size: int = 64,
        layers: int = 1,
        dropout: float = 0.0,
        initialisation: str = "",
        learned_state: bool = False,
    ) -> None:
        super().__init__()
        self.vocabulary_size = vocabulary_size
        self.series = SeriesModel(
            vocabulary_size,
            vocabulary_size,
            cell=cell,
            hidden_size=hidden_size,
            layers=layers,
            dropout=dropout,
            initialisation=initialisation,
            learned_state=learned_state,
        )

    def initial_state(self, batch_size: int) -> State:
        return self.series.initial_state(batch_size)

    def forward(
        self,
        ids: Tensor,
        state: State | None = None,
        lengths: Tensor | None = None,
        resets: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Ids [T, B] -> logits [T, B, V] after each step, and the state after the last."""
        logits: Tensor
        logits, state = self.series(self._one_hot(ids), state, lengths, resets)
        return logits, state

    def step(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        return self.series.step(self._one_hot(inputs), state)

    def _one_hot(self, ids: Tensor) -> Tensor:
        return F.one_hot(ids, self.vocabulary_size).to(self.series.output.weight.dtype)

    def loss(self, batch: Batch, state: State | None = None) -> tuple[Tensor, int, State]:
        logits, targets, weights, state = self._answers(batch, state)
        losses = F.cross_entropy(logits, targets, reduction="none")
        if weights is not None:
            losses = losses * weights
        return losses.sum(), len(targets), state

    def _answers(self, batch: Batch, state: State | None) -> tuple[Tensor, Tensor, Tensor | None, State]:
        """Logits [N, V], targets [N] and weights of the N steps that count, and the state."""
        if batch.targets is None:
            raise ValueError("a recall batch needs targets [T, B]")
        logits, state = self(batch.inputs, state, batch.lengths, batch.resets)
        counted, weights = counted_steps(batch)
        return logits[counted], batch.targets[counted], weights, state

    @torch.no_grad()
    def evaluate(self, batch: Batch, state: State | None = None) -> dict[str, tuple[float, int]]:
        logits, targets, _, _ = self._answers(batch, state)
        correct = int((logits.argmax(dim=-1) == targets).sum())
        nats = float(F.cross_entropy(logits, targets, reduction="sum"))
        return {"accuracy": (correct, len(targets)), "nats_per_symbol": (nats, len(targets))}
