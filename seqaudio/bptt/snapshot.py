"""Snapshot of a training as named tensors, from which a later process resumes.

model.* optimiser.* average.*    equal in all processes
generator.* carried.* gradient.* each process has its own
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from seqaudio.bptt.processes import Processes
from seqaudio.bptt.strategies import Carried
from seqaudio.bptt.updater import Updater
from seqaudio.models import Model


def take_snapshot(
    model: Model, updater: Updater, processes: Processes, carried: Carried | None, waiting: bool
) -> dict[str, Tensor]:
    """All tensors of a training. waiting: the parameters hold accumulated gradients of an update yet to come."""
    tensors: dict[str, Tensor] = {f"model.{name}": value for name, value in model.state_dict().items()}
    own = {"generator.cpu": torch.get_rng_state()}
    if processes.device.type == "cuda":
        own["generator.cuda"] = torch.cuda.get_rng_state(processes.device)
    if carried is not None:
        own |= {f"carried.{name}": value for name, value in carried.tensors().items()}
    if waiting:
        for name, value in model.named_parameters():
            own[f"gradient.{name}"] = torch.zeros_like(value) if value.grad is None else value.grad
        # alike in all processes, so that they can be gathered
        own["has_gradient"] = torch.tensor([value.grad is not None for value in model.parameters()])
    return tensors | updater.tensors() | processes.gather(own)


def put_back(tensors: Mapping[str, Tensor], model: Model, updater: Updater, processes: Processes) -> Carried | None:
    """The inverse of `take_snapshot`; returns what was carried."""
    model.load_state_dict(_part(tensors, "model."))
    updater.load(tensors)
    own = processes.own(tensors)
    carried = _part(own, "carried.")
    found = Carried.from_tensors(model, carried, processes.device) if carried else None
    if waiting := _part(own, "gradient."):
        for (name, value), present in zip(model.named_parameters(), own["has_gradient"], strict=True):
            value.grad = waiting[name].to(processes.device) if present else None
    # after all else: a first state may draw
    torch.set_rng_state(own["generator.cpu"])
    if "generator.cuda" in own and processes.device.type == "cuda":
        torch.cuda.set_rng_state(own["generator.cuda"], processes.device)
    return found


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
