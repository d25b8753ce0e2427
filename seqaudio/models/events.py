"""Predict the next token from all tokens before it: music as events, text as characters or words."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqaudio.batching.batch import Batch
from seqaudio.layers import build_stack
from seqaudio.layers.dropout import Dropout
from seqaudio.layers.kernels import compiled_serves
from seqaudio.layers.products import Linear
from seqaudio.layers.stepping import Stepper
from seqaudio.models.base import MODELS, Model
from seqaudio.models.sampler import Sampler
from seqaudio.state import State, map_state

AT_ONCE = 65_536  # padded steps of a window of `evaluate`
LOGITS_AT_ONCE = 1 << 26  # in such a window: thousands of words have fewer steps, so that 256 MiB are enough


@MODELS.register("events")
class EventModel(Model):
    """Embedding, recurrent stack, softmax over the vocabulary.

        p(x_t | x_1 .. x_{t-1}) = softmax(V h_t + c),  h_t = stack(embed(x_{t-1}), h_{t-1})

    Counts are events, end marks included. Source: Mikolov et al. (2010); dropout as in Zaremba et al. (2014).

    With conditions, such as the key of a piece, the vector of each one's value is added to the embedding at every step.
    Value 0 is an unknown one, which adds nothing. They come with the batch; where that has none, as in `step`, those
    hold that `ask` was given, all unknown at first.

    Args:
        vocabulary_size: V, the number of token ids.
        embedding_size: width of a token's vector.
        cell, hidden_size, layers, initialisation, learned_state: of the recurrent stack, as
            `seqaudio.layers.build.build_stack` takes them.
        dropout: probability, on the embedding, between the layers and before the softmax.
        tied: V is the embedding, behind a linear map of the stack's outputs to its width where they differ. Source:
            Press & Wolf (2017), Inan et al. (2017).
        variational: dropout has one mask for all steps of a sequence, see `MaskedStack`.
        weight_dropout: probability, of the recurrent weights of every layer, see `Stack`.
        embedding_dropout: probability with which a token loses its vector, drawn for each token id in each call of
            `forward` (Gal & Ghahramani 2016).
        conditions: the number of values of each condition, unknown included.
        more_inputs: of the stack besides the token's vector, in a subclass.
    """

    windowed = True
    asked: Tensor  # [C] int64, the conditions where a batch has none

    def __init__(
        self,
        vocabulary_size: int,
        embedding_size: int = 128,
        cell: str = "lstm",
        hidden_size: int = 256,
        layers: int = 1,
        dropout: float = 0.0,
        initialisation: str = "",
        learned_state: bool = False,
        tied: bool = False,
        variational: bool = False,
        weight_dropout: float = 0.0,
        embedding_dropout: float = 0.0,
        conditions: Sequence[int] = (),
        more_inputs: int = 0,
    ) -> None:
        super().__init__()
        if min(conditions, default=1) < 1:
            raise ValueError(f"conditions {list(conditions)}, expected the number of values of each")
        self.vocabulary_size = vocabulary_size
        self.embedding = (TiedEmbedding if tied else nn.Embedding)(vocabulary_size, embedding_size)
        self.embedding_dropout = embedding_dropout
        self.dropout = Dropout(0.0 if variational else dropout)  # else the stack drops its inputs and outputs
        self.layers = build_stack(
            cell,
            embedding_size + more_inputs,
            hidden_size,
            layers=layers,
            dropout=dropout,
            initialisation=initialisation,
            learned_state=learned_state,
            weight_dropout=weight_dropout,
            input_dropout=dropout if variational else None,
        )
        self.projection, self.output = output_layers(self.layers.output_size, self.embedding)
        # last, so that the other weights of a seed are those of a model without conditions
        self.conditions = nn.ModuleList(nn.Embedding(size, embedding_size, padding_idx=0) for size in conditions)
        for table in self._tables():
            nn.init.zeros_(table.weight)
        self.register_buffer("asked", torch.zeros(len(self.conditions), dtype=torch.int64), persistent=False)

    def initial_state(self, batch_size: int) -> State:
        return self.layers.initial_state(batch_size)

    def forward(
        self,
        ids: Tensor,
        state: State | None = None,
        lengths: Tensor | None = None,
        resets: Tensor | None = None,
        conditions: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Ids [T, B] -> logits [T, B, V] of the token after each, and the state after the last step.

        conditions: [T, B, C] int64, the value of each condition; None for those that are asked for.
        """
        vectors = self.dropout(self.embedded(ids, conditions))
        outputs, state = self.layers(vectors, state, lengths=lengths, resets=resets)
        return self.output(self.projection(self.dropout(outputs))), state

    def step(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        outputs, state = self.layers.step(self.dropout(self.embedded(inputs)), state)
        return self.output(self.projection(self.dropout(outputs))), state

    def ask(self, conditions: Sequence[int]) -> None:
        """Set the value of each condition of all pieces from now on; 0 for an unknown one.

        Raises ValueError for other numbers of conditions, or values that a condition does not have.
        """
        sizes = [table.num_embeddings for table in self._tables()]
        fits = len(conditions) == len(sizes) and all(0 <= value < sizes[at] for at, value in enumerate(conditions))
        if not fits:
            raise ValueError(f"the conditions {list(conditions)}, expected {len(sizes)} below {sizes}")
        self.asked.copy_(torch.tensor(conditions, dtype=torch.int64))

    def embedded(self, ids: Tensor, conditions: Tensor | None = None) -> Tensor:
        """The vectors [..., E] of ids [...], with those of the conditions [..., C]; None for those asked for."""
        vectors: Tensor = self.embedding(ids)
        if self.training and self.embedding_dropout:
            ones = vectors.new_ones(self.vocabulary_size, 1)
            vectors = vectors * F.dropout(ones, self.embedding_dropout)[ids]
        values = self.asked if conditions is None else conditions
        for number, table in enumerate(self._tables()):
            vectors = vectors + table(values[..., number])
        return vectors

    @torch.no_grad()
    def vectors(self) -> Tensor:
        """[V, E] the vectors of all ids, with those of the conditions that are asked for."""
        return self.embedded(torch.arange(self.vocabulary_size, device=self.output.weight.device))

    @torch.no_grad()
    def logit_map(self) -> tuple[Tensor, Tensor]:
        """Weights [V, H] and biases [V] of the map from the outputs of the stack to logits."""
        weight = self.output.weight
        if isinstance(self.projection, nn.Linear):
            weight = weight @ self.projection.weight
        return weight, self.output.bias

    def _tables(self) -> list[nn.Embedding]:
        """Of each condition, the vectors of its values."""
        return list(self.conditions)  # type: ignore[arg-type]  # a ModuleList of embeddings

    def sampler(self, int8: bool = False) -> Sampler:
        # a subclass with other steps has a sampler of its own, or that of any model
        as_here = type(self).step is EventModel.step and compiled_serves(self.output.weight)
        self.refuse_training()
        return EventSampler(self, int8) if as_here else super().sampler(int8)

    def loss(self, batch: Batch, state: State | None = None) -> tuple[Tensor, int, State]:
        if batch.targets is None:
            raise ValueError("an event batch needs targets [T, B]")
        logits, state = self(batch.inputs, state, batch.lengths, batch.resets, batch.conditions)
        # selecting before the softmax keeps padding out of the loss and of the gradient; a full window needs no copy
        inside = None if bool((batch.lengths == batch.steps).all()) else batch.mask()

        def real(values: Tensor) -> Tensor:
            return values.flatten(0, 1) if inside is None else values[inside]

        losses = F.cross_entropy(real(logits), real(batch.targets), reduction="none")
        if batch.weights is not None:
            losses = losses * real(batch.weights)
        return losses.sum(), int(batch.lengths.sum()), state

    @torch.no_grad()
    def evaluate(self, batch: Batch, state: State | None = None) -> dict[str, tuple[float, int]]:
        nats, events = 0.0, 0
        steps = max(1, min(AT_ONCE, LOGITS_AT_ONCE // self.vocabulary_size) // batch.rows)
        for start in range(0, batch.steps, steps):  # a long text in windows, with the state carried
            total, count, state = self.loss(batch.slice_time(start, start + steps), state)
            nats, events = nats + float(total), events + count
        return {"nats_per_event": (nats, events)}


class TiedEmbedding(nn.Embedding):
    """An embedding whose weights are also those of a softmax: small, for its logits, and scaled up where ids are read.

    Source: Vaswani et al. (2017), section 3.4.
    """

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight, std=1 / math.sqrt(self.embedding_dim))

    def forward(self, input: Tensor) -> Tensor:
        return math.sqrt(self.embedding_dim) * super().forward(input)


def output_layers(width: int, embedding: nn.Embedding) -> tuple[nn.Module, nn.Linear]:
    """Two maps, one after the other, from outputs [..., width] to logits; of a tied embedding the second is its own."""
    if not isinstance(embedding, TiedEmbedding):
        return nn.Identity(), Linear(width, embedding.num_embeddings)
    size = embedding.embedding_dim
    output = Linear(size, embedding.num_embeddings)
    output.weight = embedding.weight
    return nn.Identity() if width == size else Linear(width, size, bias=False), output


class EventSampler(Sampler):
    """Compiled steps of an `EventModel`: what the first layer needs of each token is a row of a table [V, P]."""

    @torch.no_grad()
    def __init__(self, model: EventModel, int8: bool = False) -> None:
        self._stepper = model.layers.stepper(output=self.outputs(model), int8=int8)
        self._table = self.tables(self._stepper, model)

    def tables(self, below: Stepper, model: EventModel) -> Tensor:
        """[N, P] what the first layer needs, which the rows `looked_up` add up to."""
        return below.table(model.vectors())

    def outputs(self, model: EventModel) -> tuple[Tensor, Tensor]:
        """Weights and biases of the map from the outputs of the last layer to logits."""
        return model.logit_map()

    def initial_state(self, batch_size: int) -> State:
        return self._stepper.initial_state(batch_size)

    def step(self, inputs: Tensor, state: Any) -> tuple[Tensor, State]:
        return self._stepper.step_of(self._table, inputs.numpy()[:, None], state)

    def keep(self, state: Any, rows: list[int]) -> State:
        kept: State = map_state(lambda part: part[rows], state)
        return kept


@torch.no_grad()
def narrowed(model: Model, size: int) -> Model:
    """A model that knows the first `size` tokens alone: the distribution over these, given that it is one of them.

    For a model that was trained with marks behind its vocabulary, such as those of missing bars. A copy where the model
    is an `EventModel` of more tokens; any other model as it is.
    """
    if type(model) is not EventModel or model.vocabulary_size <= size:
        return model
    copied = copy.deepcopy(model)
    copied.vocabulary_size = size
    for part, size_name in ((copied.embedding, "num_embeddings"), (copied.output, "out_features")):
        part.weight = nn.Parameter(part.weight[:size].clone())
        setattr(part, size_name, size)
    copied.output.bias = nn.Parameter(copied.output.bias[:size].clone())
    return copied.train(model.training)
