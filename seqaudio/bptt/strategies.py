"""How far the gradient reaches back in time. A strategy adds gradients; the Trainer divides, clips and steps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

from seqaudio.batching import Batch
from seqaudio.errors import OptionError
from seqaudio.models import Model
from seqaudio.state import State, detach


class Strategy(ABC):
    """Cuts a batch into windows, one optimiser step each, and says what is carried from one to the next."""

    @abstractmethod
    def check(self, model: Model) -> None:
        """Raise OptionError, with the reason, where the model cannot be trained this way."""

    @abstractmethod
    def windows(self, batch: Batch) -> Iterator[Batch]:
        """The parts of a batch between two optimiser steps, in order of time."""

    @abstractmethod
    def backward(self, model: Model, window: Batch, carried: State | None) -> tuple[float, int, State]:
        """Add the gradient of the window's summed loss to the parameters.

        Returns the sum, its count, and the state at the end of the window, cut from the graph.
        """


@dataclass(frozen=True)
class FullBPTT(Strategy):
    """The exact gradient: whole sequences, unrolled from the first step to the last.

    Source: Werbos (1990). Memory grows with the length of the longest sequence.
    """

    def check(self, model: Model) -> None:
        pass  # every model has a gradient over whole sequences

    def windows(self, batch: Batch) -> Iterator[Batch]:
        yield batch

    def backward(self, model: Model, window: Batch, carried: State | None) -> tuple[float, int, State]:
        return _backward(model, window, carried)


@dataclass(frozen=True)
class TruncatedBPTT(Strategy):
    """The state goes on through the whole sequence, the gradient reaches back to the start of its window.

    Each step's loss is counted once. A window is `advance` steps, and so is the reach of the gradient.
    Memory does not depend on the length of the sequences. Source: Williams & Peng (1990), with h = h'.
    """

    advance: int = 128  # steps between two updates

    def __post_init__(self) -> None:
        if self.advance < 1:
            raise OptionError(f"--advance {self.advance}, expected at least 1 step")

    def check(self, model: Model) -> None:
        if not model.windowed:
            raise OptionError(
                f"{type(model).__name__} has one loss for a whole sequence, so its gradient cannot be cut into "
                f"windows; use --bptt full"
            )

    def windows(self, batch: Batch) -> Iterator[Batch]:
        for start in range(0, batch.steps, self.advance):
            yield batch.slice_time(start, min(start + self.advance, batch.steps))

    def backward(self, model: Model, window: Batch, carried: State | None) -> tuple[float, int, State]:
        return _backward(model, window, carried)


def _backward(model: Model, window: Batch, carried: State | None) -> tuple[float, int, State]:
    total, count, state = model.loss(window, carried)
    total.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return float(total.detach()), count, detach(state)
