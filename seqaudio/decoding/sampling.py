"""New token streams from a model, one token at a time, each of them legal in the grammar of the representation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from seqaudio.notes.representation import Grammar, Representation
from seqaudio.vocabulary import BOS, EOS


class StepModel(Protocol):
    """What sampling needs of a model: a state and a step. Every event model offers both."""

    def initial_state(self, batch_size: int) -> Any:
        """The state before the first step."""

    def step(self, inputs: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Ids [B] and a state -> logits [B, V] of the next token and the next state."""


@torch.no_grad()
def sample(
    model: StepModel,
    representation: Representation,
    *,
    generator: torch.Generator,
    temperature: float = 1.0,
    max_events: int = 1000,
    primer: Sequence[int] | None = None,
    minimum_events: int = 0,
) -> list[int]:
    """Draw one stream of events; `representation.decode` takes every result.

        p(x_t = v) ~ exp(logit_v / temperature)  over the v that the grammar permits at t

    The grammar permits only what can still be closed within `max_events`, so the last events of a stream that the
    model does not end by itself are the ends of its notes. Equal generator states give equal streams.

    Args:
        model: in evaluation mode, on the device of the generator.
        generator: the only source of chance; `torch.Generator(device).manual_seed(seed)`.
        temperature: above 0; below 1 more likely tokens, above 1 less likely ones.
        max_events: most tokens of a result, primer included, EOS not counted.
        primer: tokens to begin with, without BOS and EOS; they are the beginning of the result.
        minimum_events: EOS is withheld before that many tokens, unless nothing else can be closed in time.

    Returns:
        Token ids without BOS and EOS.

    Raises:
        ValueError: an argument out of its range; a primer that is illegal or cannot be closed within max_events; a
            model in training mode, of another vocabulary size, or with logits that are not numbers.
    """
    _check(model, temperature, max_events, minimum_events)
    grammar = representation.grammar()
    events = _prime(grammar, representation, primer, max_events)
    state = model.initial_state(1)
    for token in (BOS, *events):
        logits, state = model.step(torch.tensor([token], device=generator.device), state)
    if logits.shape != (1, len(representation.tokens)):
        raise ValueError(
            f"logits {list(logits.shape)}, {representation.name} expects [1, {len(representation.tokens)}]"
        )
    while True:
        legal = grammar.legal(max_events - len(events))
        if len(events) < minimum_events and np.count_nonzero(legal) > 1:
            legal[EOS] = False
        token = _draw(logits[0], legal, temperature, generator)
        grammar.push(token)
        if token == EOS:
            return events
        events.append(token)
        logits, state = model.step(torch.tensor([token], device=generator.device), state)


def _draw(logits: Tensor, legal: np.ndarray, temperature: float, generator: torch.Generator) -> int:
    """One token from logits [V] among the legal [V]."""
    masked = logits.float().masked_fill(torch.from_numpy(~legal).to(logits.device), -torch.inf)
    probabilities = torch.softmax(masked / temperature, dim=0)
    if not probabilities.isfinite().all():
        raise ValueError("the model gives logits that are not numbers; look at its training, or at the temperature")
    return int(torch.multinomial(probabilities, 1, generator=generator))


def _prime(
    grammar: Grammar, representation: Representation, primer: Sequence[int] | None, max_events: int
) -> list[int]:
    events = [int(token) for token in primer or ()]
    for position, token in enumerate(events):
        try:
            if token == EOS:
                raise ValueError("a primer goes without its end")
            grammar.push(token)
        except ValueError as error:
            raise ValueError(f"primer, position {position}: id {token} is illegal: {error}") from None
    if len(events) + grammar.shortest_end() > max_events:
        raise ValueError(
            f"a primer of {len(events)} events and the {grammar.shortest_end()} that close it exceed "
            f"max_events {max_events}; raise that, or shorten the primer"
        )
    return events


def _check(model: StepModel, temperature: float, max_events: int, minimum_events: int) -> None:
    if not 0 < temperature < float("inf"):
        raise ValueError(f"temperature {temperature}, expected a number above 0")
    if not 0 <= minimum_events <= max_events:
        raise ValueError(f"minimum_events {minimum_events}, max_events {max_events}: expected 0 <= minimum <= maximum")
    if getattr(model, "training", False):
        raise ValueError("the model is in training mode, where dropout would add chance; call model.eval() first")
