"""Gradients against lags unit by unit: which unit of a layer remembers how far."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from seqaudio.cells import Cell
from seqaudio.errors import OptionError
from seqaudio.layers import Unrolled
from seqaudio.probing.projections import projections
from seqaudio.probing.tracing import record_run


def unit_reach(
    cell: Cell[Any], inputs: Tensor, lags: int, part: str = "hidden", seed: int = 0
) -> npt.NDArray[np.float64]:
    """Mean over rows of |dL_T / ds_{T-k}[unit]|, [H, K + 1]: a row a unit, a column a lag k.

    L_T is the product of the last output with a random unit vector, as `probe` has it.

    Args:
        cell: run with the weights that it has; they stay, and get no gradient.
        inputs: [T, B, F]. lags: K, less than T.
        part: of the state, such as "hidden" or the "memory" of an LSTM.
        seed: of the random direction.
    Raises:
        OptionError: the lags do not fit into the steps, or the state has no such part.
    """
    T = len(inputs)
    if not 0 < lags < T:
        raise OptionError(f"got {lags} lags for inputs of {T} steps, expected 1 to {T - 1}")
    (record,), (outputs, _) = record_run(Unrolled(copy.deepcopy(cell)), lambda layer: layer(inputs), T)
    if part not in record.parts():
        raise OptionError(f"the state of {type(cell).__name__} has no {part!r}, only {', '.join(record.parts())}")
    loss = projections(outputs, seed)[-1].sum()
    states = [record.steps[T - 1 - lag].after[part] for lag in range(lags + 1)]
    gradients = torch.autograd.grad(loss, states, materialize_grads=True)
    return torch.stack([gradient.abs().double().mean(dim=0) for gradient in gradients], dim=1).numpy()
