"""Wrappers, by name in `WRAPPERS`: cells around a cell, each of which changes one thing about every step."""

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
