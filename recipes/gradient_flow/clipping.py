"""A training that explodes, with a rate that avoids it, and with clipping: an IRNN on the adding problem, plain SGD.

Adam divides each gradient by its own size, which hides much of an explosion; plain gradient descent shows it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from seqaudio.batching import AddingProblem, GeneratedBatches
from seqaudio.models import build_model


@dataclass(frozen=True)
class ClippingStudy:
    """Settings of the trainings."""

    length: int = 30  # T of the adding problem
    updates: int = 1_500
    hidden_size: int = 32
    batch_size: int = 20  # sequences
    learning_rate: float = 0.1  # SGD
    small_rate: float = 0.003  # at which it does not break off without clipping either
    clip_norm: float = 1.0  # of the training that is clipped
    seed: int = 1


def run_clipping(study: ClippingStudy) -> dict[str, Any]:
    """Loss and gradient norm (before clipping) of each update of three trainings; None where not finite."""
    return {
        "constant_guess": 1 / 6,
        "without": train(study, study.learning_rate, math.inf),
        "small": train(study, study.small_rate, math.inf),
        "clipped": train(study, study.learning_rate, study.clip_norm),
    }


def train(study: ClippingStudy, learning_rate: float, clip_norm: float) -> dict[str, list[float | None]]:
    """Train until the updates are done, or until loss or gradient are not finite."""
    torch.manual_seed(study.seed)
    arguments = {"cell": "elman_relu", "hidden_size": study.hidden_size, "initialisation": "identity"}
    model = build_model("series", {"input_size": 2} | arguments)
    optimiser = torch.optim.SGD(model.parameters(), lr=learning_rate)
    batches = GeneratedBatches(AddingProblem(study.length), "train", study.updates, study.batch_size, study.seed)
    losses: list[float | None] = []
    norms: list[float | None] = []
    for batch in batches.epoch(0):
        optimiser.zero_grad()
        total, count, _ = model.loss(batch)
        (total / count).backward()
        norm = float(torch.nn.utils.clip_grad_norm_(model.parameters(), clip_norm))
        loss = float(total.detach()) / count
        losses.append(loss if math.isfinite(loss) else None)
        norms.append(norm if math.isfinite(norm) else None)
        if norms[-1] is None or losses[-1] is None:
            break
        optimiser.step()
    return {"loss": losses, "norm": norms}


def table(result: dict[str, Any]) -> str:
    """How far each training came, as lines."""
    return "\n".join(f"{name + ':':<10}{_told(result[name])}" for name in ("without", "small", "clipped"))


def _told(training: dict[str, list[float | None]]) -> str:
    norms = [norm for norm in training["norm"] if norm is not None]
    losses = [loss for loss in training["loss"] if loss is not None]
    told = f"{len(training['loss']):,} updates, greatest gradient norm {max(norms):.3g}, "
    if len(losses) < len(training["loss"]) or len(norms) < len(training["norm"]):
        return told + "then loss or gradient was no number any more"
    last = losses[-50:]
    return told + f"mean loss of the last {len(last)} updates {sum(last) / len(last):.4f}"
