"""The state and windows that are carried from one window to the next, also through a checkpoint."""

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

RERUN_NAME = "again"  # begins the names of rerun_windows in checkpoints; fixed, so that older ones load


@dataclass(frozen=True)
class Carried:
    """A detached state, and the windows that are run again from it.

    Names of its tensors: `state.0.hidden` and so on, `again.0.inputs` and so on, the oldest window first.
    """

    state: State | None  # before the first of rerun_windows, else after the last window; None: the initial state
    rerun_windows: tuple[Batch, ...] = ()  # oldest first

    def tensors(self) -> dict[str, Tensor]:
        """All tensors by name; the ids of rows are left out."""
        named = {} if self.state is None else flatten(self.state, "state")
        for number, window in enumerate(self.rerun_windows):
            for field in dataclasses.fields(window):
                value = getattr(window, field.name)
                if isinstance(value, Tensor):
                    named[f"{RERUN_NAME}.{number}.{field.name}"] = value
        return named

    @classmethod
    def from_tensors(cls, model: Model, tensors: Mapping[str, Tensor], device: torch.device | str) -> Carried:
        """The inverse of `tensors`; the model defines how its states are nested.

        Raises ValueError where names are missing or unexpected.
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
        return cls(state, tuple(Batch(**windows[number]).to(device) for number in sorted(windows)))
