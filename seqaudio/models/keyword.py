"""Keyword recognition in whole clips: one label for a sequence of frames. For streams see `models/spotter.py`."""

from __future__ import annotations

from typing import Literal, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqaudio.batching.batch import Batch
from seqaudio.layers import build_stack
from seqaudio.layers.base import mask
from seqaudio.layers.dropout import Dropout
from seqaudio.models.base import MODELS, Model
from seqaudio.state import State

SHARPEST = 20.0  # largest exponent of a weight of attention


class KeywordState(NamedTuple):
    """The state of a clip between frames."""

    layers: State
    total: Tensor  # [B, H] weighted sum of the outputs so far, or the last output
    weight: Tensor  # [B, 1] sum of their weights
    frame_sum: Tensor  # [B, F] sum of the normalised inputs so far
    frames: Tensor  # [B, 1] number of frames so far


@MODELS.register("keyword")
class KeywordModel(Model):
    """Normalised frames, recurrent stack, mean over time, softmax over the labels.

        x_t = (input_t - mean) / std                   statistics of the training frames
        z_t = x_t - (x_1 + .. + x_t) / (t + K)         removes what is constant in a voice and a room
        h_t = stack(z_t, h_{t-1})
        y_t = softmax(V (h_1 + .. + h_t) / t + c)

    Both sums are in the state, so the logits after each frame are those of the clip so far. Instead of the mean, the
    last output may count alone, or each output with a learned weight exp(w h_t) (attention). Counts are clips.
    Cepstral mean subtraction: Atal (1974); here it is causal, with a prior of K frames at the training mean (maximum a
    posteriori); K = 0 turns it off.

    Args:
        input_size: F, features a frame.
        classes: number of labels.
        cell, hidden_size, layers, bidirectional, initialisation, learned_state: of the recurrent stack, as
            `seqaudio.layers.build.build_stack` takes them.
        dropout: probability, between the layers and before the softmax.
        mean_prior: K, frames.
        pooling: mean, last or attention.

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
        mean_prior: float = 10.0,
        pooling: Literal["mean", "last", "attention"] = "mean",
        initialisation: str = "",
        learned_state: bool = False,
    ) -> None:
        super().__init__()
        self.mean_prior = mean_prior
        self.pooling = pooling
        self.register_buffer("mean", torch.zeros(input_size))
        self.register_buffer("std", torch.ones(input_size))
        self.layers = build_stack(
            cell,
            input_size,
            hidden_size,
            layers=layers,
            dropout=dropout,
            bidirectional=bidirectional,
            initialisation=initialisation,
            learned_state=learned_state,
        )
        self.dropout = Dropout(dropout)
        if pooling == "attention":
            self.attention = nn.Linear(self.layers.output_size, 1, bias=False)
        self.output = nn.Linear(self.layers.output_size, classes)

    def set_normalisation(self, mean: Tensor, std: Tensor) -> None:
        """Set the statistics of the training frames, [F] each; they are buffers and saved with the weights."""
        self.mean.copy_(mean)
        self.std.copy_(std)

    def initial_state(self, batch_size: int) -> KeywordState:
        zeros = self.output.weight.new_zeros
        return KeywordState(
            layers=self.layers.initial_state(batch_size),
            total=zeros(batch_size, self.layers.output_size),
            weight=zeros(batch_size, 1),
            frame_sum=zeros(batch_size, self.layers.input_size),
            frames=zeros(batch_size, 1),
        )

    def forward(
        self, inputs: Tensor, lengths: Tensor, state: KeywordState | None = None
    ) -> tuple[Tensor, KeywordState]:
        """Inputs [T, B, F] -> logits [B, classes] of all frames so far, and the state."""
        before = state if state is not None else self.initial_state(inputs.shape[1])
        valid = mask(lengths, len(inputs)).to(inputs.device)[..., None]
        normalised = torch.where(valid, (inputs - self.mean) / self.std, 0)
        frame_sum = before.frame_sum + normalised.cumsum(dim=0)
        steps = torch.arange(1, len(inputs) + 1, device=inputs.device)[:, None, None]
        centred = self._centre(normalised, frame_sum, before.frames + steps)
        outputs, layers = self.layers(centred, before.layers, lengths=lengths)
        frames = before.frames + lengths.to(before.frames)[:, None]
        total, weight = self._pooled(outputs, valid, before)
        # the sum is constant in the padding, so its last value is that at the row's length
        last = frame_sum[-1] if len(inputs) else before.frame_sum
        return self._logits(total, weight), KeywordState(layers, total, weight, last, frames)

    def _pooled(self, outputs: Tensor, valid: Tensor, before: KeywordState) -> tuple[Tensor, Tensor]:
        """The sum of outputs [T, B, H] and that of their weights; outputs beyond a row's length are zero."""
        if self.pooling == "last":
            counts = valid.sum(dim=0)  # [B, 1]
            if not len(outputs):
                return before.total, before.weight
            last = outputs.gather(0, (counts - 1).clamp(min=0)[None].expand(1, -1, outputs.shape[2]))[0]
            ends = counts > 0
            return torch.where(ends, last, before.total), torch.where(ends, 1.0, before.weight)
        weights = valid.to(outputs.dtype)
        if self.pooling == "attention":
            weights = torch.where(valid, self.attention(outputs).clamp(-SHARPEST, SHARPEST).exp(), 0)
        return before.total + (weights * outputs).sum(dim=0), before.weight + weights.sum(dim=0)

    def _centre(self, normalised: Tensor, frame_sum: Tensor, frames: Tensor) -> Tensor:
        """z_t of x_t, the sum of x up to t, and t."""
        return normalised - frame_sum / (frames + self.mean_prior) if self.mean_prior else normalised

    def _logits(self, total: Tensor, weight: Tensor) -> Tensor:
        logits: Tensor = self.output(self.dropout(total / torch.where(weight > 0, weight, 1)))
        return logits

    def step(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        before = cast(KeywordState, state)
        normalised = (inputs - self.mean) / self.std
        frame_sum, frames = before.frame_sum + normalised, before.frames + 1
        outputs, layers = self.layers.step(self._centre(normalised, frame_sum, frames), before.layers)
        total, weight = self._pooled(outputs[None], torch.ones_like(frames, dtype=torch.bool)[None], before)
        return self._logits(total, weight), KeywordState(layers, total, weight, frame_sum, frames)

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
