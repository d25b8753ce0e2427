"""Predict the next token of music from all tokens before it, and from what stood at the same place bars earlier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from seqaudio.layers.kernels import compiled_serves
from seqaudio.layers.stepping import Stepper
from seqaudio.models.base import MODELS, Model
from seqaudio.models.events import EventModel, EventSampler
from seqaudio.models.places import OFFSETS
from seqaudio.models.sampler import Sampler
from seqaudio.state import State

FIRST_WORTH = 3.0  # nats that a bar is worth before training; gates that begin at 0 would take epochs to open


class Written(NamedTuple):
    """A buffer of the tokens of the last bars of each row, and the position of the row.

    tokens: [B, R (S + 1) O] int64: bar number times V, plus the token that stood at the place of a bar; 0 for nothing.
    place: [B, 4] int64: a number below that of the piece's first bar, number of this bar, step of the bar plus 1 (0
        before the first), tokens behind that step.
    """

    tokens: Tensor
    place: Tensor


class PhraseState(NamedTuple):
    """The state of the recurrent layers, and what was written."""

    layers: State
    written: Written


@MODELS.register("phrases")
class PhraseModel(EventModel):
    """The model `events` with a memory of bars: at each step it sees what stood at this place some bars earlier.

        e_k    = the token that followed the same place k bars earlier, 0 where nothing stood there
        h_t    = stack([embed(x_t), embed'(e_k) for each k], h_{t-1})
        logits = V h_t + c + sum over k of g_k(h_t) onehot(e_k)

    A place is the step within the bar and the number of tokens behind it. g_k is a linear map: how much the phrase k
    bars earlier is worth, FIRST_WORTH to begin with. So a phrase returns by one decision, however long it is, and in
    pieces with other tokens too.
    The memory holds the tokens of as many bars as the longest lag; gradients do not pass through it.

    Source: as a pointer to a fixed place, in the manner of Vinyals et al. (2015), "Pointer networks", and of the look
    back of Magenta's Lookback RNN (Waite, 2016), which gives the events of one and two bars earlier as inputs.

    Args:
        bar: id of the token that begins a bar.
        steps: first id, and number, of the tokens that say the step within a bar.
        lags: bars that the model looks back, each at least 1.
        lag_size: width of the vector of a token that is seen there.
        others: as for `EventModel`.
    """

    def __init__(
        self,
        vocabulary_size: int,
        bar: int,
        steps: Sequence[int],
        lags: Sequence[int] = (1, 2, 4, 8),
        lag_size: int = 32,
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
    ) -> None:
        super().__init__(
            vocabulary_size,
            embedding_size,
            cell,
            hidden_size,
            layers,
            dropout,
            initialisation,
            learned_state,
            tied,
            variational,
            weight_dropout,
            embedding_dropout,
            conditions,
            more_inputs=len(lags) * lag_size,
        )
        self.lags = tuple(lags)
        self.bar, self.first_step, self.steps = bar, steps[0], steps[1]
        self.earlier = nn.Embedding(vocabulary_size, lag_size)
        self.worth = nn.Linear(self.layers.output_size, len(self.lags))
        nn.init.constant_(self.worth.bias, FIRST_WORTH)
        self._rows = max(self.lags) + 1
        self._slots = (self.steps + 1) * OFFSETS

    def initial_state(self, batch_size: int) -> PhraseState:
        return PhraseState(self.layers.initial_state(batch_size), self.nothing_written(batch_size))

    def nothing_written(self, batch_size: int) -> Written:
        """What is written before the first token."""
        device = self.output.weight.device
        tokens = torch.zeros(batch_size, self._rows * self._slots, dtype=torch.int64, device=device)
        place = torch.zeros(batch_size, 4, dtype=torch.int64, device=device)
        place[:, :2] = 1
        return Written(tokens, place)

    def forward(
        self,
        ids: Tensor,
        state: State | None = None,
        lengths: Tensor | None = None,
        resets: Tensor | None = None,
        conditions: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        layers, written = self.initial_state(ids.shape[1]) if state is None else PhraseState(*state)
        earlier, written = self.look_back(ids, written, lengths, resets)
        outputs, layers = self.layers(self._inputs(ids, earlier, conditions), layers, lengths=lengths, resets=resets)
        return self._logits(outputs, earlier), PhraseState(layers, written)

    def step(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        layers, written = PhraseState(*state)
        earlier, written = self.look_back(inputs[None], written)
        outputs, layers = self.layers.step(self._inputs(inputs, earlier[0]), layers)
        return self._logits(outputs, earlier[0]), PhraseState(layers, written)

    def sampler(self, int8: bool = False) -> Sampler:
        as_here = type(self).step is PhraseModel.step and compiled_serves(self.output.weight)
        self.refuse_training()
        return PhraseSampler(self, int8) if as_here else Model.sampler(self, int8)

    def _inputs(self, ids: Tensor, earlier: Tensor, conditions: Tensor | None = None) -> Tensor:
        vectors = [self.embedded(ids, conditions), self.earlier(earlier).flatten(-2)]
        inputs: Tensor = self.dropout(torch.cat(vectors, dim=-1))
        return inputs

    def _logits(self, outputs: Tensor, earlier: Tensor) -> Tensor:
        outputs = self.dropout(outputs)
        worth = self.worth(outputs) * (earlier > 0)
        logits: Tensor = self.output(self.projection(outputs)).scatter_add(-1, earlier, worth)
        return logits

    @torch.no_grad()
    def look_back(
        self, ids: Tensor, written: Written, lengths: Tensor | None = None, resets: Tensor | None = None
    ) -> tuple[Tensor, Written]:
        """The token that followed the same position some bars earlier, for each token.

        Args:
            ids: [T, B]. lengths: [B], of rows that are shorter. resets: [T, B], before which tokens a piece begins.
        Returns:
            [T, B, K] ids, 0 where nothing stood there, and what is written now.
        """
        if compiled_serves(self.output.weight):
            return self._look_back_compiled(ids, written, lengths, resets)
        size, rows, slots = self.vocabulary_size, self._rows, self._slots
        lags = torch.tensor(self.lags, device=ids.device)
        tokens = written.tokens.clone()
        first, bar, step, offset = written.place.unbind(dim=1)
        found = torch.zeros(*ids.shape, len(self.lags), dtype=torch.int64, device=ids.device)
        ends = None if lengths is None else lengths.to(ids.device)
        for t, token in enumerate(ids):
            if resets is not None:
                again = resets[t].to(ids.device)
                # so far beyond the last piece's bars that none of them is found
                bar = torch.where(again, bar + rows, bar)
                first = torch.where(again, bar, first)
                step, offset = step.masked_fill(again, 0), offset.masked_fill(again, 0)
            here = (bar % rows * slots + step * OFFSETS + offset)[:, None]
            entry = (bar * size + token)[:, None]
            inside = None if ends is None else t < ends
            if inside is not None:
                entry = torch.where(inside[:, None], entry, tokens.gather(1, here))
            tokens.scatter_(1, here, entry)
            begins, steps = token == self.bar, (token >= self.first_step) & (token < self.first_step + self.steps)
            now = bar + begins
            next_step = torch.where(steps, token - self.first_step + 1, step.masked_fill(begins, 0))
            next_offset = (offset + 1).clamp(max=OFFSETS - 1).masked_fill(begins | steps, 0)
            if inside is not None:
                now, next_step = torch.where(inside, now, bar), torch.where(inside, next_step, step)
                next_offset = torch.where(inside, next_offset, offset)
            bar, step, offset = now, next_step, next_offset
            other = bar[:, None] - lags
            entries = tokens.gather(1, other % rows * slots + (step * OFFSETS + offset)[:, None])
            known = (other > first[:, None]) & (entries // size == other)
            found[t] = torch.where(known, entries % size, 0)
        return found, Written(tokens, torch.stack([first, bar, step, offset], dim=1))

    def _look_back_compiled(
        self, ids: Tensor, written: Written, lengths: Tensor | None, resets: Tensor | None
    ) -> tuple[Tensor, Written]:
        from seqaudio.models.compiled import look_back_over

        (T, B), K = ids.shape, len(self.lags)
        tokens, place = (part.clone(memory_format=torch.contiguous_format) for part in written)
        limits = torch.tensor([self.steps + 1, OFFSETS])
        if tokens.shape[1] != self._rows * self._slots or ((place[:, 2:] < 0) | (place[:, 2:] >= limits)).any():
            raise ValueError("got a place outside the memory of bars, expected one that this model has made")
        found = np.empty((T, B, K), dtype=np.int64)
        look_back_over(
            ids.contiguous().numpy(),
            np.full(B, T) if lengths is None else lengths.numpy(),
            np.zeros((0, B), dtype=np.bool_) if resets is None else resets.contiguous().numpy(),
            np.array([self.bar, self.first_step, self.steps, self.vocabulary_size]),
            np.array(self.lags),
            tokens.numpy(),
            place.numpy(),
            found,
        )
        return torch.from_numpy(found), Written(tokens, place)


class PhraseSampler(EventSampler):
    """Compiled steps of a `PhraseModel`: the table has the rows of tokens, then those of tokens at each lag."""

    def __init__(self, model: PhraseModel, int8: bool = False) -> None:
        super().__init__(model, int8)
        self._written, self._lags = model.nothing_written, np.array(model.lags)
        self._tokens = np.array([model.bar, model.first_step, model.steps, model.vocabulary_size])

    def tables(self, below: Stepper, model: EventModel) -> Tensor:
        assert isinstance(model, PhraseModel)
        width, earlier = model.embedding.embedding_dim, model.earlier.weight.detach()
        starts = range(width, width + len(model.lags) * earlier.shape[1], earlier.shape[1])
        own = below.table(model.vectors())
        return torch.cat([own, *(below.table(earlier, start, bias=False) for start in starts)])

    def outputs(self, model: EventModel) -> tuple[Tensor, Tensor]:
        assert isinstance(model, PhraseModel)
        (weight, bias), worth = model.logit_map(), model.worth
        return torch.cat([weight, worth.weight]).detach(), torch.cat([bias, worth.bias]).detach()

    def initial_state(self, batch_size: int) -> PhraseState:
        return PhraseState(super().initial_state(batch_size), self._written(batch_size))

    def step(self, inputs: Tensor, state: Any) -> tuple[Tensor, State]:
        from seqaudio.models.compiled import look_back, point

        layers, written = PhraseState(*state)
        V, K = int(self._tokens[3]), len(self._lags)
        looked_up = np.empty((len(inputs), 1 + K), dtype=np.int64)
        looked_up[:, 0] = inputs.numpy()
        earlier = looked_up[:, 1:]
        look_back(looked_up, self._tokens, self._lags, written.tokens.numpy(), written.place.numpy())
        outputs, layers = self._stepper.step_of(self._table, looked_up + V * np.arange(1 + K), layers)
        point(earlier, outputs.numpy(), V)
        return outputs[:, :V], PhraseState(layers, written)
