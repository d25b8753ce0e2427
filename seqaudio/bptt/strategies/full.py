"""Full BPTT: the exact gradient from the graph of whole sequences."""

from __future__ import annotations

from dataclasses import dataclass

from seqaudio.batching import Batch
from seqaudio.bptt.strategies.base import Strategy
from seqaudio.bptt.strategies.carried import Carried
from seqaudio.models import Model
from seqaudio.state import detach


@dataclass(frozen=True)
class FullBPTT(Strategy):
    """The exact gradient: whole sequences, unrolled from the first step to the last.

    Source: Werbos (1990). Memory grows with the length of the longest sequence.
    """

    def check(self, model: Model) -> None:
        pass  # every model has a gradient over whole sequences

    def backward(self, model: Model, window: Batch, carried: Carried | None) -> tuple[float, int, Carried]:
        total, count, state = model.loss(window, carried.state if carried else None)
        total.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        return float(total.detach()), count, Carried(detach(state))
