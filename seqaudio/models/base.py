"""The base class of models: the interface for trainers, decoders and exporters."""

from __future__ import annotations

import copy
from abc import abstractmethod
from typing import Self

from torch import Tensor, nn

from seqaudio.batching.batch import Batch
from seqaudio.errors import OptionError
from seqaudio.layers import Stack
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

    def sampler(self, int8: bool = False) -> Sampler:
        """Steps for sampling, with the weights as they are now; int8: with those weights, see `Stack.stepper`.

        Raises ValueError in training mode, OptionError where there are no steps with int8.
        """
        self.refuse_training()
        if int8:
            raise OptionError(f"got int8 for a {type(self).__name__}, expected a model of events; sample without it")
        return RowSampler(self)

    def for_streams(self) -> Self:
        """This model in evaluation mode for a stream, whose recurrent layers take a few frames in one compiled call.

        They keep a copy of the weights as they are now; all other parts are shared. Itself where nothing is faster.
        """
        layers = getattr(self, "layers", None)
        if self.training or not isinstance(layers, Stack):
            return self
        faster = layers.for_streams()
        if faster is layers:
            return self
        streamed = copy.copy(self)
        streamed._modules = {**self._modules, "layers": faster.eval()}
        return streamed

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
