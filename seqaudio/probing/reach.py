"""Norms of gradients with respect to earlier states, with one backward pass for each anchor."""

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
from seqaudio.probing.anchors import Anchors
from seqaudio.probing.recording import Record
from seqaudio.probing.tracing import Trace, projections, record_run


def lag_norms(trace: Trace, anchors: Anchors) -> list[dict[str, Tensor]]:
    """For each record and part of its state: norms of dL_t/ds_{t-k}, [A, B, K + 1] float64, NaN where there is no step.

    A row's loss depends on its own states alone, so all rows of an anchor, each at its own step, share a backward pass.
    """
    T, _ = trace.counted.shape
    own = [_own_steps(record, trace, anchors.steps) for record in trace.records]  # [A, B] each
    found: list[dict[str, Tensor]] = [{} for _ in trace.records]
    for anchor, used in enumerate(anchors.used):
        ranges = []
        for steps in own:
            here = steps[anchor][used]
            ranges.append(range(max(int(here.min()) - anchors.lags, 0), min(int(here.max()) + 1, T)))
        norms = _norms(_loss_at(trace, anchors.steps[anchor], used), trace.records, ranges)
        for number, parts in enumerate(norms):
            earlier = own[number][anchor] - torch.arange(anchors.lags + 1)[:, None]  # [K + 1, B] steps t - k
            exists = used & (earlier >= _own_starts(trace.records[number], trace, anchors.steps[anchor]))
            rows = torch.arange(earlier.shape[1])
            for part, values in parts.items():
                index = (earlier - ranges[number].start).clamp(0, len(values) - 1)
                by_lag = torch.where(exists, values[index, rows], torch.nan).T  # [B, K + 1]
                found[number].setdefault(part, torch.full((len(anchors.steps), *by_lag.shape), torch.nan).double())
                found[number][part][anchor] = by_lag
    return found


def total_norms(trace: Trace) -> list[Tensor]:
    """For each record: norms of dL/ds_t, L the total loss, [T, B] in the record's own order, NaN in the padding."""
    T, _ = trace.counted.shape
    steps = torch.arange(T)[:, None] < trace.lengths
    every = _norms(trace.total, trace.records, [range(T)] * len(trace.records))
    return [torch.where(steps, _together(parts), torch.nan) for parts in every]


def _loss_at(trace: Trace, steps: Tensor, used: Tensor) -> Tensor:
    rows = torch.arange(len(steps))
    return trace.losses[steps[used].to(trace.losses.device), rows[used].to(trace.losses.device)].sum()


def _norms(loss: Tensor, records: list[Record], ranges: list[range]) -> list[dict[str, Tensor]]:
    """Norms of dL/ds of each record, part and row: [steps of the range, B] float64 on the CPU."""
    wanted = [
        (place, part, record.steps[step].after[part])
        for place, (record, steps) in enumerate(zip(records, ranges, strict=True))
        for part in record.parts()
        for step in steps
    ]
    gradients = torch.autograd.grad(
        loss, [tensor for _, _, tensor in wanted], retain_graph=True, materialize_grads=True
    )
    norms: list[dict[str, list[Tensor]]] = [{} for _ in records]
    for (place, part, _), gradient in zip(wanted, gradients, strict=True):
        norms[place].setdefault(part, []).append(gradient.flatten(1).double().norm(dim=1))
    return [{part: torch.stack(values).cpu() for part, values in parts.items()} for parts in norms]


def _together(parts: dict[str, Tensor]) -> Tensor:
    """The norm of a whole state from the norms of its parts."""
    norms: Tensor = torch.linalg.vector_norm(torch.stack(list(parts.values())), dim=0)
    return norms


def _own_steps(record: Record, trace: Trace, steps: Tensor) -> Tensor:
    """Anchors [A, B] as step numbers in a record's own order."""
    if not record.backward:
        return steps
    return trace.lengths - 1 - steps


def _own_starts(record: Record, trace: Trace, steps: Tensor) -> Tensor:
    """[B]: the earliest step that the gradient of the anchors [B] can reach, in a record's own order."""
    if record.backward:
        return torch.zeros_like(steps)
    return trace.starts.gather(0, steps[None])[0]


def unit_reach(
    cell: Cell[Any], inputs: Tensor, lags: int, part: str = "hidden", seed: int = 0
) -> npt.NDArray[np.float64]:
    """Mean over rows of |dL_T / ds_{T-k}[unit]|, [H, K + 1]: one row for each unit, one column for each lag k.

    L_T is the product of the last output with a random unit vector, as in `probe`.

    Args:
        cell: a copy runs, so its weights and gradients do not change.
        inputs: [T, B, F]. lags: K, less than T.
        part: of the state, such as "hidden" or the "memory" of an LSTM.
        seed: of the random direction.
    Raises:
        OptionError: fewer steps than lags, or the state has no such part.
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
