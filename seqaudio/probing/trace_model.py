"""Trace a model over a Batch, with its loss split into the losses of single steps."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from seqaudio.batching import Batch
from seqaudio.errors import OptionError
from seqaudio.layers import flip, mask
from seqaudio.models import Model
from seqaudio.probing.recording import Record
from seqaudio.probing.step_by_step import step_by_step
from seqaudio.probing.tracing import Request, Trace, floating, projections, record_run


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
    steps = mask(batch.lengths, batch.steps)
    starts = _starts(batch)
    name = type(model).__name__
    if not model.windowed:
        records, (total, _, _) = record_run(step_by_step(model), lambda run: run.loss(batch), batch.steps)
        losses = projections(_top_outputs(records, batch.lengths), request.seed)
        losses = torch.where(steps.to(losses.device), losses, 0)
        loss_name = "a random direction of the top layer's output t, the model's own loss being one a row"
        return Trace(name, loss_name, records, losses, total, steps, batch.lengths, starts)
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
