"""What goes from one window to the next, in a training and in its checkpoint."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from seqaudio.batching import Batch
from seqaudio.models import Model
from seqaudio.state import State, flatten, unflatten


@dataclass(frozen=True)
class Carried:
    """A state without a graph, and the windows that are to be run again from it.

    Names of its tensors: `state.0.hidden` and so on, `again.0.inputs` and so on, the oldest window first.
    """

    state: State | None  # before the first of `again`, or at the end where there is none; None: the model's first
    again: tuple[Batch, ...] = ()  # oldest first

    def tensors(self) -> dict[str, Tensor]:
        """All of it by name, the ids of rows excepted."""
        named = {} if self.state is None else flatten(self.state, "state")
        for number, window in enumerate(self.again):
            for field in dataclasses.fields(window):
                value = getattr(window, field.name)
                if isinstance(value, Tensor):
                    named[f"again.{number}.{field.name}"] = value
        return named

    @classmethod
    def from_tensors(cls, model: Model, tensors: Mapping[str, Tensor], device: torch.device | str) -> Carried:
        """The inverse of `tensors`; the model tells how its states are nested.

        Raises ValueError where names are missing or left over.
        """
        flat = {name: tensor.to(device) for name, tensor in tensors.items() if name.split(".")[0] == "state"}
        state = None
        if flat:
            rows = next(iter(flat.values())).shape[0]
            state = unflatten(model.initial_state(rows), flat, "state")
        windows: dict[int, dict[str, Any]] = {}
        for name in tensors.keys() - flat.keys():
            _, number, part = name.split(".")
            windows.setdefault(int(number), {})[part] = tensors[name]
        again = tuple(Batch(**windows[number]).to(device) for number in sorted(windows))
        return cls(state, again)
