"""Steps of models, compiled by numba. Importing this module imports numba."""

from __future__ import annotations

from typing import Any

from seqaudio.jit import compiled
from seqaudio.models.places import OFFSETS


@compiled
def look_back(looked_up: Any, marks: Any, lags: Any, tokens: Any, place: Any) -> None:
    """One step of `PhraseModel.look_back`, in place.

    Args:
        looked_up: [B, 1 + K], the token of each row; behind it, out: the tokens that were seen, 0 for nothing.
        marks: [4], id of the token that begins a bar, first id and number of steps, V.
        lags: [K]. tokens, place: [B, ...], as in `Written`.
    """
    begins, first_step, steps, size = marks
    slots = (steps + 1) * OFFSETS
    rows = tokens.shape[1] // slots
    for b in range(len(looked_up)):
        token, (first, bar, step, offset) = looked_up[b, 0], place[b]
        tokens[b, bar % rows * slots + step * OFFSETS + offset] = bar * size + token
        if token == begins:
            bar, step, offset = bar + 1, 0, 0
        elif first_step <= token < first_step + steps:
            step, offset = token - first_step + 1, 0
        else:
            offset = min(offset + 1, OFFSETS - 1)
        place[b, 1], place[b, 2], place[b, 3] = bar, step, offset
        for k in range(len(lags)):
            other = bar - lags[k]
            entry = tokens[b, other % rows * slots + step * OFFSETS + offset]
            known = other > first and entry // size == other
            looked_up[b, 1 + k] = entry % size if known else 0


@compiled
def point(earlier: Any, outputs: Any, size: int) -> None:
    """Add what tokens seen earlier [B, K] are worth, K columns of outputs from `size` on, to their logits before it."""
    for b in range(len(earlier)):
        for k in range(earlier.shape[1]):
            if earlier[b, k] > 0:
                outputs[b, earlier[b, k]] += outputs[b, size + k]
