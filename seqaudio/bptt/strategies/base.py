"""What every strategy is: windows of a batch, and the gradient of each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

from seqaudio.batching import Batch
from seqaudio.bptt.strategies.carried import Carried
from seqaudio.models import Model


class Strategy(ABC):
    """Cuts a batch into windows, one optimiser step each, and says what is carried from one to the next."""

    @abstractmethod
    def check(self, model: Model) -> None:
        """Raise OptionError, with the reason, where the model cannot be trained this way."""

    def windows(self, batch: Batch, place: tuple[int, int] = (0, 0)) -> Iterator[Batch]:
        """The parts of a batch between two optimiser steps, in order of time; the whole batch unless overridden.

        place: epoch and number of the batch in it. What is drawn is a function of these, so that a training may go on
        anywhere.
        """
        del place
        yield batch

    @abstractmethod
    def backward(self, model: Model, window: Batch, carried: Carried | None) -> tuple[float, int, Carried]:
        """Add the gradient of the window's summed loss to the parameters.

        carried: what the window before returned; None where the sequences begin.
        Returns the sum, its count, and what is carried on.
        """

    def rate_factor(self, window: Batch) -> float:
        """What the learning rate is multiplied by in the update after this window."""
        del window
        return 1.0
