"""Traces: one run of a module with every state of every recurrent cell and the loss of every step."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from seqaudio.batching import Batch
from seqaudio.cells import Cell
from seqaudio.errors import OptionError
from seqaudio.layers import Layer, Unrolled, flip, mask
from seqaudio.models import Model
from seqaudio.probing.recording import Record, Recorder
from seqaudio.probing.step_by_step import TORCH_LAYERS, StepFunction, TorchCell, stack_of, step_by_step
from seqaudio.state import State, map_state

Loss = Callable[[Tensor, int], Tensor]  # (outputs of step t [B, ...], t) -> the loss of each row [B]


@dataclass
class Trace:
    """The records and losses of a run. B rows of up to T steps."""

    subject: str  # name of the module or function
    loss_name: str  # description of L_t
    records: list[Record]
    losses: Tensor  # [T, B] L_t of each row, in the graph
    total: Tensor  # the loss summed over all steps, or over all rows in a model with one loss a row
    counted: Tensor  # [T, B] bool, CPU: steps that have a loss
    lengths: Tensor  # [B] int64, CPU
    starts: Tensor  # [T, B] int64, CPU: the first step of the sequence that step t belongs to

    def __post_init__(self) -> None:
        if not self.losses.requires_grad:
            raise OptionError(
                f"got losses of {self.subject} that depend on no weight and no state, so they have no gradient; "
                f"give a loss that depends on the outputs of the recurrent part"
            )


@dataclass(frozen=True)
class Request:
    """The arguments of `probe` that say what to run, and how."""

    module: Any
    inputs: Tensor | Batch
    loss: Loss | None
    state: State | None
    lengths: Tensor | None
    double: bool
    seed: int


def floating(tensor: Tensor, double: bool) -> Tensor:
    """The tensor in float64 where `double`; integer ids are not changed."""
    return tensor.double() if double and tensor.is_floating_point() else tensor


def record_run(module: nn.Module, call: Callable[[Any], Any], steps: int) -> tuple[list[Record], Any]:
    """Call the module with hooks on its cells. Returns the records of the cells that ran, and the call's result."""
    recorder = Recorder()
    number = 0
    for path in cell_paths(module):
        backward = "backward_layer" in path.split(".")
        number += not backward
        name = f"layer {number}" + (" backward" if backward else "")
        recorder.attach(Record(name, module.get_submodule(path), backward))
    with recorder.watch:
        result = call(module)
    records = [record for record in recorder.records if record.steps]
    if not records:
        raise OptionError(
            f"found no recurrent part in {name_of(module)}, expected torch.nn.RNN, LSTM, GRU, their cells, or cells or "
            f"layers of seqaudio; give a function (inputs, state) -> (outputs, state), and state="
        )
    for record in records:
        if len(record.steps) != steps:
            raise OptionError(
                f"{record.name} of {name_of(module)} ran {len(record.steps)} steps for inputs of {steps}, expected "
                f"as many; probe the part that runs once a step"
            )
    return records, result


def cell_paths(module: nn.Module, path: str = "") -> list[str]:
    """Paths of the outermost cells; cells inside a wrapper are not listed."""
    if isinstance(module, Cell | StepFunction):
        return [path]
    children = module.named_children()
    return [found for name, child in children for found in cell_paths(child, f"{path}.{name}" if path else name)]


def name_of(module: Any) -> str:
    """The name of a module or function in messages."""
    return type(module).__name__ if isinstance(module, nn.Module) else getattr(module, "__name__", "the function")


def projections(outputs: Tensor, seed: int) -> Tensor:
    """[T, B]: the product of each output with a random unit vector, drawn for each step and row.

    Its gradient has norm 1 at the output, whatever the scale of the outputs, so g is an amplification.
    """
    T, B = outputs.shape[:2]
    flat = outputs.reshape(T, B, -1)
    draw = torch.Generator().manual_seed(seed)
    # one draw for each step, so that more steps do not change the earlier draws
    directions = torch.stack([torch.randn(B, flat.shape[2], generator=draw, dtype=torch.float64) for _ in range(T)])
    directions = directions / directions.norm(dim=2, keepdim=True)
    losses: Tensor = (flat * directions.to(flat)).sum(dim=2)
    return losses


def trace_model(model: Model, request: Request) -> Trace:
    """Run a model over its Batch.

    Raises OptionError where the inputs are not a Batch, or the model's loss is not a weighted sum over steps.
    """
    batch = request.inputs
    if not isinstance(batch, Batch):
        raise OptionError(
            f"got a tensor for {type(model).__name__}, expected a Batch with targets, which its loss needs"
        )
    if request.loss is not None or request.state is not None or request.lengths is not None:
        raise OptionError(
            "got loss=, state= or lengths= for a model, which has its own loss and takes lengths from its Batch; "
            "leave them out"
        )
    batch = dataclasses.replace(
        batch,
        inputs=floating(batch.inputs, request.double),
        targets=None if batch.targets is None else floating(batch.targets, request.double),
    )
    name = type(model).__name__
    if not model.windowed:
        lengths, count = (model.recurrent_steps(frames) for frames in (batch.lengths, torch.tensor(batch.steps)))
        steps = mask(lengths, int(count))
        records, (total, _, _) = record_run(step_by_step(model), lambda run: run.loss(batch), int(count))
        losses = projections(_top_outputs(records, lengths), request.seed)
        losses = torch.where(steps.to(losses.device), losses, 0)
        loss_name = "a random direction of the top layer's output t, the model's own loss being one a row"
        return Trace(
            name, loss_name, records, losses, total, steps, lengths, torch.zeros_like(steps, dtype=torch.int64)
        )
    steps = mask(batch.lengths, batch.steps)
    starts = _starts(batch)
    kind = next(parameter.dtype for parameter in model.parameters())
    given = batch.inputs.new_ones(steps.shape, dtype=kind) if batch.weights is None else batch.weights.to(kind)
    weights = given.clone().requires_grad_()
    weighted = dataclasses.replace(batch, weights=weights)
    records, (total, _, _) = record_run(step_by_step(model), lambda run: run.loss(weighted), batch.steps)
    # the loss is a sum of weight times L_t, so its derivative by the weights is L_t, for all steps and rows at once
    (losses,) = torch.autograd.grad(total, weights, create_graph=True, materialize_grads=True)
    losses = losses * given
    if not torch.allclose(losses.sum(), total, rtol=1e-3, atol=1e-6):
        raise OptionError(
            f"got a loss of {total.item():.6g} from {name}, expected {losses.sum().item():.6g}, the sum over its "
            f"weighted steps; its `loss` has to multiply each step by the batch's weights"
        )
    counted = steps & (given != 0).cpu()
    return Trace(name, "the model's loss of step t", records, losses, total, counted, batch.lengths, starts)


def _top_outputs(records: list[Record], lengths: Tensor) -> Tensor:
    """[T, B, H]: the outputs of the top layer, of both directions where there are two."""
    outputs = torch.stack([step.outputs for step in records[-1].steps])
    if not records[-1].backward:
        return outputs
    forward = torch.stack([step.outputs for step in records[-2].steps])
    return torch.cat([forward, flip(outputs, lengths)], dim=2)


def _starts(batch: Batch) -> Tensor:
    """[T, B]: the last reset at or before each step, 0 where there is none."""
    if batch.resets is None:
        return torch.zeros(batch.steps, batch.rows, dtype=torch.int64)
    return torch.where(batch.resets.cpu(), torch.arange(batch.steps)[:, None], 0).cummax(dim=0).values


def trace_module(module: Any, request: Request) -> Trace:
    """Run a module or function over [T, B, ...] and compute a loss from its output at each step.

    Raises OptionError where inputs, lengths and outputs do not agree in steps and rows.
    """
    inputs = request.inputs
    if not isinstance(inputs, Tensor) or inputs.dim() < 2:
        got = f"inputs of shape {list(inputs.shape)}" if isinstance(inputs, Tensor) else "a Batch"
        raise OptionError(f"got {got} for {name_of(module)}, expected a tensor with steps and rows, such as [T, B, F]")
    batch_first = request.state is None and _batch_first(module)
    inputs = floating(inputs.transpose(0, 1) if batch_first else inputs, request.double)
    T, B = inputs.shape[:2]
    lengths = torch.full((B,), T) if request.lengths is None else request.lengths.cpu()
    if lengths.shape != (B,) or not T or not B or not 0 <= int(lengths.min()) <= int(lengths.max()) <= T:
        raise OptionError(f"got lengths {lengths.tolist()} for {B} rows of {T} steps, expected one a row in 0..{T}")
    valid = mask(lengths, T)
    inputs = torch.where(_like(valid, inputs), inputs, 0)

    runnable, call = _runnable(module, inputs, lengths, batch_first, request)
    records, outputs = record_run(runnable, call, T)
    outputs = outputs[0] if isinstance(outputs, tuple) else outputs
    if outputs.shape[:2] != (T, B):
        raise OptionError(
            f"{name_of(module)} gave outputs {list(outputs.shape)}, expected one for each of {T} steps and {B} rows, "
            f"[{T}, {B}, ...]; probe the part of it that does"
        )
    losses, loss_name = _losses(outputs, request)
    losses = torch.where(_like(valid, losses), losses, 0)
    starts = torch.zeros(T, B, dtype=torch.int64)
    return Trace(name_of(module), loss_name, records, losses, losses.sum(), valid, lengths, starts)


def _like(valid: Tensor, tensor: Tensor) -> Tensor:
    """[T, B] reshaped to broadcast with a tensor [T, B, ...], on its device."""
    return valid.reshape(*valid.shape, *[1] * (tensor.dim() - 2)).to(tensor.device)


def _runnable(
    module: Any, inputs: Tensor, lengths: Tensor, batch_first: bool, request: Request
) -> tuple[nn.Module, Callable[[Any], Any]]:
    """The module to record, and a function that calls it for outputs [T, B, ...]; inputs are [T, B, ...]."""
    state = request.state
    if state is not None:
        state = map_state(lambda tensor: floating(tensor, request.double), state)
    if isinstance(module, TORCH_LAYERS):
        if state is not None or inputs.dim() != 3:
            got = f"inputs of {inputs.dim()} dimensions" if state is None else "a state"
            raise OptionError(
                f"got {got} for {name_of(module)}, expected inputs of 3 dimensions and no state; it begins with zeros"
            )
        assert isinstance(module, nn.RNNBase)
        return stack_of(module), lambda stack: stack(inputs, None, lengths)
    if isinstance(module, nn.Module):
        module = step_by_step(module)
        module = module.cell if isinstance(module, TorchCell) else module
        layer = Unrolled(module) if isinstance(module, Cell) else module
        if isinstance(layer, Layer):
            return layer, lambda layer: layer(inputs, state, lengths)
        if state is None:
            given = inputs.transpose(0, 1) if batch_first else inputs
            return module, lambda whole: _time_major(whole(given), batch_first)
    if state is None:
        raise OptionError(f"got {name_of(module)} without a state, expected state=, the state before the first step")
    # without parameters there is a graph because the first state requires a gradient
    first = map_state(lambda tensor: tensor.detach().requires_grad_(tensor.is_floating_point()), state)
    return StepFunction(module), lambda step: _each_step(step, inputs, first)


def _time_major(outputs: Any, batch_first: bool) -> Any:
    """A module's result, or the first part of a tuple, with steps as the first dimension."""
    outputs = outputs[0] if isinstance(outputs, tuple) else outputs
    return outputs.transpose(0, 1) if batch_first else outputs


def _each_step(step: nn.Module, inputs: Tensor, state: State) -> Tensor:
    outputs = []
    for frame in inputs:
        output, state = step(frame, state)
        outputs.append(output)
    return torch.stack(outputs)


def _batch_first(module: Any) -> bool:
    """Whether rows come before steps, as in the torch layers inside the module, which have to agree."""
    parts = module.modules() if isinstance(module, nn.Module) else ()
    found = {part.batch_first for part in parts if isinstance(part, TORCH_LAYERS)}
    if len(found) > 1:
        raise OptionError(
            f"{name_of(module)} has layers with and without batch_first, expected one kind; probe one of them by itself"
        )
    return found == {True}


def _losses(outputs: Tensor, request: Request) -> tuple[Tensor, str]:
    """L_t of each row [T, B], and its description."""
    if request.loss is None:
        return projections(outputs, request.seed), "a random direction of output t"
    losses = [request.loss(of_step, t) for t, of_step in enumerate(outputs)]
    if losses[0].shape != outputs.shape[1:2]:
        raise OptionError(
            f"the loss gave {list(losses[0].shape)} for outputs {list(outputs.shape[1:])}, expected "
            f"[{outputs.shape[1]}], one loss a row; sum over the values of a row, not over the rows"
        )
    return torch.stack(losses), "the loss that was given"
