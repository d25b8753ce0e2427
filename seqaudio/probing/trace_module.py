"""Trace a layer, cell, other module or function over a tensor, with a loss at each step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from seqaudio.cells import Cell
from seqaudio.errors import OptionError
from seqaudio.layers import Layer, Unrolled, mask
from seqaudio.probing.step_by_step import TORCH_LAYERS, StepFunction, TorchCell, stack_of, step_by_step
from seqaudio.probing.tracing import Request, Trace, floating, name_of, projections, record_run
from seqaudio.state import State, map_state


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
