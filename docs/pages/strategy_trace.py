"""Trace a BPTT strategy with a model that records its calls: which steps are run, when, and with which graph."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, cast

import torch
from torch import Tensor, nn

from seqaudio.batching import Batch
from seqaudio.bptt.strategies import Carried, Strategy
from seqaudio.models import Model
from seqaudio.state import State

Use = Literal["state only", "graph only", "graph and loss"]


@dataclass
class Stretch:
    """Steps start..end (end excluded) that are run in one call.

    "state only": without a graph; "graph only": the loss is ignored; "graph and loss": backward starts here.
    """

    start: int
    end: int
    use: Use


@dataclass
class Run:
    """Contiguous stretches before one update."""

    update: int
    stretches: list[Stretch] = field(default_factory=list)

    @property
    def counted(self) -> tuple[int, int] | None:
        """Start and end of the steps whose losses are counted; None if there are none."""
        steps = [stretch for stretch in self.stretches if stretch.use == "graph and loss"]
        return (steps[0].start, steps[-1].end) if steps else None

    @property
    def reach(self) -> tuple[int, int] | None:
        """Start and end of the steps that the gradient passes through; None if there is no graph."""
        steps = [stretch for stretch in self.stretches if stretch.use != "state only"]
        return (steps[0].start, steps[-1].end) if steps else None


@dataclass
class Trace:
    """All runs over one sequence, in order, and for each update the steps that its gradient reached."""

    runs: list[Run]
    reached: list[list[int]]


def trace(strategy: Strategy, steps: int) -> Trace:
    """Run a strategy over one sequence of `steps` steps, and record what it does."""
    recorder = _Recorder(steps)
    inputs = torch.arange(steps)[:, None]
    carried: Carried | None = None
    reached = []
    for window in strategy.windows(Batch(inputs, torch.tensor([steps]))):
        recorder.zero_grad()
        _, _, carried = strategy.backward(recorder, window, carried)
        gradient = recorder.step_weights.grad
        reached.append([] if gradient is None else gradient.nonzero().flatten().tolist())
        recorder.update += 1
    return Trace(recorder.runs, reached)


class _Recorder(Model):
    """h_t = h_{t-1} + w_t, loss h_t: the gradient of w_s is not zero where a gradient reached step s."""

    windowed = True

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.step_weights = nn.Parameter(torch.ones(steps))
        self.update = 0
        self.runs: list[Run] = []

    def initial_state(self, batch_size: int) -> Tensor:
        return torch.zeros(batch_size)

    def step(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        following = cast(Tensor, state) + self.step_weights[inputs]
        return following, following

    def loss(self, batch: Batch, state: State | None = None) -> tuple[Tensor, int, State]:
        start = int(batch.inputs[0, 0])
        stretch = Stretch(start, start + batch.steps, "graph only" if torch.is_grad_enabled() else "state only")
        last = self.runs[-1] if self.runs else None
        if last is None or last.update != self.update or last.stretches[-1].end != start:
            last = Run(self.update)
            self.runs.append(last)
        last.stretches.append(stretch)

        now = self.initial_state(batch.rows) if state is None else state
        total = torch.zeros(())
        for inputs in batch.inputs:
            outputs, now = self.step(inputs, now)
            total = total + outputs.sum()
        if total.requires_grad:
            total.register_hook(lambda _: setattr(stretch, "use", "graph and loss"))  # type: ignore[no-untyped-call]
        return total, batch.steps * batch.rows, now

    def evaluate(self, batch: Batch, state: State | None = None) -> dict[str, tuple[float, int]]:
        with torch.no_grad():
            total, count, _ = self.loss(batch, state)
        return {"loss": (float(total), count)}
