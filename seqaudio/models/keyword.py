"""One label for a whole sequence of frames, and at each frame the label so far."""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqaudio.batching.batch import Batch
from seqaudio.layers import build_stack
from seqaudio.models.base import MODELS, Model
from seqaudio.state import State


class KeywordState(NamedTuple):
    """What a stream carries from frame to frame."""

    layers: State
    total: Tensor  # [B, H] sum of the outputs so far
    frames: Tensor  # [B, 1] number of frames so far


@MODELS.register("keyword")
class KeywordModel(Model):
    """Normalised frames, recurrent stack, mean over time, softmax over the labels.

        y = softmax(V m_T + c),  m_T = (1/T) sum_t h_t

    The mean is carried as a running sum, so that a stream has the logits of the clip so far at each frame and, at the
    last frame, those of the whole clip. Counts are clips.

    Args:
        input_size: F, features a frame.
        classes: number of labels.
        cell, hidden_size, layers, bidirectional: of the recurrent stack.
        dropout: probability, between the layers and before the softmax.

    A bidirectional stack needs the whole clip: `step` raises ValueError.
    """

    windowed = False
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        input_size: int,
        classes: int,
        cell: str = "gru",
        hidden_size: int = 128,
        layers: int = 2,
        dropout: float = 0.3,
        bidirectional: bool = False,
    ) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(input_size))
        self.register_buffer("std", torch.ones(input_size))
        self.layers = build_stack(
            cell, input_size, hidden_size, layers=layers, dropout=dropout, bidirectional=bidirectional
        )
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(self.layers.output_size, classes)

    def set_normalisation(self, mean: Tensor, std: Tensor) -> None:
        """Take over the statistics of the training frames, [F] each; they travel with the weights."""
        self.mean.copy_(mean)
        self.std.copy_(std)

    def initial_state(self, batch_size: int) -> KeywordState:
        total = self.output.weight.new_zeros(batch_size, self.layers.output_size)
        return KeywordState(self.layers.initial_state(batch_size), total, total[:, :1].clone())

    def forward(
        self, frames: Tensor, lengths: Tensor, state: KeywordState | None = None
    ) -> tuple[Tensor, KeywordState]:
        """Frames [T, B, F] -> logits [B, classes] of everything heard so far, and the state."""
        layers, total, heard = state if state is not None else self.initial_state(frames.shape[1])
        outputs, layers = self.layers((frames - self.mean) / self.std, layers, lengths=lengths)
        total = total + outputs.sum(dim=0)  # outputs beyond a row's length are zero
        heard = heard + lengths.to(heard)[:, None]
        return self._logits(total, heard), KeywordState(layers, total, heard)

    def _logits(self, total: Tensor, heard: Tensor) -> Tensor:
        logits: Tensor = self.output(self.dropout(total / heard.clamp(min=1)))
        return logits

    def step(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        layers, total, heard = cast(KeywordState, state)
        outputs, layers = self.layers.step((inputs - self.mean) / self.std, layers)
        total, heard = total + outputs, heard + 1
        return self._logits(total, heard), KeywordState(layers, total, heard)

    def loss(self, batch: Batch, state: State | None = None) -> tuple[Tensor, int, State]:
        if batch.targets is None:
            raise ValueError("a keyword batch needs targets [B]")
        logits, after = self(batch.inputs, batch.lengths, state)
        return F.cross_entropy(logits, batch.targets, reduction="sum"), batch.rows, after

    @torch.no_grad()
    def evaluate(self, batch: Batch, state: State | None = None) -> dict[str, tuple[float, int]]:
        if batch.targets is None:
            raise ValueError("a keyword batch needs targets [B]")
        logits, _ = self(batch.inputs, batch.lengths, state)
        correct = int((logits.argmax(dim=-1) == batch.targets).sum())
        nats = float(F.cross_entropy(logits, batch.targets, reduction="sum"))
        return {"accuracy": (correct, batch.rows), "nats_per_clip": (nats, batch.rows)}
