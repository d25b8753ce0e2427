"""Update of the weights by gradients of a summed loss: divide by the count, clip, step, average."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from enum import Enum

import torch
from torch import Tensor

from seqaudio.bptt.averaging import WeightAverage
from seqaudio.bptt.settings import TrainerSettings
from seqaudio.models import Model


class Outcome(Enum):
    """Result of an update."""

    DONE = "updated"
    CLIPPED = "updated with a clipped gradient"
    NOT_FINITE = "skipped: the gradient is not finite, no weight has changed"


class Updater:
    """The optimiser of a model, and the running average of its weights with --average.

    Names of its tensors: `optimiser.0.exp_avg` and so on, `average.output.weight` and so on.
    """

    def __init__(self, model: Model, settings: TrainerSettings) -> None:
        self.model = model
        self.settings = settings
        # one pass over the memory of each parameter, where torch would choose several
        in_one_pass = True if all(value.device.type == "cpu" for value in model.parameters()) else None
        self.optimiser: torch.optim.Optimizer = torch.optim.AdamW(
            model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=in_one_pass
        )
        self.average = WeightAverage(model, settings.average) if settings.average else None

    def update(self, count: int, rate: float, number: int) -> Outcome:
        """Make one step with the gradients of the parameters, divided by `count`.

        count: targets in the summed loss. rate: learning rate of this step. number: of this update, from 1.
        """
        parameters = [value for value in self.model.parameters() if value.grad is not None]
        gradients = [value.grad for value in parameters if value.grad is not None]
        torch._foreach_div_(gradients, count)
        norm = torch.nn.utils.get_total_norm(gradients)
        if not math.isfinite(float(norm)):
            return Outcome.NOT_FINITE
        clipped = self._clip(parameters, gradients, norm)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.step()
        if self.average:
            self.average.update(number)
        return Outcome.CLIPPED if clipped else Outcome.DONE

    def averaged(self) -> AbstractContextManager[None]:
        """Give the model the averaged weights, with --average, inside a `with` block."""
        return self.average.in_place() if self.average else nullcontext()

    def _clip(self, parameters: list[torch.nn.Parameter], gradients: list[Tensor], norm: Tensor) -> bool:
        """Clip the gradient's norm, then its elements. Returns whether either was clipped."""
        clipped = False
        if self.settings.clip_norm:
            torch.nn.utils.clip_grads_with_norm_(parameters, self.settings.clip_norm, norm)
            clipped = float(norm) > self.settings.clip_norm
        if self.settings.clip_value:
            largest = max(float(value) for value in torch._foreach_norm(gradients, math.inf))
            torch.nn.utils.clip_grad_value_(parameters, self.settings.clip_value)
            clipped = clipped or largest > self.settings.clip_value
        return clipped

    def not_finite(self) -> list[str]:
        """Names of the parameters whose gradient is not finite."""
        return [
            name
            for name, value in self.model.named_parameters()
            if value.grad is not None and not bool(value.grad.isfinite().all())
        ]

    def tensors(self) -> dict[str, Tensor]:
        """All tensors that are needed to resume."""
        named: dict[str, Tensor] = {}
        for number, values in self.optimiser.state_dict()["state"].items():
            named |= {f"optimiser.{number}.{name}": value for name, value in values.items()}
        if self.average:
            named |= {f"average.{name}": value for name, value in self.average.weights.items()}
        return named

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """The inverse of `tensors`; tensors of other names are ignored."""
        state = self.optimiser.state_dict()
        for name, value in tensors.items():
            if name.startswith("optimiser."):
                _, number, key = name.split(".", 2)
                state["state"].setdefault(int(number), {})[key] = value
        self.optimiser.load_state_dict(state)
        if self.average:
            self.average.load({name: tensors[f"average.{name}"] for name in self.average.weights})
