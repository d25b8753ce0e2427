"""Cells around cells, by name in `WRAPPERS`: each changes one thing about every step and is a cell itself."""

from seqaudio.cells.wrappers.base import WRAPPERS, Wrapper, core_cell, core_state, replace_core_state
from seqaudio.cells.wrappers.reset import Reset
from seqaudio.cells.wrappers.residual import Residual
from seqaudio.cells.wrappers.variational_dropout import DropoutState, VariationalDropout
from seqaudio.cells.wrappers.weight_drop import WeightDrop
from seqaudio.cells.wrappers.zoneout import Zoneout

__all__ = [
    "WRAPPERS",
    "DropoutState",
    "Reset",
    "Residual",
    "VariationalDropout",
    "WeightDrop",
    "Wrapper",
    "Zoneout",
    "core_cell",
    "core_state",
    "replace_core_state",
]
