"""Mixed precision: the loss in bfloat16 where that is safe."""

from __future__ import annotations

import torch
from torch import Tensor

from seqaudio.batching import Batch
from seqaudio.models import Model
from seqaudio.state import State, map_state


class BFloat16Mixed(Model):
    """A model whose loss is computed under torch's autocast: matrix products in bfloat16, the rest in float32.

    bfloat16 has the range of float32, so losses need no scaling. Weights, gradients, the softmax and carried states
    stay in float32.
    """

    def __init__(self, model: Model, device: torch.device) -> None:
        super().__init__()
        self.model = model
        self.windowed = model.windowed
        self.device_type = device.type

    def initial_state(self, batch_size: int) -> State:
        return self.model.initial_state(batch_size)

    def loss(self, batch: Batch, state: State | None = None) -> tuple[Tensor, int, State]:
        with torch.autocast(self.device_type, dtype=torch.bfloat16):
            total, count, after = self.model.loss(batch, state)
        return total, count, map_state(_to_float32, after)

    def step(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        return self.model.step(inputs, state)

    def evaluate(self, batch: Batch, state: State | None = None) -> dict[str, tuple[float, int]]:
        return self.model.evaluate(batch, state)


def _to_float32(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype == torch.bfloat16 else tensor
