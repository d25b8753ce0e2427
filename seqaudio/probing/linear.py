"""A linear recurrent net with a scaled orthogonal matrix, whose gradients are known in theory."""

from __future__ import annotations

from torch import Tensor, nn

from seqaudio.cells import ElmanCell
from seqaudio.errors import OptionError


class LinearCell(ElmanCell):
    """One step of a linear recurrent network: h' = W x + b + U h + b'. Arguments and errors are those of ElmanCell.

    It is not in CELLS, since there is no use in training it: T steps of it are one linear map.
    """

    def activation(self, total: Tensor) -> Tensor:
        return total


def turning_cell(input_size: int, hidden_size: int, radius: float) -> LinearCell:
    """A linear cell with U = radius Q, Q a random orthogonal matrix, drawn by torch's global generator.

    Each step multiplies the norm of every gradient by the radius, whatever the inputs:

        |dL_t/dh_{t-k}| = radius^k |dL_t/dh_t|

    Source: the linear case of Pascanu, Mikolov & Bengio (2013).
    Raises OptionError where the radius is not positive.
    """
    if not radius > 0:
        raise OptionError(f"got a spectral radius of {radius:g}, expected a positive number, such as 0.9")
    cell = LinearCell(input_size, hidden_size)
    nn.init.orthogonal_(cell.weight_hh.detach(), radius)
    return cell
