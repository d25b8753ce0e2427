"""At which steps t the loss is taken, and how far back from there."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from seqaudio.errors import OptionError


class Anchors(NamedTuple):
    steps: Tensor  # [A, B] int64: step t of each anchor in each row
    taken: Tensor  # [A, B] bool: false where a row has fewer anchors than others
    lags: int  # K, the longest lag


def choose_anchors(counted: Tensor, starts: Tensor, count: int, lags: int | None) -> Anchors:
    """Steps that have a loss, spread evenly over those of each row that have K steps before them.

    A row that has none so far from its start gives its last step, which reaches back as far as it can.

    counted: [T, B] bool. starts: [T, B], where the sequence that holds a step began.
    count: A, anchors a row at most. lags: K; None takes the median, over all steps with a loss, of the steps before.
    Raises OptionError where no step has a loss, or where no step with a loss has K before it.
    """
    if count < 1 or (lags is not None and lags < 1):
        raise OptionError(f"got {count} anchors and {lags} lags, expected at least 1 of both")
    if not counted.any():
        raise OptionError("no step has a loss; give rows of at least 1 step")
    T, B = counted.shape
    history = torch.arange(T)[:, None] - starts
    longest = int(history[counted].max())
    lags = int(history[counted].median()) if lags is None else lags
    if lags > longest:
        raise OptionError(
            f"got {lags} lags, the longest way back is {longest} steps; lower the lags or give longer rows"
        )
    chosen: list[Tensor] = []
    for row in range(B):
        steps = (counted[:, row] & (history[:, row] >= lags)).nonzero().flatten()
        if not len(steps):
            steps = counted[:, row].nonzero().flatten()[-1:]
        places = torch.linspace(0, len(steps) - 1, min(count, len(steps))).round().long()
        chosen.append(steps[places])
    most = max(len(steps) for steps in chosen)
    steps, taken = torch.zeros(most, B, dtype=torch.int64), torch.zeros(most, B, dtype=torch.bool)
    for row, of_row in enumerate(chosen):
        # from the end, so that the last anchor of every row is its last one
        steps[most - len(of_row) :, row] = of_row
        taken[most - len(of_row) :, row] = True
    return Anchors(steps, taken, lags)
