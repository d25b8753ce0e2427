"""Initialisations of a cell's weights, by name in `INITIALISATIONS`, applied after the cell is constructed.

Each function takes a cell and numbers, changes the innermost cell in place, and raises OptionError where it does not
suit that cell. Random ones draw from torch's global generator.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from seqaudio.cells.affine import AffineCell
from seqaudio.cells.base import Cell
from seqaudio.cells.elman import ElmanCell
from seqaudio.cells.gru import GRUCell
from seqaudio.cells.lstm import LSTMCell
from seqaudio.cells.minimal import MinGRUCell, MinLSTMCell
from seqaudio.cells.wrappers import core_cell
from seqaudio.errors import OptionError
from seqaudio.registry import Registry

Initialisation = Callable[..., None]

INITIALISATIONS: Registry[Initialisation] = Registry("initialisation")


@INITIALISATIONS.register("orthogonal")
@torch.no_grad()
def orthogonal(cell: Cell[Any], gain: float = 1.0) -> None:
    """Make weight_hh of each gate a random orthogonal matrix times `gain`. Source: Saxe et al. (2014)."""
    for matrix in _recurrent_matrices("orthogonal", cell):
        nn.init.orthogonal_(matrix, gain)


@INITIALISATIONS.register("forget_bias")
@torch.no_grad()
def forget_bias(cell: Cell[Any], value: float = 1.0) -> None:
    """Set the bias of an LSTM's forget gate (the sum, where there are two) to `value`.

    Source: Gers et al. (2000), Jozefowicz et al. (2015).
    """
    core = core_cell(cell)
    if isinstance(core, LSTMCell):
        _set_bias(core, 1, value)
    elif isinstance(core, MinLSTMCell):
        _set_bias(core, 0, value)
    else:
        raise _misfit("forget_bias", core, "a forget gate", "LSTM kinds")


@INITIALISATIONS.register("chrono")
@torch.no_grad()
def chrono(cell: Cell[Any], longest_lag: float) -> None:
    """Set biases so that units forget with time constants spread over 2 .. longest_lag steps.

        u ~ uniform(1, longest_lag - 1), one for each unit
        LSTM kinds: forget bias log u, input bias -log u; minLSTM the same, so that f / (f + i) = u / (1 + u)
        GRU kinds:  bias of z log u, since z = 1 keeps the state; minGRU -log u, since its z = 1 replaces it

    Source: Tallec & Ollivier (2018).
    """
    if not longest_lag > 2:
        raise OptionError(f"chrono got a longest lag of {longest_lag:g} steps, expected more than 2; write chrono=100")
    core = core_cell(cell)
    if not isinstance(core, LSTMCell | GRUCell | MinGRUCell | MinLSTMCell):
        raise _misfit("chrono", core, "gates that keep the state", "LSTM and GRU kinds")
    keep = torch.empty_like(core.bias_ih[: core.hidden_size]).uniform_(1, longest_lag - 1).log()
    if isinstance(core, LSTMCell):
        _set_bias(core, 1, keep)
        _set_bias(core, 0, -keep)
    elif isinstance(core, GRUCell):
        _set_bias(core, 1, keep)
    elif isinstance(core, MinGRUCell):
        _set_bias(core, 0, -keep)
    else:
        _set_bias(core, 0, keep)
        _set_bias(core, 1, -keep)


@INITIALISATIONS.register("identity")
@torch.no_grad()
def identity(cell: Cell[Any], scale: float = 1.0) -> None:
    """Make an Elman cell carry its hidden state: weight_hh = `scale` times the identity, biases zero.

    With ReLU this is the IRNN. Source: Le, Jaitly & Hinton (2015).
    """
    core = core_cell(cell)
    if not isinstance(core, ElmanCell):
        raise _misfit("identity", core, "a single, ungated hidden layer", "elman and elman_relu")
    core.weight_hh.copy_(scale * torch.eye(core.hidden_size))
    core.bias_ih.zero_()
    core.bias_hh.zero_()


@INITIALISATIONS.register("spectral_radius")
@torch.no_grad()
def spectral_radius(cell: Cell[Any], value: float) -> None:
    """Rescale weight_hh of each gate so that its largest absolute eigenvalue is `value`. Source: Jaeger (2001)."""
    if not value > 0:
        raise OptionError(f"spectral_radius got {value:g}, expected a positive number; write spectral_radius=0.9")
    for matrix in _recurrent_matrices("spectral_radius", cell):
        if matrix.shape[0] != matrix.shape[1]:
            raise OptionError(
                f"spectral_radius needs square matrices, weight_hh of {type(core_cell(cell)).__name__} is "
                f"{matrix.shape[0]} x {matrix.shape[1]} in each gate; use orthogonal"
            )
        radius = torch.linalg.eigvals(matrix.double()).abs().max().item()
        if radius == 0:
            raise OptionError(
                "spectral_radius got recurrent weights whose eigenvalues are all zero; "
                "write orthogonal+spectral_radius=0.9"
            )
        matrix.mul_(value / radius)


def _recurrent_matrices(name: str, cell: Cell[Any]) -> tuple[Tensor, ...]:
    """Views of weight_hh, one a gate."""
    core = core_cell(cell)
    if not isinstance(core, AffineCell):
        raise _misfit(name, core, "recurrent weights", "elman, LSTM and GRU kinds")
    return core.weight_hh.detach().chunk(core.gates)


def _set_bias(cell: AffineCell[Any] | MinGRUCell | MinLSTMCell, gate: int, value: float | Tensor) -> None:
    """Set the bias of a gate, the sum where there are two, to `value`."""
    cell.bias_ih.chunk(cell.gates)[gate].copy_(torch.as_tensor(value))
    if isinstance(cell, AffineCell):
        cell.bias_hh.chunk(cell.gates)[gate].zero_()


def _misfit(name: str, cell: Cell[Any], needs: str, suited: str) -> OptionError:
    return OptionError(f"{name} needs {needs}, {type(cell).__name__} has none; it is for {suited}")
