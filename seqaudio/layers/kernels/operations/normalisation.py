"""Layer normalisation in torch operations, all rows at once."""

from __future__ import annotations

import torch
from torch import Tensor

from seqaudio.cells.layer_norm import EPSILON


def normalise(values: Tensor, scale: Tensor) -> Tensor:
    """Normalise each row of values [B, N] in place; scale [B] receives 1 / sqrt(variance + epsilon)."""
    normalised, _, factors = torch.native_layer_norm(values, values.shape[1:], None, None, EPSILON)
    scale.copy_(factors[:, 0])
    return values.copy_(normalised)


def normalise_gradient(gradient: Tensor, normalised: Tensor, scale: Tensor) -> None:
    """Backward of `normalise`, in place."""
    along = (gradient * normalised).mean(1, keepdim=True)
    gradient.sub_(gradient.mean(1, keepdim=True)).addcmul_(normalised, along, value=-1).mul_(scale[:, None])
