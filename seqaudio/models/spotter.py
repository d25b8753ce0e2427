"""Keyword spotting in a stream: logits over the labels after each frame, from a state of bounded size that forgets."""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqaudio.batching.batch import Batch
from seqaudio.errors import OptionError
from seqaudio.layers import build_stack
from seqaudio.layers.base import mask
from seqaudio.layers.decayed_sums import decayed_counts, decayed_sums, memory_decay
from seqaudio.layers.dropout import Dropout
from seqaudio.layers.products import Linear, linear
from seqaudio.models.base import MODELS, Model
from seqaudio.models.centring import loudness_weights, weighted_mean
from seqaudio.models.filter_sizes import KERNEL, STRIDE
from seqaudio.models.filters import compiled_filters_serve, filtered_maps
from seqaudio.models.pcan import noise_reduced, noise_reduced_step
from seqaudio.state import State

SOUNDING = 2.3  # natural logarithm of energy above the floor, 10 dB, at which a frame counts whole
FEW_FRAMES = 64  # up to so many, a product of windows is faster than torch's convolution, whose setup takes 50 us


class SpotterState(NamedTuple):
    """The state of a stream between frames: as large after an hour as after a second."""

    layers: State
    past: Tensor  # [B, KERNEL - 1, F] the centred frames before, which filters cover; [B, 0, F] without filters
    level: Tensor  # [B, F] decaying sum of the normalised frames, weighted; with pcan the noise of each channel
    frames: Tensor  # [B, 1] decaying sum of their weights
    squares: Tensor  # [B, 1] decaying sum of the squares of their weights
    outputs: Tensor  # [B, H] decaying sum of the outputs
    steps: Tensor  # [B, 1] decaying number of outputs


@MODELS.register("spotter")
class SpotterModel(Model):
    """Normalised frames, convolution, recurrent stack, mean over the last frames, softmax over the labels.

        x_t = (max(input_t, floor) - mean) / std
        z_t = x_t - N / (N + K) sum_u a^u w x_{t-u} / sum_u a^u w    a = 1 - 1/memory: removes a voice's colour
        N = (sum_u a^u w)^2 / sum_u a^u w^2                          number of frames that count
        w = min(1, mean(l - floor) / SOUNDING) exp(LOUDER mean(l - mean)),  l = max(input_{t-u}, floor)
        f_t = relu(norm(filters * z_{t-4} .. z_t))             over five frames and five features; optional
        h_t = stack(f_t, h_{t-1})
        y_t = softmax(V sum_u b^u h_{t-u} / sum_u b^u + c)     b = 1 - 1/pooling

    With `pcan` z_t is the frame after noise reduction and gain control instead, as microcontrollers compute it
    (`seqaudio/models/pcan.py`), and statistics of training frames have no effect.

    A frame counts in the mean by its loudness, so quiet, however long, leaves no trace once a word begins.
    Sums decay, so what was heard long ago counts no more, and the state of a stream is bounded in size and in value.
    Targets are one label a frame, [T, B], with weights. Causal mean subtraction: Atal (1974), with a prior of K frames
    at the training mean; convolution before recurrence: Arik et al. (2017); norm: by batch, Ioffe & Szegedy (2015).

    Args:
        input_size: F, features a frame. classes: number of labels.
        cell, hidden_size, layers, initialisation, learned_state: of the stack, see `seqaudio.layers.build.build_stack`.
        dropout: probability, between the layers and before the softmax.
        filters: of the convolution in front, whose outputs are projected to the width of the stack; 0: none.
        memory: frames over which the mean is taken that frames are centred on; 0: no centring. mean_prior: K, frames.
        pooling: frames over which outputs are averaged; 1: the last output alone.
        smoothing: share of a target's probability that is spread over all labels in training.
        pcan: steps of 10 ms from frame to frame, for noise reduction and gain control in place of centring; 0: off.

    Raises:
        OptionError: a memory or pooling below 1 frame, or both a memory and pcan.
    """

    windowed = True
    mean: Tensor
    std: Tensor
    floor: Tensor

    def __init__(
        self,
        input_size: int,
        classes: int,
        cell: str = "gru",
        hidden_size: int = 96,
        layers: int = 2,
        dropout: float = 0.2,
        filters: int = 16,
        memory: float = 150.0,
        mean_prior: float = 10.0,
        pooling: float = 6.0,
        smoothing: float = 0.05,
        initialisation: str = "",
        learned_state: bool = False,
        pcan: float = 0.0,
    ) -> None:
        super().__init__()
        if memory and pcan:
            raise OptionError(f"memory {memory:g} and pcan {pcan:g}, expected one of them to be 0")
        if (memory and memory < 1) or pooling < 1:
            raise OptionError(f"memory {memory:g} and pooling {pooling:g} frames, expected at least 1 of each")
        self.memory_decay = memory_decay(memory) if memory else None
        self.pooling_decay = memory_decay(pooling)
        self.pcan = pcan
        self.mean_prior = mean_prior
        self.smoothing = smoothing
        self.register_buffer("mean", torch.zeros(input_size))
        self.register_buffer("std", torch.ones(input_size))
        self.register_buffer("floor", torch.full((input_size,), -1e30))
        self.input_size = input_size
        self.reads = KERNEL - 1 if filters else 0  # frames before the present one
        width = input_size
        if filters:
            self.filters = nn.Conv2d(1, filters, KERNEL, stride=(1, STRIDE), padding=(0, KERNEL // 2))
            self.filter_norm = nn.BatchNorm2d(filters)
            positions = (input_size - 1) // STRIDE + 1
            self.projection = Linear(filters * positions, hidden_size)
            width = hidden_size
        self.layers = build_stack(
            cell,
            width,
            hidden_size,
            layers=layers,
            dropout=dropout,
            initialisation=initialisation,
            learned_state=learned_state,
        )
        self.dropout = Dropout(dropout)
        self.output = Linear(self.layers.output_size, classes)

    def set_normalisation(self, mean: Tensor, std: Tensor, floor: Tensor | None = None) -> None:
        """Set the statistics of training frames, [F] each; quieter values than `floor` count as `floor`."""
        self.mean.copy_(mean)
        self.std.copy_(std)
        if floor is not None:
            self.floor.copy_(floor)

    def initial_state(self, batch_size: int) -> SpotterState:
        zeros = self.output.weight.new_zeros
        return SpotterState(
            layers=self.layers.initial_state(batch_size),
            past=zeros(batch_size, self.reads, self.input_size),
            level=zeros(batch_size, self.input_size),
            frames=zeros(batch_size, 1),
            squares=zeros(batch_size, 1),
            outputs=zeros(batch_size, self.layers.output_size),
            steps=zeros(batch_size, 1),
        )

    def forward(
        self,
        inputs: Tensor,
        lengths: Tensor | None = None,
        state: SpotterState | None = None,
        resets: Tensor | None = None,
    ) -> tuple[Tensor, SpotterState]:
        """Inputs [T, B, F] -> logits [T, B, classes], those after each frame, and the state after the last real one."""
        T, B, _ = inputs.shape
        before = state if state is not None else self.initial_state(B)
        if not T:
            return inputs.new_zeros(0, B, self.output.out_features), before
        last = valid = None
        noise = None
        if self.pcan:
            normalised, noise = noise_reduced(inputs, self.pcan, before.level, resets)
        else:
            normalised = self._normalised(inputs)
        if lengths is not None:
            last, valid = (lengths - 1).to(inputs.device), mask(lengths, T).to(inputs.device)[..., None]
            normalised = torch.where(valid, normalised, 0)
        centred, level, frames, squares = normalised, before.level, before.frames, before.squares
        if noise is not None:
            level = _at(noise, last, before.level)
        if self.memory_decay is not None:
            weights = self._weights(inputs)
            weights = weights if valid is None else torch.where(valid, weights, 0)
            levels = decayed_sums(weights * normalised, self.memory_decay, before.level, resets)
            counts = decayed_sums(weights, self.memory_decay, before.frames, resets)
            squares = decayed_sums(weights.square(), self.memory_decay, before.squares, resets)
            centred = normalised - weighted_mean(levels, counts, squares, self.mean_prior)
            centred = centred if valid is None else torch.where(valid, centred, 0)
            level, frames = _at(levels, last, before.level), _at(counts, last, before.frames)
            squares = _at(squares, last, before.squares)
        heard, past = self._convolved(centred, before.past, lengths, resets)
        hidden, layers = self.layers(heard, before.layers, lengths=lengths, resets=resets)
        sums = decayed_sums(hidden, self.pooling_decay, before.outputs, resets)
        counted = decayed_counts(T, self.pooling_decay, before.steps, resets)
        logits: Tensor = self.output(self.dropout(sums / counted))
        outputs, steps = _at(sums, last, before.outputs), _at(counted, last, before.steps)
        return logits, SpotterState(layers, past, level, frames, squares, outputs, steps)

    def step(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        before = cast(SpotterState, state)
        level, frames, squares = before.level, before.frames, before.squares
        if self.pcan:
            centred, level = noise_reduced_step(inputs, self.pcan, level)
        else:
            centred = self._normalised(inputs)
        if self.memory_decay is not None:
            weights = self._weights(inputs)
            level = self.memory_decay * level + weights * centred
            frames = self.memory_decay * frames + weights
            squares = self.memory_decay * squares + weights.square()
            centred = centred - weighted_mean(level, frames, squares, self.mean_prior)
        seen = torch.cat([before.past, centred[:, None]], dim=1)
        heard = self._filtered(seen)[:, 0] if self.reads else centred
        hidden, layers = self.layers.step(heard, before.layers)
        outputs = self.pooling_decay * before.outputs + hidden
        steps = self.pooling_decay * before.steps + 1
        logits = self.output(self.dropout(outputs / steps))
        past = seen[:, 1:] if self.reads else before.past
        return logits, SpotterState(layers, past, level, frames, squares, outputs, steps)

    def loss(self, batch: Batch, state: State | None = None) -> tuple[Tensor, int, State]:
        """The weighted cross-entropy of a target a frame; the count is that of frames with a weight."""
        targets, weights = self._targets(batch)
        logits, after = self(batch.inputs, batch.lengths, cast("SpotterState | None", state), batch.resets)
        nats = F.cross_entropy(
            logits.flatten(0, 1), targets.flatten(), reduction="none", label_smoothing=self.smoothing
        ).view_as(weights)
        return (nats * weights).sum(), int((weights > 0).sum()), after

    @torch.no_grad()
    def evaluate(self, batch: Batch, state: State | None = None) -> dict[str, tuple[float, int]]:
        targets, weights = self._targets(batch)
        logits, _ = self(batch.inputs, batch.lengths, cast("SpotterState | None", state), batch.resets)
        nats = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view_as(weights)
        counted = weights > 0
        right = (logits.argmax(dim=-1) == targets) & counted
        frames = int(counted.sum())
        return {"nats_per_frame": (float(nats[counted].sum()), frames), "frame_accuracy": (int(right.sum()), frames)}

    def _targets(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Targets [T, B], and their weights, 0 in the padding; a label [B] is the target of its row's last frame."""
        if batch.targets is None:
            raise ValueError("a batch for a spotter needs targets [T, B], one label a frame")
        weights = torch.ones_like(batch.inputs[..., 0]) if batch.weights is None else batch.weights
        if batch.targets.dim() == 1:
            last = torch.arange(batch.steps)[:, None] == batch.lengths - 1
            return batch.targets.expand(batch.steps, -1), weights * last.to(weights)
        return batch.targets, weights * batch.mask()

    def _normalised(self, inputs: Tensor) -> Tensor:
        return (torch.maximum(inputs, self.floor) - self.mean) / self.std

    def _weights(self, inputs: Tensor) -> Tensor:
        """How much frames [..., F] count in the mean that others are centred on, [..., 1]."""
        loudness = torch.maximum(inputs, self.floor).mean(dim=-1, keepdim=True)
        sounds = ((loudness - self.floor.mean()) / SOUNDING).clamp(max=1.0)
        return sounds * loudness_weights(loudness, self.mean.mean())

    def _convolved(
        self, centred: Tensor, past: Tensor, lengths: Tensor | None, resets: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """The inputs of the stack [T, B, H] of centred frames [T, B, F], and the frames that later ones will need."""
        if not self.reads:
            return centred, past
        T, B, _ = centred.shape
        seen = torch.cat([past, centred.transpose(0, 1)], dim=1)  # [B, KERNEL - 1 + T, F]
        if resets is None or not bool(resets.any()):
            return self._filtered(seen).transpose(0, 1), _ends(seen, lengths, self.reads)
        # a filter covers no frame before the last reset of its row, so those count as zeros
        steps = torch.arange(T, device=centred.device)[:, None].expand(T, B)
        begun = torch.where(resets, steps, -self.reads).cummax(dim=0).values  # [T, B] first frame that may be seen
        windows = seen.unfold(1, KERNEL, 1).permute(1, 0, 3, 2)  # [T, B, KERNEL, F]
        ages = steps[..., None] - self.reads + torch.arange(KERNEL, device=centred.device)
        windows = torch.where((ages >= begun[..., None])[..., None], windows, 0)
        heard = self._filtered(windows.reshape(T * B, KERNEL, -1)).view(T, B, -1)
        places = torch.arange(-self.reads, T, device=centred.device)[None, :, None].expand(B, -1, 1)
        first = begun[-1] if lengths is None else begun.gather(0, (lengths.to(begun.device) - 1).clamp(min=0)[None])[0]
        known = _ends(places, lengths, self.reads) >= first[:, None, None]
        return heard, torch.where(known, _ends(seen, lengths, self.reads), 0)

    def _filtered(self, seen: Tensor) -> Tensor:
        """Frames [B, t + KERNEL - 1, F] -> [B, t, H]."""
        B, t = len(seen), seen.shape[1] - KERNEL + 1
        if B * t > FEW_FRAMES and compiled_filters_serve(seen, self.filters, self.filter_norm):
            by_position = filtered_maps(seen, self.filters, self.filter_norm)  # [B, t, positions, filters]
            weight = self.projection.weight.view(-1, *by_position.shape[:1:-1]).transpose(1, 2)
            return linear(by_position.flatten(2), weight.flatten(1), self.projection.bias)
        if B * t > FEW_FRAMES or not B:
            maps = F.relu(self.filter_norm(self.filters(seen[:, None]))).transpose(1, 2)  # [B, t, filters, positions]
        else:
            margin = KERNEL // 2
            windows = F.pad(seen, (margin, margin)).unfold(1, KERNEL, 1).unfold(2, KERNEL, STRIDE)
            weight = self.filters.weight.flatten(1)
            products = F.linear(windows.reshape(-1, weight.shape[1]), weight, self.filters.bias)
            products = self.filter_norm(products[..., None, None])
            maps = F.relu(products).view(B, t, -1, len(weight)).transpose(2, 3)
        projected: Tensor = self.projection(maps.flatten(2))
        return projected


def _at(values: Tensor, last: Tensor | None, before: Tensor) -> Tensor:
    """The values [T, B, F] of each row at its last step [B], None for T - 1; those before where it has none."""
    if last is None:
        return values[-1].clone()  # not a view, which would keep the whole alive
    found = values.gather(0, last.clamp(min=0)[None, :, None].expand(1, -1, values.shape[2]))[0]
    return torch.where(last[:, None] < 0, before, found)


def _ends(seen: Tensor, lengths: Tensor | None, reads: int) -> Tensor:
    """Of [B, reads + T, F], the `reads` frames that end with the last real one of each row, [B, reads, F]."""
    if lengths is None:
        return seen[:, seen.shape[1] - reads :].clone()
    ends = lengths.to(seen.device)[:, None] + torch.arange(reads, device=seen.device)
    return seen.gather(1, ends[..., None].expand(-1, -1, seen.shape[2]))
