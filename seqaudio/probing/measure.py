"""The probe itself: run once, go back from some steps, put the numbers together."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from seqaudio.batching import Batch
from seqaudio.cells import CELLS, WRAPPERS, Cell, Wrapper
from seqaudio.errors import OptionError
from seqaudio.models import Model
from seqaudio.probing.anchors import Anchors, choose_anchors
from seqaudio.probing.jacobians import growth, step_radii, weight_radii
from seqaudio.probing.reach import lag_norms, total_norms
from seqaudio.probing.recording import Record
from seqaudio.probing.report import LayerReport, Report
from seqaudio.probing.trace_model import trace_model
from seqaudio.probing.trace_module import trace_module
from seqaudio.probing.tracing import Loss, Request, Trace
from seqaudio.state import State


def probe(
    module: Any,
    inputs: Tensor | Batch,
    *,
    loss: Loss | None = None,
    state: State | None = None,
    lengths: Tensor | None = None,
    anchors: int = 16,
    lags: int | None = None,
    jacobians: int = 4,
    double: bool = False,
    seed: int = 0,
) -> Report:
    """How far the gradient of a loss at step t reaches back: g(k) = mean over t of |dL_t / ds_{t-k}|, a curve a layer.

    s is the whole state of a layer: the hidden state, which goes up and on, and, of an LSTM, the memory beside it. A
    copy of the module runs once, in evaluation mode, one step at a time; then each anchor t takes one backward pass.
    The module keeps its weights, gradients and mode, and no global generator moves.

    Args:
        module: a Model (with a Batch), a cell, layer or stack; torch.nn.RNN, LSTM, GRU and their cells; any module
            that runs them once a step; or, with `state`, a function or module
            (inputs [B, ...], state) -> (outputs [B, ...], state).
        inputs: a Batch for a Model, otherwise [T, B, ...], or [B, T, ...] where torch's layers are batch_first.
        loss: (outputs of step t [B, ...], t) -> the loss of each row [B]. Without it a Model has its own, and for
            anything else L_t is the product of output t with a random unit vector, drawn for each step and row: its
            gradient is 1 at the output, so that the curve reads as an amplification. So it is for a Model with one loss
            a row, where L_t takes the top layer's outputs; that loss is what the totals are of.
        state: before the first step of a function (tensors and tuples of them), or of a cell or layer of ours.
        lengths: [B] int64, steps of each row; None where all have T.
        anchors: steps t a row, spread evenly. lags: the longest k; None takes the median over t of what there is.
        jacobians: how many dh'/dh are made for their spectral radius; each takes as many small backward passes as the
            state has numbers, 0 leaves them out.
        double: run in float64; single precision loses the gradient below 1e-38.
        seed: of the random directions.
    Raises:
        OptionError: nothing recurrent is found, shapes disagree, or no step with a loss has that many before it.
    """
    run = _trace(Request(module, inputs, loss, state, lengths, double, seed))
    chosen = choose_anchors(run.counted, run.starts, anchors, lags)
    reach, totals = lag_norms(run, chosen), total_norms(run)
    layers = [
        _layer(record, run, chosen, parts, total, jacobians, seed)
        for record, parts, total in zip(run.records, reach, totals, strict=True)
    ]
    T, B = run.counted.shape
    places = chosen.steps.double().masked_fill(~chosen.taken, torch.nan).nanmean(dim=1)
    return Report(run.subject, run.loss_name, T, B, tuple(places.tolist()), tuple(layers))


def _trace(request: Request) -> Trace:
    """Run a copy of the module, in evaluation mode, and keep the graph.

    Nothing of the module that was given changes, nor does any global generator of random numbers.
    Raises OptionError where nothing recurrent is found, or where calls and steps do not match.
    """
    with torch.random.fork_rng(devices=_gpus(request.module)), torch.enable_grad():
        module = copy.deepcopy(request.module) if isinstance(request.module, nn.Module) else request.module
        if isinstance(module, nn.Module):
            module = module.eval().requires_grad_(True)
            module = module.double() if request.double else module
        if isinstance(module, Model):
            return trace_model(module, request)
        return trace_module(module, request)


def _gpus(module: Any) -> list[int]:
    parameters = module.parameters() if isinstance(module, nn.Module) else ()
    return sorted({parameter.get_device() for parameter in parameters if parameter.is_cuda})


def _layer(
    record: Record,
    run: Trace,
    anchors: Anchors,
    parts: dict[str, Tensor],
    total: Tensor,
    jacobians: int,
    seed: int,
) -> LayerReport:
    T, _ = run.counted.shape
    steps = torch.arange(T)[:, None]
    inside = steps < run.lengths
    goes_on = inside & (steps > (0 if record.backward else run.starts))
    heat = torch.stack(list(parts.values())).norm(dim=0)  # [A, B, K + 1]
    seen = ~heat.isnan().all(dim=1).all(dim=0)  # lags that any row reaches
    reached = int(seen.sum())
    return LayerReport(
        name=record.name,
        cell=cell_name(record.cell),
        curve=_mean(heat, (0, 1))[:reached],
        parts={part: _mean(values, (0, 1))[:reached] for part, values in parts.items()},
        heat=_mean(heat, (1,))[:, :reached],
        total=_mean(total, (1,)),
        growth=growth(record, goes_on, seed),
        step_radii=tuple(step_radii(record, goes_on, jacobians)),
        weight_radii=weight_radii(record.cell),
        saturation=_saturation(record, inside),
    )


def _mean(values: Tensor, dims: tuple[int, ...]) -> Any:
    """NumPy means over what is not NaN; NaN where nothing is."""
    return values.nanmean(dim=dims).numpy()


def _saturation(record: Record, inside: Tensor) -> dict[str, float]:
    """Shares over all real steps of all rows."""
    shares = {}
    for kind, (first, width) in record.steps[0].saturation.items():
        counts = torch.stack([step.saturation.get(kind, (torch.zeros_like(first), 0))[0] for step in record.steps])
        shares[kind] = float(counts.cpu()[inside].double().mean()) / width
    return shares


def cell_name(cell: Any) -> str:
    """As `build_cell` would read it, such as `lstm+zoneout`; the class where it is not registered."""
    if isinstance(cell, Wrapper):
        wrapper = next((name for name in WRAPPERS if WRAPPERS[name] is type(cell)), type(cell).__name__)
        return f"{cell_name(cell.cell)}+{wrapper}"
    if isinstance(cell, Cell):
        return next((name for name in CELLS if CELLS[name] is type(cell)), type(cell).__name__)
    return "step function"


class EpochProbe:
    """Called after each epoch; probes after every N-th.

    The report goes into the epoch's line of the metrics by `numbers()` and to TensorBoard by `write(board, step)`. It
    depends on the weights and the batch alone, so that a resumed training writes the same.

    Args:
        batch: the rows to look at, of the validation split. every: N, epochs.
        anchors, lags, jacobians: as `probe` takes them; few, since this is done again and again.
    """

    def __init__(self, batch: Batch, every: int, anchors: int = 8, lags: int | None = None, jacobians: int = 1) -> None:
        if every < 1:
            raise OptionError(f"--probe-every {every}, expected at least 1 epoch; leave it out for no probe")
        self.batch = batch
        self.every = every
        self.anchors = anchors
        self.lags = lags
        self.jacobians = jacobians

    def __call__(self, model: Model, epoch: int) -> Report | None:
        """The report on a model after `epoch` epochs (counted from 1), None where it is not the turn of one."""
        return self.look(model) if epoch % self.every == 0 else None

    def look(self, model: Model) -> Report:
        """The report on a model, now."""
        device = next(model.parameters()).device
        return probe(model, self.batch.to(device), anchors=self.anchors, lags=self.lags, jacobians=self.jacobians)
