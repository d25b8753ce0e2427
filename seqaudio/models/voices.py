"""Predict the tokens of a grid of voices: a recurrent net over steps, and within a step one token after the other."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqaudio.batching.batch import Batch
from seqaudio.layers import build_stack
from seqaudio.layers.dropout import Dropout
from seqaudio.layers.products import Linear
from seqaudio.models.base import MODELS, Model
from seqaudio.models.events import TiedEmbedding, output_layers
from seqaudio.state import State, select

LONGEST = 32  # steps that a token was held before, counted up to here
POSITIONS = 16  # steps after which the position repeats: a bar of sixteenths
HELD_SIZE = POSITION_SIZE = 8  # widths of their vectors


class VoicesState(NamedTuple):
    """The state between two tokens; K tokens make a step."""

    layers: State  # of the recurrent stack, after the last whole step
    outputs: Tensor  # [B, H] of the stack then
    previous: Tensor  # [B, K] int64, the last whole step; zeros before the first
    held: Tensor  # [B, K] int64, for how many steps each of them had been the same before
    current: Tensor  # [B, K] int64, the step that has begun; only the first `place` of them
    place: Tensor  # [B] int64, of the token that comes next; -1 before BOS
    steps: Tensor  # [B] int64, whole steps so far


@MODELS.register("voices")
class VoicesModel(Model):
    """A stack over steps of K tokens; within a step a perceptron for each place, which sees the tokens before it.

        f_s         = previous step, for how long each of its tokens had been held, position in the bar
        h_s         = stack(f_s, h_{s-1})
        p(x_s,k)    = softmax(V relu(A_k [h_s, f_s] + B_k [x_s,1 .. x_s,k-1, which of them are held]) + c)

    So a piece takes K times fewer recurrent steps than tokens, and the repetition of a token is an input, as in the
    encoding of Peracha (2019). The end mark comes in place of the first token of a step.

    Sequences begin with BOS and are whole pieces: 1 + K S inputs. Counts of `loss` are events, end marks included.
    `evaluate` also gives `nats_per_note`: the mean over the tokens of a piece from place `given` on, without its end,
    then over pieces.

    Args:
        vocabulary_size: V, the number of token ids.
        step_tokens: K.
        given: leading tokens of a step that `nats_per_note` leaves out, such as its chord.
        embedding_size: width of a token's vector.
        cell, hidden_size, layers, initialisation, learned_state: of the recurrent stack, as
            `seqaudio.layers.build.build_stack` takes them; the perceptrons have hidden_size units, too.
        dropout: probability, on the features, the outputs of the stack and the hidden units of the perceptrons.
        tied: V is the embedding, as in `EventModel`.
        variational: dropout of the features and of the stack has one mask for all steps of a piece, see `MaskedStack`.
        weight_dropout: as for `EventModel`.
    """

    windowed = False

    def __init__(
        self,
        vocabulary_size: int,
        step_tokens: int,
        given: int = 0,
        embedding_size: int = 32,
        cell: str = "gru",
        hidden_size: int = 256,
        layers: int = 1,
        dropout: float = 0.0,
        initialisation: str = "",
        learned_state: bool = False,
        tied: bool = False,
        variational: bool = False,
        weight_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if not 0 <= given < step_tokens:
            raise ValueError(f"{given} given tokens of {step_tokens}, expected fewer than those of a step")
        self.vocabulary_size, self.step_tokens, self.given = vocabulary_size, step_tokens, given
        self.embedding = (TiedEmbedding if tied else nn.Embedding)(vocabulary_size, embedding_size)
        self.held = nn.Embedding(LONGEST, HELD_SIZE)
        self.position = nn.Embedding(POSITIONS, POSITION_SIZE)
        self.dropout = Dropout(dropout)
        self.around_stack = Dropout(0.0 if variational else dropout)  # else the stack drops its inputs and outputs
        features = step_tokens * (embedding_size + HELD_SIZE) + POSITION_SIZE
        self.layers = build_stack(
            cell,
            features,
            hidden_size,
            layers=layers,
            dropout=dropout,
            initialisation=initialisation,
            learned_state=learned_state,
            weight_dropout=weight_dropout,
            input_dropout=dropout if variational else None,
        )
        wide = self.layers.output_size + features
        self.seen = nn.ModuleList(Linear(wide, hidden_size) for _ in range(step_tokens))
        before = embedding_size + 1
        self.before = nn.ModuleList(
            nn.Linear(place * before, hidden_size, bias=False) for place in range(1, step_tokens)
        )
        self.projection, self.output = output_layers(hidden_size, self.embedding)

    def initial_state(self, batch_size: int) -> VoicesState:
        zeros = self.embedding.weight.new_zeros(batch_size, self.step_tokens, dtype=torch.int64)
        outputs = self.embedding.weight.new_zeros(batch_size, self.layers.output_size)
        return VoicesState(
            self.layers.initial_state(batch_size), outputs, zeros, zeros, zeros, zeros[:, 0] - 1, zeros[:, 0]
        )

    def forward(self, ids: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Ids [1 + K S, B] of whole pieces, BOS first -> logits [1 + K S, B, V] of the token after each.

        lengths: [B] inputs of each row; 1 + K times a whole number each.
        Raises ValueError for other sizes.
        """
        steps, left = divmod(len(ids) - 1, self.step_tokens)
        if left or not len(ids):
            raise ValueError(f"got {len(ids)} inputs, expected 1 and {self.step_tokens} for each step of whole pieces")
        grid = ids[1:].reshape(steps, self.step_tokens, ids.shape[1]).transpose(1, 2)  # [S, B, K]
        previous = torch.cat([ids.new_zeros(1, ids.shape[1], self.step_tokens), grid])  # [S + 1, B, K]
        position = torch.arange(steps + 1, device=ids.device)
        features = self._features(previous, _held(previous), position[:, None].expand(-1, ids.shape[1]))
        in_steps = None if lengths is None else (lengths + self.step_tokens - 1) // self.step_tokens
        outputs, _ = self.layers(features, lengths=in_steps)
        seen = torch.cat([self.around_stack(outputs), features], dim=-1)  # [S + 1, B, ..]
        first = self._logits(0, seen, None)  # of every step, and of what follows the last one
        before = self._before(grid, previous[:-1])
        places = [first[:-1], *(self._logits(place, seen[:-1], before) for place in range(1, self.step_tokens))]
        return torch.cat([torch.stack(places, dim=1).flatten(0, 1), first[-1:]])

    def step(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        assert isinstance(state, VoicesState)
        begins = state.place < 0
        slot = torch.arange(self.step_tokens, device=inputs.device) == state.place[:, None]
        current = torch.where(slot, inputs[:, None], state.current)
        place = torch.where(begins, 0, state.place + 1)
        whole = place == self.step_tokens
        held = torch.where(current == state.previous, state.held + 1, 0)
        previous = torch.where(whole[:, None], current, state.previous)
        held = torch.where(whole[:, None], held, state.held)
        steps = state.steps + whole
        features = self._features(previous, held, steps)
        moved = begins | whole  # rows whose net takes a step
        outputs, layers = self.layers.step(features, state.layers)
        outputs, layers = select(moved, (outputs, layers), (state.outputs, state.layers))
        place = torch.where(whole, 0, place)
        seen = torch.cat([self.around_stack(outputs), features], dim=-1)
        before = self._before(current, previous)
        logits = torch.stack([self._logits(number, seen, before) for number in range(self.step_tokens)])
        logits = logits[place, torch.arange(len(place), device=place.device)]
        return logits, VoicesState(layers, outputs, previous, held, current, place, steps)

    def _features(self, previous: Tensor, held: Tensor, position: Tensor) -> Tensor:
        """[..., F] of the previous step and the counts [..., K], and of the number of the step [...]."""
        known = torch.cat([self.embedding(previous), self.held(held.clamp(max=LONGEST - 1))], dim=-1).flatten(-2)
        features: Tensor = self.around_stack(torch.cat([known, self.position(position % POSITIONS)], dim=-1))
        return features

    def _before(self, current: Tensor, previous: Tensor) -> Tensor:
        """[..., K, E + 1] of the tokens of a step [..., K] and whether each is as in the previous one."""
        same = (current == previous)[..., None].to(self.embedding.weight.dtype)
        return torch.cat([self.embedding(current), same], dim=-1)

    def _logits(self, place: int, seen: Tensor, before: Tensor | None) -> Tensor:
        hidden = self.seen[place](seen)
        if place and before is not None:
            hidden = hidden + self.before[place - 1](before[..., :place, :].flatten(-2))
        logits: Tensor = self.output(self.projection(self.dropout(F.relu(hidden))))
        return logits

    def loss(self, batch: Batch, state: State | None = None) -> tuple[Tensor, int, State]:
        losses, mask = self._losses(batch)
        return losses[mask].sum(), int(batch.lengths.sum()), ()

    def _losses(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """[T, B] nats of each event, 0 in padding, and the mask of events."""
        if batch.targets is None:
            raise ValueError("a batch of voices needs targets [T, B]")
        mask = batch.mask()
        logits = self(batch.inputs, batch.lengths)
        losses = torch.zeros(mask.shape, device=logits.device, dtype=logits.dtype)
        losses[mask] = F.cross_entropy(logits[mask], batch.targets[mask], reduction="none")
        return losses, mask

    @torch.no_grad()
    def evaluate(self, batch: Batch, state: State | None = None) -> dict[str, tuple[float, int]]:
        losses, mask = self._losses(batch)
        scored = torch.arange(len(mask), device=mask.device) % self.step_tokens >= self.given
        ends = torch.arange(len(mask), device=mask.device)[:, None] == batch.lengths.to(mask.device) - 1
        notes = mask & scored[:, None] & ~ends
        counts = notes.sum(dim=0)
        means = (losses * notes).sum(dim=0)[counts > 0] / counts[counts > 0]
        return {
            "nats_per_event": (float(losses.sum()), int(batch.lengths.sum())),
            "nats_per_note": (float(means.sum()), len(means)),
        }


def _held(tokens: Tensor) -> Tensor:
    """[S, ..] for how many steps each token [S, ..] was the same before."""
    step = torch.arange(len(tokens), device=tokens.device).reshape(-1, *[1] * (tokens.dim() - 1)).expand_as(tokens)
    same = torch.zeros_like(tokens, dtype=torch.bool)
    same[1:] = tokens[1:] == tokens[:-1]
    return step - torch.where(same, 0, step).cummax(dim=0).values
