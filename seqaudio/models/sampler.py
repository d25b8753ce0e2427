"""Steps of a model for sampling: many pieces at once, each of which gets the bits that it would get alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Protocol

import torch
from torch import Tensor


class Steps(Protocol):
    """Anything that takes steps with a state, as every model does."""

    def initial_state(self, batch_size: int) -> Any:
        """The state before the first step."""

    def step(self, inputs: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Ids [B] or frames [B, F], and a state -> scores [B, V] of the next step, and the new state."""


class Sampler(ABC):
    """Steps with the weights that a model has when `Model.sampler` makes it; later training does not change them.

    Logits and states of a row do not depend on the other rows of the batch, to the bit, so neither do its pieces. One
    thread at a time may take steps.
    """

    @abstractmethod
    def initial_state(self, batch_size: int) -> Any:
        """The state before the first step."""

    @abstractmethod
    def step(self, inputs: Tensor, state: Any) -> tuple[Tensor, Any]:
        """As `Model.step`, but the memory of the given state is used for the next one, so that it is used up."""

    @abstractmethod
    def keep(self, state: Any, rows: list[int]) -> Any:
        """The state of some rows, in that order."""


class RowSampler(Sampler):
    """Steps of anything, one row after the other: with more rows at once, torch's products may round otherwise.

    Unlike other samplers it uses the weights of the model as they are at each step.
    """

    def __init__(self, model: Steps) -> None:
        self.model = model

    def initial_state(self, batch_size: int) -> list[Any]:
        return [self.model.initial_state(1) for _ in range(batch_size)]

    @torch.no_grad()
    def step(self, inputs: Tensor, state: list[Any]) -> tuple[Tensor, list[Any]]:
        stepped = [self.model.step(inputs[b : b + 1].clone(), row) for b, row in enumerate(state)]
        return torch.cat([scores for scores, _ in stepped]), [after for _, after in stepped]

    def keep(self, state: list[Any], rows: list[int]) -> list[Any]:
        return [state[row] for row in rows]
