"""Jacobians of single steps: the growth of their product, and spectral radii."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from seqaudio.cells import AffineCell, Cell, ElmanCell, GRUCell, LSTMCell, ProjectedLSTMCell
from seqaudio.cells.wrappers import core_cell
from seqaudio.probing.recording import Record, Step

# letters of the gates in the order of weight_hh
GATES: dict[type[AffineCell[Any]], str] = {LSTMCell: "ifgo", GRUCell: "rzn", ElmanCell: "h"}


def growth(record: Record, valid: Tensor, seed: int) -> float:
    """The factor by which the product of the Jacobians J_t = ds_t/ds_{t-1} grows a step.

    A random direction is multiplied by the transposes of J_T, .., J_2, as in backpropagation, and scaled to norm 1
    after each; the result is the geometric mean of the factors over steps and rows. Its logarithm estimates the largest
    Lyapunov exponent of the trajectory from T steps (Benettin et al. 1980).

    valid: [T, B] bool, true where a step is inside its row and continues the step before.
    NaN where no row has two steps.
    """
    draw = torch.Generator().manual_seed(seed)
    last = record.steps[-1].after
    directions = {
        part: torch.randn(tensor.shape, generator=draw, dtype=torch.float64).to(tensor) for part, tensor in last.items()
    }
    directions = _divided(directions, _row_norms(directions))
    total, count = torch.zeros(valid.shape[1], dtype=torch.float64), 0
    for step, rows in zip(reversed(record.steps[1:]), valid.flip(0), strict=False):
        if not rows.any():
            continue
        back = _transposed(step, directions)
        factors = _row_norms(back)
        total += torch.where(rows, factors.double().cpu().log(), 0)
        count += int(rows.sum())
        moved = _divided(back, factors)
        used = rows.to(factors.device) & (factors > 0)
        directions = {part: torch.where(_column(used, new), new, directions[part]) for part, new in moved.items()}
    return math.exp(float(total.sum()) / count) if count else math.nan


def step_radii(record: Record, valid: Tensor, samples: int) -> list[float]:
    """Spectral radii of J_t = ds_t/ds_{t-1}, at `samples` points spread evenly over steps and rows.

    valid: as in `growth`. Each takes one backward pass through the step for every number in the state.
    """
    places = valid[1:].nonzero()
    if not samples or not len(places):
        return []
    chosen = places[torch.linspace(0, len(places) - 1, min(samples, len(places))).round().long()].tolist()
    return [_radius(_jacobian(record.steps[step + 1], row)) for step, row in chosen]


def weight_radii(cell: nn.Module) -> dict[str, float]:
    """Spectral radius of each gate's recurrent weights, by the gate's letter; empty for a cell without such weights.

    In a projected cell the weights are multiplied by the projection first, so that they map memory to memory.
    """
    core = core_cell(cell) if isinstance(cell, Cell) else cell
    if not isinstance(core, AffineCell):
        return {}
    numbered = [str(number) for number in range(core.gates)]
    names = next((list(letters) for kind, letters in GATES.items() if isinstance(core, kind)), numbered)
    gates = core.weight_hh.detach().tensor_split(core.gates)
    if isinstance(core, ProjectedLSTMCell):
        gates = tuple(gate @ core.weight_hr.detach() for gate in gates)
    return {name: _radius(gate) for name, gate in zip(names, gates, strict=True)}


def _transposed(step: Step, directions: dict[str, Tensor]) -> dict[str, Tensor]:
    """J_t^T times the direction of each row."""
    parts = list(directions)
    gradients = torch.autograd.grad(
        [step.after[part] for part in parts],
        [step.before[part] for part in parts],
        grad_outputs=[directions[part] for part in parts],
        retain_graph=True,
        materialize_grads=True,
    )
    return dict(zip(parts, gradients, strict=True))


def _jacobian(step: Step, row: int) -> Tensor:
    """J_t of one row, [N, N] with N numbers in a state."""
    directions = {part: torch.zeros_like(tensor) for part, tensor in step.after.items()}
    rows = []
    for direction in directions.values():
        flat = direction[row].view(-1)
        for unit in range(len(flat)):
            flat[unit] = 1
            back = _transposed(step, directions)
            rows.append(torch.cat([gradient[row].flatten() for gradient in back.values()]))
            flat[unit] = 0
    return torch.stack(rows)


def _radius(matrix: Tensor) -> float:
    matrix = matrix.double().cpu()
    return float(torch.linalg.eigvals(matrix).abs().max()) if bool(matrix.isfinite().all()) else math.inf


def _row_norms(parts: dict[str, Tensor]) -> Tensor:
    """[B]: the norm of all parts of each row together."""
    norms: Tensor = torch.linalg.vector_norm(torch.cat([tensor.flatten(1) for tensor in parts.values()], dim=1), dim=1)
    return norms


def _divided(parts: dict[str, Tensor], by: Tensor) -> dict[str, Tensor]:
    return {part: tensor / _column(by, tensor) for part, tensor in parts.items()}


def _column(values: Tensor, like: Tensor) -> Tensor:
    """[B] reshaped to broadcast with a tensor [B, ...]."""
    return values.reshape(-1, *[1] * (like.dim() - 1))
