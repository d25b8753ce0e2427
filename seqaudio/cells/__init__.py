"""One step of each recurrent cell. `CELLS` finds them by name; a new cell registers itself there."""

from seqaudio.cells.affine import AffineCell
from seqaudio.cells.base import CELLS, Cell
from seqaudio.cells.elman import ElmanCell, ElmanReLUCell, ElmanState
from seqaudio.cells.gru import GRUCell, GRUState
from seqaudio.cells.lstm import LSTMCell, LSTMState

__all__ = [
    "CELLS",
    "AffineCell",
    "Cell",
    "ElmanCell",
    "ElmanReLUCell",
    "ElmanState",
    "GRUCell",
    "GRUState",
    "LSTMCell",
    "LSTMState",
]
