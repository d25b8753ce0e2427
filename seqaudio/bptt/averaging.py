"""An exponential average of the weights over updates: less noisy than the last weights, often better on validation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from seqaudio.models import Model


class WeightAverage:
    """An exponential average of a model's parameters over its updates.

        m_n = m_{n-1} + (w_n - m_{n-1}) (1 - d) / (1 - d^n),    m_1 = w_1

    which is sum_k d^(n-k) w_k / sum_k d^(n-k), k = 1 .. n: the random initial weights have no share. Buffers are not
    averaged. Source: Polyak & Juditsky (1992); the correction is that of Kingma & Ba (2015).

    Args:
        decay: d; the average covers about 1 / (1 - d) updates.
    """

    def __init__(self, model: Model, decay: float) -> None:
        self.decay = decay
        self.weights = {name: value.detach().clone() for name, value in model.named_parameters()}
        self._model = model

    @torch.no_grad()
    def update(self, n: int) -> None:
        """Add the model's weights to the average after update n, counted from 1."""
        share = (1 - self.decay) / (1 - self.decay**n)
        now = dict(self._model.named_parameters())
        torch._foreach_lerp_(list(self.weights.values()), [now[name] for name in self.weights], share)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Give the model the averaged weights inside the `with`; its own are restored after it, bit for bit."""
        own = {name: value.detach().clone() for name, value in self._model.named_parameters()}
        self._put(self.weights)
        try:
            yield
        finally:
            self._put(own)

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Continue from the average in a checkpoint."""
        for name, value in self.weights.items():
            value.copy_(weights[name])

    @torch.no_grad()
    def _put(self, weights: Mapping[str, Tensor]) -> None:
        for name, value in self._model.named_parameters():
            value.copy_(weights[name])
