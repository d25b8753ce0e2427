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
        start = carried.state if carried else None
        states, generators = _Kept(len(segments) - 1), _Kept(len(segments) - 1)
        with torch.no_grad():
            for border, segment in enumerate(segments[:-1]):
                generators.put(border, _generators(device))
                _, _, state = model.loss(segment, states.get(border - 1) if border else start)
                states.put(border, state)
        # the last segment was not in the first run, so its generators need not be set back
        number = len(segments) - 1
        before = states.get(number - 1) if number else start
        total, count, last, gradient = _backward(model, segments[-1], before, None)
        after = _generators(device)
        for border in reversed(range(number)):
            _set_generators(device, generators.get(border))
            before = states.get(border - 1) if border else start
            more, counted, _, gradient = _backward(model, segments[border], before, gradient)
            total, count = total + more, count + counted
        _set_generators(device, after)
        return total, count, Carried(last)

    def cut(self, window: Batch) -> list[Batch]:
        """The segments, in order of time, of lengths that differ by one step at most."""
        T = window.steps
        number = max(1, min(self.segments or math.ceil(math.sqrt(T)), T))
        borders = [T * border // number for border in range(number + 1)]
        return [window.slice_time(start, end) for start, end in pairwise(borders)]


class _Kept:
    """States of the same shapes, kept in one block for each of their tensors.

    As blocks of their own they would lie between the blocks of graphs, which malloc could then not join again.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.blocks: State | None = None

    def put(self, place: int, state: State) -> None:
        """Copy a state to one of the places."""
        if self.blocks is None:
            self.blocks = map_state(lambda tensor: tensor.new_empty((self.number, *tensor.shape)), state)
        for block, tensor in zip(tensors(self.blocks), tensors(state), strict=True):
            block[place].copy_(tensor)

    def get(self, place: int) -> State:
        """The state at a place, as views. Something must have been put."""
        assert self.blocks is not None
        return map_state(lambda block: block[place], self.blocks)


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


def _generators(device: torch.device) -> tuple[Tensor, ...]:
    """The states of torch's generators: the CPU's, and the device's where it has its own."""
    of_device = (torch.cuda.get_rng_state(device),) if device.type == "cuda" else ()
    return torch.get_rng_state(), *of_device


def _set_generators(device: torch.device, states: State) -> None:
    of_cpu, *of_device = map(torch.clone, tensors(states))  # torch 2.14 crashes on views
    torch.set_rng_state(of_cpu)
    for state in of_device:
        torch.cuda.set_rng_state(state, device)
