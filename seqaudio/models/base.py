"""The base class of models: the interface for trainers, decoders and exporters."""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor, nn

from seqaudio.batching.batch import Batch
from seqaudio.models.sampler import RowSampler, Sampler
from seqaudio.registry import Registry
from seqaudio.state import State


class Model(nn.Module):
    """A module with its loss. Losses are sums with counts; the trainer divides, once an update."""

    windowed: bool  # causal with a loss at each step, so that a sequence can be cut into windows

    @abstractmethod
    def initial_state(self, batch_size: int) -> State:
        """The state before the first step."""

    @abstractmethod
    def loss(self, batch: Batch, state: State | None = None) -> tuple[Tensor, int, State]:
        """Summed loss, in nats where it is a log likelihood; its count, such as steps; the state after the batch."""

    @abstractmethod
    def step(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """One step: inputs [B, F] float or [B] ids -> logits [B, V] and the next state."""

    @abstractmethod
    def evaluate(self, batch: Batch, state: State | None = None) -> dict[str, tuple[float, int]]:
        """Sum and count of each metric over a batch, without gradients."""

    def sampler(self) -> Sampler:
        """Steps for sampling, with the weights as they are now. Raises ValueError in training mode."""
        self.refuse_training()
        return RowSampler(self)

    def refuse_training(self) -> None:
        """Raise ValueError in training mode."""
        if self.training:
            raise ValueError("the model is in training mode, with random dropout; call model.eval() first")

    def recurrent_steps(self, lengths: Tensor) -> Tensor:
        """Steps of the recurrent layers over sequences of so many frames, int64; fewer in a model that subsamples."""
        return lengths

    def parameter_count(self) -> int:
        """The number of trainable parameters."""
        return sum(parameter.numel() for parameter in self.parameters() if parameter.requires_grad)


MODELS: Registry[type[Model]] = Registry("model")
