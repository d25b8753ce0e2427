"""Running means of frames weighted by their loudness: estimates of what a voice and a microphone add to all frames."""

from __future__ import annotations

import torch
from torch import Tensor

LOUDER = 0.5  # a frame's weight is this power of its energy: 30 dB above the pause before a word, 32 times as much
MOST = 40.0  # nats of energy above or below the training mean, more than any sound has; no weight overflows
LEAST = 1e-12  # far below the square of any weight: digital silence alone has a mean of 0


def loudness_weights(loudness: Tensor, usual: Tensor) -> Tensor:
    """Weights of frames by their mean log-mel energy, `loudness` [..., 1]; 1 for `usual`, that of training."""
    return torch.exp(LOUDER * (loudness - usual).clamp(-MOST, MOST))


def weighted_mean(level: Tensor, weights: Tensor, squares: Tensor, prior: float) -> Tensor:
    """The weighted mean [..., F] of frames, nearer to 0 the fewer frames count in it.

        N / (N + prior) sum w x / sum w,    N = (sum w)^2 / sum w^2    number of frames that count

    Args:
        level: sum of the weighted frames, [..., F]. weights, squares: sums of weights and of their squares, [..., 1].
        prior: frames that 0 counts for.
    """
    return level * weights / (weights.square() + prior * squares + LEAST)
