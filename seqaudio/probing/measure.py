"""The probe: run a module once, go back from some steps, and collect the results in a Report."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from seqaudio.batching import Batch
from seqaudio.cells import CELLS, WRAPPERS, Cell, Wrapper
from seqaudio.errors import OptionError
from seqaudio.layers.torch_weights import check_weights
from seqaudio.models import Model
from seqaudio.probing.anchors import Anchors, choose_anchors
from seqaudio.probing.jacobians import growth, step_radii, weight_radii
from seqaudio.probing.reach import lag_norms, total_norms
from seqaudio.probing.recording import Record
from seqaudio.probing.report import LayerReport, Report
from seqaudio.probing.step_by_step import TORCH_CELLS, TORCH_LAYERS
from seqaudio.probing.tracing import Loss, Request, Trace, trace_model, trace_module
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
    """Measure how far the gradient of the loss at step t reaches back: g(k) = mean over t of |dL_t / ds_{t-k}|.

    There is one curve for each layer. s is the layer's whole state: the hidden state, which is also its output, and in
    an LSTM the memory. A copy of the module runs once, in evaluation mode, one step at a time; then each anchor t takes
    one backward pass. The module keeps its weights, gradients and mode, and global random generators do not advance.

    Args:
        module: a Model (with a Batch), a cell, layer or stack; torch.nn.RNN, LSTM, GRU and their cells; any module
            that runs them once a step; or, with `state`, a function or module
            (inputs [B, ...], state) -> (outputs [B, ...], state).
        inputs: a Batch for a Model, otherwise [T, B, ...], or [B, T, ...] where torch's layers are batch_first.
        loss: (outputs of step t [B, ...], t) -> the loss of each row [B]. Without it, a Model with a loss at each step
            uses its own. Otherwise L_t is the product of output t with a random unit vector, drawn for each step and
            row: its gradient has norm 1 at the output, so the curve is an amplification. In a Model with one loss a
            row, L_t is that of the top layer's outputs, and the totals are those of the model's loss.
        state: before the first step of a function (tensors and tuples of them), or of a cell or layer of seqaudio.
        lengths: [B] int64, steps of each row; None where all have T.
        anchors: number of steps t in each row, spread evenly. lags: K, the longest lag; None takes the median number of
            steps before a step with a loss.
        jacobians: number of Jacobians ds_t/ds_{t-1} whose spectral radius is computed; each takes one small backward
            pass for every number in the state, and 0 turns this off.
        double: run in float64; in single precision a gradient below 1e-38 becomes zero.
        seed: of the random directions.
    Raises:
        OptionError: nothing recurrent is found, shapes disagree, or no step with a loss has `lags` steps before it.
    """
    run = _trace(Request(module, inputs, loss, state, lengths, double, seed))
    chosen = choose_anchors(run.counted, run.starts, anchors, lags)
    reach, totals = lag_norms(run, chosen), total_norms(run)
    layers = [
        _layer(record, run, chosen, parts, total, jacobians, seed)
        for record, parts, total in zip(run.records, reach, totals, strict=True)
    ]
    T, B = run.counted.shape
    mean_steps = chosen.steps.double().masked_fill(~chosen.used, torch.nan).nanmean(dim=1)
    return Report(run.subject, run.loss_name, T, B, tuple(mean_steps.tolist()), tuple(layers))


def _trace(request: Request) -> Trace:
    """Run a copy of the module, in evaluation mode, and keep the graph.

    Neither the given module nor any global random generator changes.
    Raises OptionError where nothing recurrent is found, where cells do not run once a step, or where weights of torch's
    layers are computed from others.
    """
    if isinstance(request.module, nn.Module):
        for part in request.module.modules():
            if isinstance(part, (*TORCH_LAYERS, *TORCH_CELLS)):
                check_weights(part)
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
    continues = inside & (steps > (0 if record.backward else run.starts))
    heat = torch.stack(list(parts.values())).norm(dim=0)  # [A, B, K + 1]
    reached = int((~heat.isnan().all(dim=1).all(dim=0)).sum())  # lags that any row reaches
    return LayerReport(
        name=record.name,
        cell=cell_name(record.cell),
        curve=_mean(heat, (0, 1))[:reached],
        parts={part: _mean(values, (0, 1))[:reached] for part, values in parts.items()},
        heat=_mean(heat, (1,))[:, :reached],
        total=_mean(total, (1,)),
        growth=growth(record, continues, seed),
        step_radii=tuple(step_radii(record, continues, jacobians)),
        weight_radii=weight_radii(record.cell),
        saturation=_saturation(record, inside),
    )


def _mean(values: Tensor, dims: tuple[int, ...]) -> Any:
    """Means over values that are not NaN, as NumPy; NaN where there are none."""
    return values.nanmean(dim=dims).numpy()


def _saturation(record: Record, inside: Tensor) -> dict[str, float]:
    """Shares over all real steps of all rows."""
    shares = {}
    for kind, (first, width) in record.steps[0].saturation.items():
        counts = torch.stack([step.saturation.get(kind, (torch.zeros_like(first), 0))[0] for step in record.steps])
        shares[kind] = float(counts.cpu()[inside].double().mean()) / width
    return shares


def cell_name(cell: Any) -> str:
    """The name as `build_cell` reads it, such as `lstm+zoneout`; the class name where it is not registered."""
    if isinstance(cell, Wrapper):
        wrapper = next((name for name in WRAPPERS if WRAPPERS[name] is type(cell)), type(cell).__name__)
        return f"{cell_name(cell.cell)}+{wrapper}"
    if isinstance(cell, Cell):
        return next((name for name in CELLS if CELLS[name] is type(cell)), type(cell).__name__)
    return "step function"


class EpochProbe:
    """Probes a model after every N-th epoch; it is called after each.

    The report's `numbers()` go into the epoch's line of the metrics, and `write(board, step)` sends it to TensorBoard.
    It depends on the weights and the batch alone, so a resumed training writes the same.

    Args:
        batch: rows of the validation split. every: N, epochs.
        anchors, lags, jacobians: as `probe` takes them; lower defaults, since it runs many times.
    """

    def __init__(self, batch: Batch, every: int, anchors: int = 8, lags: int | None = None, jacobians: int = 1) -> None:
        if every < 1:
            raise OptionError(f"--probe-every {every}, expected at least 1 epoch; leave it out to turn the probe off")
        self.batch = batch
        self.every = every
        self.anchors = anchors
        self.lags = lags
        self.jacobians = jacobians

    def __call__(self, model: Model, epoch: int) -> Report | None:
        """The report on a model after `epoch` epochs (counted from 1); None where this is not an N-th epoch."""
        return self.look(model) if epoch % self.every == 0 else None

    def look(self, model: Model) -> Report:
        """Probe a model now."""
        device = next(model.parameters()).device
        return probe(model, self.batch.to(device), anchors=self.anchors, lags=self.lags, jacobians=self.jacobians)
