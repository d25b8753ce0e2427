"""Recurrent cells: one time step each. `CELLS` finds them by name; a new cell registers itself there.

`WRAPPERS` are cells around cells, `INITIALISATIONS` set the first weights, and `build_cell` makes a cell from a text
such as `lstm+zoneout=0.1,0.5`.
"""

from seqaudio.cells.affine import AffineCell
from seqaudio.cells.base import CELLS, Cell
from seqaudio.cells.build import build_cell, initialise
from seqaudio.cells.elman import ElmanCell, ElmanReLUCell, ElmanState
from seqaudio.cells.gru import GRUCell, GRUResetBeforeCell, GRUState
from seqaudio.cells.initialisation import INITIALISATIONS
from seqaudio.cells.layer_norm import LayerNormCell, LayerNormGRUCell, LayerNormLSTMCell
from seqaudio.cells.lstm import LSTMCell, LSTMState
from seqaudio.cells.minimal import MinGRUCell, MinimalCell, MinimalState, MinLSTMCell
from seqaudio.cells.peephole_lstm import PeepholeLSTMCell
from seqaudio.cells.projected_lstm import ProjectedLSTMCell
from seqaudio.cells.rru import RRUCell, RRUState
from seqaudio.cells.wrappers import (
    WRAPPERS,
    DropoutState,
    Reset,
    Residual,
    VariationalDropout,
    WeightDrop,
    Wrapper,
    Zoneout,
)

__all__ = [
    "CELLS",
    "INITIALISATIONS",
    "WRAPPERS",
    "AffineCell",
    "Cell",
    "DropoutState",
    "ElmanCell",
    "ElmanReLUCell",
    "ElmanState",
    "GRUCell",
    "GRUResetBeforeCell",
    "GRUState",
    "LSTMCell",
    "LSTMState",
    "LayerNormCell",
    "LayerNormGRUCell",
    "LayerNormLSTMCell",
    "MinGRUCell",
    "MinLSTMCell",
    "MinimalCell",
    "MinimalState",
    "PeepholeLSTMCell",
    "ProjectedLSTMCell",
    "RRUCell",
    "RRUState",
    "Reset",
    "Residual",
    "VariationalDropout",
    "WeightDrop",
    "Wrapper",
    "Zoneout",
    "build_cell",
    "initialise",
]
