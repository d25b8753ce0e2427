"""Checkpointed BPTT: the exact gradient of long sequences in little memory, for the time of a second forward pass."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from seqaudio.batching import Batch
from seqaudio.bptt.strategies.base import Strategy
from seqaudio.bptt.strategies.carried import Carried
from seqaudio.errors import OptionError
from seqaudio.models import Model
from seqaudio.state import State, detach, map_state, tensors


@dataclass(frozen=True)
class CheckpointedBPTT(Strategy):
    """The exact gradient, with the graph of one segment at a time.

    A first run without a graph keeps the state at the border of each segment. Then the segments are run again, the last
    one first, each with its graph: backward starts from the segment's own loss and from the gradient at its end, which
    the segment after it has computed. With the default ceil(sqrt(T)) segments of a batch of T steps, memory for states
    and for the graph grows as sqrt(T); the second run adds about a third to the time.

    Both runs of a segment start from the same state of torch's generators, so dropout draws the same masks in both,
    and the gradient is that of the reported loss. What a cell draws once a window (`Cell.begin_window`, dropped
    weights) is drawn once a segment.

    Source: Chen et al. (2016), along time as in Gruslys et al. (2016), here with one level.

    Args:
        segments: of a batch; None is ceil(sqrt(T)). A batch of fewer steps has one segment a step.
    Raises:
        OptionError: fewer than one segment.
    """

    segments: int | None = None

    def __post_init__(self) -> None:
        if self.segments is not None and self.segments < 1:
            raise OptionError(f"--segments {self.segments}, expected at least 1")

    def check(self, model: Model) -> None:
        if not model.windowed:
            raise OptionError(
                f"{type(model).__name__} has one loss for a whole sequence, which cannot be summed segment by segment; "
                f"use --bptt full"
            )

    def backward(self, model: Model, window: Batch, carried: Carried | None) -> tuple[float, int, Carried]:
        device = window.inputs.device
        segments = self.cut(window)
        states: list[State | None] = [carried.state if carried else None]
        generators = []
        with torch.no_grad():
            for segment in segments[:-1]:
                generators.append(_generators(device))
                _, _, state = model.loss(segment, states[-1])
                states.append(map_state(torch.clone, state))  # a state may be a view that keeps all outputs alive
        # the last segment was not in the first run, so its generators need not be set back
        total, count, last, gradient = _backward(model, segments[-1], states.pop(), None)
        after = _generators(device)
        for segment, generator in zip(reversed(segments[:-1]), reversed(generators), strict=True):
            _set_generators(device, generator)
            more, counted, _, gradient = _backward(model, segment, states.pop(), gradient)
            total, count = total + more, count + counted
        _set_generators(device, after)
        return total, count, Carried(last)

    def cut(self, window: Batch) -> list[Batch]:
        """The segments, in order of time, of lengths that differ by one step at most."""
        T = window.steps
        number = max(1, min(self.segments or math.ceil(math.sqrt(T)), T))
        borders = [T * border // number for border in range(number + 1)]
        return [window.slice_time(start, end) for start, end in pairwise(borders)]


def _backward(
    model: Model, segment: Batch, state: State | None, gradient: list[Tensor | None] | None
) -> tuple[float, int, State, list[Tensor | None] | None]:
    """Run one segment with its graph, and go back through it.

    gradient: of the state at the segment's end, from later segments, one for each tensor; None for the last segment.
    Returns the summed loss, its count, the state at the end, and the gradient of the state at the start: None where
    that is the initial state, whose gradient has gone to its parameters, if it has any.
    """
    start = None if state is None else map_state(_leaf, state)
    total, count, end = model.loss(segment, start)
    at_end = [] if gradient is None else zip(tensors(end), gradient, strict=True)
    reached = [(tensor, from_later) for tensor, from_later in at_end if from_later is not None and tensor.requires_grad]
    torch.autograd.backward([total, *(tensor for tensor, _ in reached)], [None, *(later for _, later in reached)])
    at_start = None if start is None else [tensor.grad for tensor in tensors(start)]
    return float(total.detach()), count, detach(end), at_start


def _leaf(tensor: Tensor) -> Tensor:
    return tensor.detach().requires_grad_(tensor.is_floating_point())


def _generators(device: torch.device) -> list[Tensor]:
    """The states of torch's generators: the CPU's, and the device's where it has its own."""
    states = [torch.get_rng_state()]
    if device.type == "cuda":
        states.append(torch.cuda.get_rng_state(device))
    return states


def _set_generators(device: torch.device, states: list[Tensor]) -> None:
    torch.set_rng_state(states[0])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states[1], device)
