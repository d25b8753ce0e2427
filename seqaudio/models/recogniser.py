"""Speech recognition: frames -> the probability of a blank and of each unit, a few times a second; trained by CTC."""

from __future__ import annotations

from typing import Literal, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqaudio.batching.batch import Batch
from seqaudio.errors import OptionError
from seqaudio.layers import build_stack
from seqaudio.layers.base import mask
from seqaudio.layers.decayed_sums import decayed_counts, decayed_sums, memory_decay
from seqaudio.layers.dropout import Dropout
from seqaudio.layers.products import Linear
from seqaudio.models.base import MODELS, Model
from seqaudio.models.centring import loudness_weights, weighted_mean
from seqaudio.state import State

BLANK_ID = 0
KERNEL = 5  # features that a filter covers
STRIDE = 2  # features between two positions of a filter
ALIGNED = 0.3  # weight of the nats of a step whose unit is known, beside those of CTC

Centring = Literal["none", "running", "loudness", "utterance"]


class RecogniserState(NamedTuple):
    """The state of a recording between steps: of the same size however long it is."""

    layers: State
    past: Tensor  # [B, P, F] the centred frames before, which filters cover; P = 0 without filters
    level: Tensor  # [B, F] decaying sum of the normalised frames, weighted
    frames: Tensor  # [B, 1] decaying sum of their weights, which are 1 unless loudness counts
    squares: Tensor  # [B, 1] decaying sum of the squares of their weights; where these are 1, it stays 0


@MODELS.register("recogniser")
class Recogniser(Model):
    """Normalised frames, subsampling, recurrent stack, softmax over a blank and the units of the text; CTC.

        x_t = (input_t - mean) / std                             statistics of the training frames
        z_t = x_t - sum_u a^u x_{t-u} / (sum_u a^u + N)          running: a = 1 - 1/memory; utterance: the whole mean
            = x_t - n / (n + N) sum_u a^u w x_{t-u} / sum_u a^u w    loudness: louder frames count more, as in `spotter`
        f_j = z_{jK} .. z_{jK+K-1}, side by side                 K frames a step
            = W relu(norm(filters * z around these)) + b         with filters: every K frames, every other feature
        h_j = stack(f_j, h_{j-1})
        y_j = softmax(V h_j + c)                                 id 0 is the blank
        loss = - ln sum over paths that collapse to the text of prod_j y_j[path_j]
            - 0.3 sum_j ln y_j[u_j]                          over steps j just after a unit u_j, if the batch has them

    A step is K frames; frames behind the last whole step of a recording are not used. The loss is in nats, its count
    the units of the texts, so the mean is nats a unit. A text that cannot be aligned, since it has more units, repeats
    counted twice, than there are steps, or an id below 0, has no loss and does not count.
    In one direction, and not centred on the utterance, the model is causal: filters reach back, and `step` and chunks
    of whole steps equal the whole. Otherwise filters reach to both sides. A filter covers 2 K + 1 frames.

    Source: Graves et al. (2006) for CTC; convolution in front, and its norm by batch: Amodei et al. (2016), Deep Speech
    2; stacked frames: Sak et al. (2015).

    Args:
        input_size: F, features a frame. classes: V, the blank and the units.
        cell, hidden_size, layers, bidirectional, initialisation, learned_state: of the stack, as
            `seqaudio.layers.build.build_stack` takes them.
        dropout: probability, before the stack, between its layers and before the softmax.
        subsampling: K, frames a step.
        filters: of the convolution in front, whose outputs are projected to the width of the stack; 0: none.
        centring: what is subtracted from a frame: nothing, a running mean, one in which frames count by their
            loudness, so that pauses leave no trace in it (needs log-mel energies), or the mean of the whole recording.
        memory: frames of a running mean; 0: all so far. mean_prior: N, frames at the training mean.
    Raises:
        OptionError: a subsampling below 1, or a memory between 0 and 1 frame.
    """

    windowed = False
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        input_size: int,
        classes: int,
        cell: str = "lstm",
        hidden_size: int = 256,
        layers: int = 3,
        dropout: float = 0.3,
        bidirectional: bool = True,
        subsampling: int = 3,
        filters: int = 0,
        centring: Centring = "utterance",
        memory: float = 0.0,
        mean_prior: float = 100.0,
        initialisation: str = "",
        learned_state: bool = False,
    ) -> None:
        super().__init__()
        if subsampling < 1 or 0 < memory < 1:
            raise OptionError(f"subsampling {subsampling} and memory {memory:g} frames, expected at least 1 of each")
        self.subsampling = subsampling
        self.centring = centring
        self.decay = memory_decay(memory) if memory else 1.0
        self.mean_prior = mean_prior
        self.causal = not bidirectional and centring != "utterance"
        self.input_size = input_size
        self.register_buffer("mean", torch.zeros(input_size))
        self.register_buffer("std", torch.ones(input_size))
        width, around = subsampling * input_size, 0
        if filters:
            around = subsampling + 1  # frames that a filter covers beside those of its step
            self.filters = nn.Conv2d(
                1, filters, (subsampling + around, KERNEL), stride=(subsampling, STRIDE), padding=(0, KERNEL // 2)
            )
            self.filter_norm = nn.BatchNorm1d(filters)
            self.projection = Linear(filters * ((input_size - 1) // STRIDE + 1), hidden_size)
            width = hidden_size
        self.before = around if self.causal else around // 2  # frames before those of a step
        self.behind = around - self.before
        self.layers = build_stack(
            cell,
            width,
            hidden_size,
            layers=layers,
            dropout=dropout,
            bidirectional=bidirectional,
            initialisation=initialisation,
            learned_state=learned_state,
        )
        self.dropout = Dropout(dropout)
        self.output = Linear(self.layers.output_size, classes)

    def set_normalisation(self, mean: Tensor, std: Tensor) -> None:
        """Set the statistics of the training frames, [F] each; they are buffers and saved with the weights."""
        self.mean.copy_(mean)
        self.std.copy_(std)

    def recurrent_steps(self, lengths: Tensor) -> Tensor:
        return lengths // self.subsampling

    def initial_state(self, batch_size: int) -> RecogniserState:
        zeros = self.output.weight.new_zeros
        return RecogniserState(
            layers=self.layers.initial_state(batch_size),
            past=zeros(batch_size, self.before, self.input_size),
            level=zeros(batch_size, self.input_size),
            frames=zeros(batch_size, 1),
            squares=zeros(batch_size, 1),
        )

    def forward(
        self, inputs: Tensor, lengths: Tensor | None = None, state: RecogniserState | None = None
    ) -> tuple[Tensor, Tensor, RecogniserState]:
        """Inputs [T, B, F] -> log-probabilities [J, B, V] of the steps, steps of each row [B], and the state.

        lengths: [B] int64 on the CPU, frames of each row; None where all have T.
        state: of the recording so far; needs a causal model, and whole steps before.
        """
        T, B, _ = inputs.shape
        lengths = torch.full((B,), T) if lengths is None else lengths
        steps = self.recurrent_steps(lengths)
        whole = T // self.subsampling * self.subsampling
        if not self.causal and state is not None:
            raise OptionError(
                "got a state for a model that needs whole recordings; use one that was trained with --no-bidirectional "
                "and without --centring utterance"
            )
        before = state if state is not None else self.initial_state(B)
        valid = mask(steps * self.subsampling, whole).to(inputs.device)[..., None]
        centred, level, frames, squares = self._centred(inputs[:whole], valid, before)
        heard, past = self._subsampled(centred, steps, before.past)
        outputs, layers = self.layers(self.dropout(heard), before.layers, lengths=steps)
        logits = self.output(self.dropout(outputs))
        # sums of exponentials in half precision would be useless; float64 stays
        logits = logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits
        return logits.log_softmax(dim=-1), steps, RecogniserState(layers, past, level, frames, squares)

    def step(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """One step: K frames side by side, [B, K F] -> log-probabilities [B, V] and the next state."""
        frames = inputs.view(len(inputs), self.subsampling, self.input_size).transpose(0, 1)
        log_probabilities, _, after = self(frames, None, cast(RecogniserState, state))
        return log_probabilities[0], after

    def _centred(self, inputs: Tensor, valid: Tensor, before: RecogniserState) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """z of the inputs [T, B, F], zero in the padding, and the sums after each row's last frame."""
        normalised = torch.where(valid, (inputs - self.mean) / self.std, 0)
        kept = before.level, before.frames, before.squares
        if self.centring == "none" or not len(normalised):
            return normalised, *kept
        counts = valid.sum(dim=0)  # [B, 1]
        if self.centring == "utterance":
            mean = normalised.sum(dim=0) / (counts + self.mean_prior).clamp(min=1)
            return torch.where(valid, normalised - mean, 0), *kept
        if self.centring == "loudness":
            weights = loudness_weights(inputs.mean(dim=-1, keepdim=True), self.mean.mean())
            weights = torch.where(valid, weights, 0)
            levels, frames, squares = (
                decayed_sums(values, self.decay, last)
                for values, last in zip((weights * normalised, weights, weights.square()), kept, strict=True)
            )
            mean = weighted_mean(levels, frames, squares, self.mean_prior)
        else:
            levels = decayed_sums(normalised, self.decay, before.level)
            frames = decayed_counts(len(normalised), self.decay, before.frames).expand(-1, len(counts), 1)
            squares = before.squares.expand(len(normalised), -1, -1)
            mean = levels / (frames + self.mean_prior)
        centred = torch.where(valid, normalised - mean, 0)
        last, ended = (counts - 1).clamp(min=0)[None], counts > 0  # [1, B, 1], [B, 1]
        level, count, square = (
            torch.where(ended, sums.gather(0, last.expand(1, -1, sums.shape[2]))[0], old)
            for sums, old in zip((levels, frames, squares), kept, strict=True)
        )
        return centred, level, count, square

    def _subsampled(self, centred: Tensor, steps: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs of the stack [J, B, W] of frames [J K, B, F], and the frames that the filters need next [B, P, F]."""
        T, B, width = centred.shape
        K = self.subsampling
        if not self.before + self.behind:
            return centred.view(T // K, K, B, width).transpose(1, 2).reshape(T // K, B, K * width), past
        seen = torch.cat([past, centred.transpose(0, 1)], dim=1)  # [B, P + T, F]
        # the frames before each row's end, which lies in the padding's zeros for shorter rows
        ends = (steps * K).to(seen.device)[:, None] + torch.arange(self.before, device=seen.device)
        kept = seen.gather(1, ends[..., None].expand(-1, -1, seen.shape[2]))
        if not T:
            return centred.new_zeros(0, B, self.projection.out_features), kept
        maps = self.filters(F.pad(seen, (0, 0, 0, self.behind))[:, None])  # [B, filters, J, positions]
        inside = mask(steps, T // K).to(seen.device)  # [J, B]
        # the padding takes no part in the norm's statistics, nor in what follows
        flat = self.filter_norm(maps.permute(2, 0, 1, 3)[inside])  # [N, filters, positions]
        heard = centred.new_zeros(T // K, B, self.projection.out_features)
        projected = self.projection(F.relu(flat).flatten(1))
        heard = heard.to(projected.dtype).index_put((inside,), projected)
        return heard, kept

    def loss(self, batch: Batch, state: State | None = None) -> tuple[Tensor, int, State]:
        """Summed nats of the texts, and the number of their units."""
        log_probabilities, steps, after = self(batch.inputs, batch.lengths, cast("RecogniserState | None", state))
        total, count = self.nats(log_probabilities, steps, batch)
        if batch.alignment is not None:
            total = total + ALIGNED * self._aligned(log_probabilities, batch.alignment)
        return total, count, after

    def _aligned(self, log_probabilities: Tensor, alignment: Tensor) -> Tensor:
        """Summed nats of the steps whose unit is known, by the alignment [T, B] of their last frames.

        With CTC alone the net writes blanks for hundreds of updates. Blanks are no targets here, so none is preferred.
        """
        units = alignment[self.subsampling - 1 :: self.subsampling][: len(log_probabilities)]
        nats = log_probabilities.gather(2, units[..., None])[..., 0]
        return -nats[units != BLANK_ID].sum()

    def nats(self, log_probabilities: Tensor, steps: Tensor, batch: Batch) -> tuple[Tensor, int]:
        """Summed nats and units of the texts that can be aligned, from log-probabilities [J, B, V] and steps [B]."""
        targets, target_lengths = _texts(batch)
        known = (targets.cpu() >= 0).all(dim=0)
        rows = known & (units_to_align(targets.cpu(), target_lengths) <= steps)
        if not bool(rows.all()):
            here = rows.to(targets.device)
            log_probabilities, targets = log_probabilities[:, here], targets[:, here]
            steps, target_lengths = steps[rows], target_lengths[rows]
        total = F.ctc_loss(
            log_probabilities, targets.transpose(0, 1), steps, target_lengths, blank=BLANK_ID, reduction="sum"
        )
        return total, int(target_lengths.sum())

    @torch.no_grad()
    def evaluate(self, batch: Batch, state: State | None = None) -> dict[str, tuple[float, int]]:
        total, count, _ = self.loss(batch, state)
        return {"nats_per_unit": (float(total), count)}


def units_to_align(targets: Tensor, target_lengths: Tensor) -> Tensor:
    """Steps that texts [U, B] of these lengths need at least, [B] int64: one a unit, a blank between equal units."""
    repeats = (targets[1:] == targets[:-1]) & mask(target_lengths, len(targets))[1:]
    return target_lengths + repeats.sum(dim=0)


def _texts(batch: Batch) -> tuple[Tensor, Tensor]:
    if batch.targets is None or batch.target_lengths is None:
        raise ValueError("a batch for a recogniser needs targets [U, B] and target_lengths [B]")
    return batch.targets, batch.target_lengths
