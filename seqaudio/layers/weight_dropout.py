"""Dropped recurrent weights of a layer, which stays on its fused kernel."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from seqaudio.cells import build_cell
from seqaudio.cells.wrappers import core_cell
from seqaudio.errors import OptionError
from seqaudio.layers.base import Layer, Sequences
from seqaudio.state import State

WEIGHTS = "weight_hh"  # the name of recurrent weights in every cell that has them


def with_dropped_weights(layer: Layer, share: float, sequences: Sequences) -> tuple[Tensor, State]:
    """Run a layer in one direction with a share of its recurrent weights dropped, drawn anew in each call.

    Source: Merity et al. (2018).
    """
    name, weight = recurrent_weight(layer)
    result: tuple[Tensor, State] = functional_call(
        layer, {name: F.dropout(weight, share)}, (*sequences[:3], sequences.resets)
    )
    return result


def recurrent_weight(layer: Layer) -> tuple[str, nn.Parameter]:
    """The name and the recurrent weights of a layer's cell. Raises OptionError where it has none."""
    core: Any = core_cell(layer.cell)  # type: ignore[arg-type]  # layers in one direction hold a cell
    weight = getattr(core, WEIGHTS, None)
    if not isinstance(weight, nn.Parameter):
        raise OptionError(
            f"--weight-dropout drops recurrent weights ({WEIGHTS}), {type(core).__name__} has none; leave it out"
        )
    return next((name, part) for name, part in layer.named_parameters() if part is weight)


def has_recurrent_weights(cell: str, input_size: int) -> bool:
    """Whether a cell, as `build_cell` reads it, has weights that --weight-dropout can drop.

    input_size: any width that the cell takes. Raises OptionError as `build_cell` does.
    """
    with torch.random.fork_rng(devices=[]):  # the weights of this cell are drawn in vain
        core = core_cell(build_cell(cell, input_size, input_size))
    return isinstance(getattr(core, WEIGHTS, None), nn.Parameter)
