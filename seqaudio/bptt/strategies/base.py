"""The base class of strategies: the windows of a batch, and the gradient of each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

from seqaudio.batching import Batch
from seqaudio.bptt.strategies.carried import Carried
from seqaudio.models import Model


class Strategy(ABC):
    """Cuts a batch into windows, computes the gradient of each, and decides what is carried from one to the next."""

    @abstractmethod
    def check(self, model: Model) -> None:
        """Raise OptionError, with the reason, where the model cannot be trained this way."""

    def windows(self, batch: Batch, place: tuple[int, int] = (0, 0)) -> Iterator[Batch]:
        """The parts of a batch that get a backward pass each, in order of time; the whole batch unless overridden.

        place: epoch and number of the batch in it. Random borders are a function of these, so that training can resume
        at any batch.
        """
        del place
        yield batch

    @abstractmethod
    def backward(self, model: Model, window: Batch, carried: Carried | None) -> tuple[float, int, Carried]:
        """Add the gradient of the window's summed loss to the parameters.

        carried: returned for the window before; None where the sequences begin.
        Returns the summed loss, its count, and what is carried to the next window.
        """

    def rate_factor(self, window: Batch) -> float:
        """The factor of the learning rate in the update after this window."""
        del window
        return 1.0
