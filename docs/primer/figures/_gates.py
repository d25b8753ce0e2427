"""The gates of an LSTM layer, step by step, and how they are drawn."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.axes import Axes
from torch import Tensor

from seqaudio.cells import LSTMCell
from seqaudio.layers import Stack
from seqaudio.pictures import INK

Values = npt.NDArray[np.float64]


class Gates(NamedTuple):
    """Of every step and unit, [T, H]."""

    input: Values
    forget: Values
    output: Values
    memory: Values


@torch.no_grad()
def gates_of(layers: Stack, inputs: Tensor) -> Gates:
    """Gates and states of a one-layer LSTM stack over the inputs [T, 1, F] of a sequence."""
    cell = layers.layers[0].cell
    assert isinstance(cell, LSTMCell)
    state, found = cell.initial_state(1), []
    for frame in inputs:
        i, f, _, o = (x + h for x, h in zip(cell.from_inputs(frame), cell.from_hidden(state.hidden), strict=True))
        _, state = cell(frame, state)
        found.append(torch.stack([torch.sigmoid(i)[0], torch.sigmoid(f)[0], torch.sigmoid(o)[0], state.memory[0]]))
    return Gates(*torch.stack(found, dim=1).double().numpy())


def keeping(gate: Values) -> npt.NDArray[np.int64]:
    """Units in the order of their mean, the greatest first."""
    return np.argsort(-gate.mean(axis=0), kind="stable")


def draw_gate(axes: Axes, gate: Values, order: npt.NDArray[np.int64], name: str, units: str, step: float = 1.0) -> None:
    """A gate as a map: time to the right in steps of `step`, a row a unit, dark for shut, light for open."""
    T, H = gate.shape
    axes.imshow(
        gate[:, order[::-1]].T, cmap="gray", vmin=0, vmax=1, aspect="auto", interpolation="nearest", origin="lower",
        extent=(0, T * step, 0.5, H + 0.5),
    )  # fmt: skip
    axes.set_title(name, fontsize=9, color=INK, loc="left", pad=3)
    axes.set_ylabel(units, fontsize=8.5, color=INK)
    axes.tick_params(labelsize=8, labelcolor=INK)
