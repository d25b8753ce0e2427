"""Predict the next token from all tokens before it: music as events, text as characters."""

from __future__ import annotations

import copy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seqaudio.batching.batch import Batch
from seqaudio.layers import Layer, build_stack
from seqaudio.layers.kernels import compiled_serves
from seqaudio.layers.stepping import Panels, Rows, Stepper, stepper_of
from seqaudio.models.base import MODELS, Model
from seqaudio.models.sampler import Sampler
from seqaudio.state import State, map_state


@MODELS.register("events")
class EventModel(Model):
    """Embedding, recurrent stack, softmax over the vocabulary.

        p(x_t | x_1 .. x_{t-1}) = softmax(V h_t + c),  h_t = stack(embed(x_{t-1}), h_{t-1})

    Counts are events, end marks included. Source: Mikolov et al. (2010); dropout as in Zaremba et al. (2014).

    Args:
        vocabulary_size: V, the number of token ids.
        embedding_size: width of a token's vector.
        cell, hidden_size, layers, initialisation, learned_state: of the recurrent stack, as
            `seqaudio.layers.build.build_stack` takes them.
        dropout: probability, on the embedding, between the layers and before the softmax.
        more_inputs: of the stack besides the token's vector, in a subclass.
    """

    windowed = True

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
        more_inputs: int = 0,
    ) -> None:
        super().__init__()
        self.vocabulary_size = vocabulary_size
        self.embedding = nn.Embedding(vocabulary_size, embedding_size)
        self.dropout = nn.Dropout(dropout)
        self.layers = build_stack(
            cell,
            embedding_size + more_inputs,
            hidden_size,
            layers=layers,
            dropout=dropout,
            initialisation=initialisation,
            learned_state=learned_state,
        )
        self.output = nn.Linear(self.layers.output_size, vocabulary_size)

    def initial_state(self, batch_size: int) -> State:
        return self.layers.initial_state(batch_size)

    def forward(
        self,
        ids: Tensor,
        state: State | None = None,
        lengths: Tensor | None = None,
        resets: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Ids [T, B] -> logits [T, B, V] of the token after each, and the state after the last step."""
        outputs, state = self.layers(self.dropout(self.embedding(ids)), state, lengths=lengths, resets=resets)
        return self.output(self.dropout(outputs)), state

    def step(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        outputs, state = self.layers.step(self.dropout(self.embedding(inputs)), state)
        return self.output(self.dropout(outputs)), state

    def sampler(self) -> Sampler:
        # a subclass with other steps has a sampler of its own, or that of any model
        as_here = type(self).step is EventModel.step and compiled_serves(self.output.weight)
        self.refuse_training()
        return EventSampler(self) if as_here else super().sampler()

    def loss(self, batch: Batch, state: State | None = None) -> tuple[Tensor, int, State]:
        if batch.targets is None:
            raise ValueError("an event batch needs targets [T, B]")
        logits, state = self(batch.inputs, state, batch.lengths, batch.resets)
        mask = batch.mask()
        # selecting before the softmax keeps padding out of the loss and of the gradient
        losses = F.cross_entropy(logits[mask], batch.targets[mask], reduction="none")
        if batch.weights is not None:
            losses = losses * batch.weights[mask]
        return losses.sum(), int(batch.lengths.sum()), state

    @torch.no_grad()
    def evaluate(self, batch: Batch, state: State | None = None) -> dict[str, tuple[float, int]]:
        total, count, _ = self.loss(batch, state)
        return {"nats_per_event": (float(total), count)}


class EventSampler(Sampler):
    """Compiled steps of an `EventModel`: what the first layer needs of each token is a row of a table [V, P]."""

    @torch.no_grad()
    def __init__(self, model: EventModel) -> None:
        self.vocabulary_size = model.vocabulary_size
        self._initial_state = model.initial_state
        layers: list[Layer] = list(model.layers.layers)  # type: ignore[arg-type]  # a ModuleList of layers
        self._steppers = [stepper_of(layer) for layer in layers]
        self._table: Rows = self.tables(self._steppers[0], model).numpy()
        self._output = self.outputs(model)

    def tables(self, below: Stepper, model: EventModel) -> Tensor:
        """[N, P] what the first layer needs, which the rows `looked_up` add up to."""
        return below.table(model.embedding.weight.detach())

    def outputs(self, model: EventModel) -> Panels:
        """The map from the outputs of the last layer to logits."""
        return Panels(model.output.weight.detach(), model.output.bias.detach())

    @torch.no_grad()
    def initial_state(self, batch_size: int) -> State:
        return map_state(
            lambda part: part.clone(memory_format=torch.contiguous_format), self._initial_state(batch_size)
        )

    @torch.no_grad()
    def step(self, inputs: Tensor, state: Any) -> tuple[Tensor, State]:
        logits, state = self.run(inputs.numpy()[:, None], state)
        return torch.from_numpy(logits[:, : self.vocabulary_size]), state

    def run(self, looked_up: Rows, state: Any) -> tuple[Rows, State]:
        """Outputs [B, ..] for rows [B, N] of the table that are added up, and the next state of the layers."""
        from seqaudio.layers.kernels.compiled.single_steps import gather

        rows = self._steppers[0].room(len(looked_up))
        gather(self._table, looked_up, rows)
        after = []
        for number, (stepper, before) in enumerate(zip(self._steppers, state, strict=True)):
            rows, last = stepper.step(stepper.prepared(rows) if number else rows, before)
            after.append(last)
        return self._output(rows).copy(), tuple(after)  # a caller may keep logits

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
    copied.embedding = nn.Embedding(size, model.embedding.embedding_dim)
    copied.embedding.weight.copy_(model.embedding.weight[:size])
    copied.output = nn.Linear(model.output.in_features, size)
    copied.output.weight.copy_(model.output.weight[:size])
    copied.output.bias.copy_(model.output.bias[:size])
    return copied.train(model.training)
