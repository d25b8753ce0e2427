"""Means over what was heard so far in which a frame counts by its loudness: what a voice and a microphone add."""

from __future__ import annotations

import torch
from torch import Tensor

LOUDER = 0.5  # power of its energy by which a frame counts: 30 dB above the quiet before a word, 32 times as much
MOST = 40.0  # natural logarithm of energy beside the training mean, beyond any sound, that would overflow
LEAST = 1e-12  # far below the square of any weight: digital silence alone has a mean of 0


def loudness_weights(loudness: Tensor, usual: Tensor) -> Tensor:
    """How much frames count whose mean log-mel energy is `loudness`, [..., 1], beside the `usual` one of training."""
    return torch.exp(LOUDER * (loudness - usual).clamp(-MOST, MOST))


def weighed_mean(level: Tensor, weights: Tensor, squares: Tensor, prior: float) -> Tensor:
    """The mean [..., F] of weighed frames, nearer to 0 the fewer frames count in it.

        N / (N + prior) sum w x / sum w,    N = (sum w)^2 / sum w^2    number of frames that count

    Args:
        level: sum of the weighed frames, [..., F]. weights, squares: sums of weights and of their squares, [..., 1].
        prior: frames that 0 counts for.
    """
    return level * weights / (weights.square() + prior * squares + LEAST)
