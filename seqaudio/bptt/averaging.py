"""Weights averaged over the last updates: smoother than those of any one update, and often better on validation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from seqaudio.models import Model


class WeightAverage:
    """An exponential average of a model's parameters over its updates.

        m_n = m_{n-1} + (w_n - m_{n-1}) (1 - d) / (1 - d^n),    m_1 = w_1

    which is the sum of d^(n-k) w_k over its weights' sum: the start, random as it is, has no share in it. Buffers are
    not averaged. Source: Polyak & Juditsky (1992); the correction is that of Kingma & Ba (2015).

    Args:
        decay: d; the average reaches over about 1 / (1 - d) updates.
    """

    def __init__(self, model: Model, decay: float) -> None:
        self.decay = decay
        self.weights = {name: value.detach().clone() for name, value in model.named_parameters()}
        self._model = model

    @torch.no_grad()
    def update(self, n: int) -> None:
        """Take the model's weights in after update n, counted from 1."""
        share = (1 - self.decay) / (1 - self.decay**n)
        now = dict(self._model.named_parameters())
        torch._foreach_lerp_(list(self.weights.values()), [now[name] for name in self.weights], share)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """While this lasts, the model has the averaged weights; its own are put back, to the bit."""
        own = {name: value.detach().clone() for name, value in self._model.named_parameters()}
        self._put(self.weights)
        try:
            yield
        finally:
            self._put(own)

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Go on with the average of a checkpoint."""
        for name, value in self.weights.items():
            value.copy_(weights[name])

    @torch.no_grad()
    def _put(self, weights: Mapping[str, Tensor]) -> None:
        for name, value in self._model.named_parameters():
            value.copy_(weights[name])
