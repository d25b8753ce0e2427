"""Steps of models, compiled by numba. Importing this module imports numba."""

from __future__ import annotations

from typing import Any

from seqaudio.jit import compiled
from seqaudio.models.places import OFFSETS


@compiled
def _write(b: int, token: int, marks: Any, tokens: Any, place: Any) -> None:
    """Write the token of row b to the place where the row is, and move on to the next one."""
    begins, first_step, steps, size = marks
    slots = (steps + 1) * OFFSETS
    bar, step, offset = place[b, 1], place[b, 2], place[b, 3]
    tokens[b, bar % (tokens.shape[1] // slots) * slots + step * OFFSETS + offset] = bar * size + token
    if token == begins:
        bar, step, offset = bar + 1, 0, 0
    elif first_step <= token < first_step + steps:
        step, offset = token - first_step + 1, 0
    else:
        offset = min(offset + 1, OFFSETS - 1)
    place[b, 1], place[b, 2], place[b, 3] = bar, step, offset


@compiled
def _read(b: int, lag: int, marks: Any, tokens: Any, place: Any) -> int:
    """The token that stood at the place of row b some bars earlier, 0 for nothing."""
    steps, size = marks[2], marks[3]
    slots = (steps + 1) * OFFSETS
    first, bar, step, offset = place[b]
    other = bar - lag
    entry = tokens[b, other % (tokens.shape[1] // slots) * slots + step * OFFSETS + offset]
    known = other > first and entry // size == other
    return entry % size if known else 0


@compiled
def look_back(looked_up: Any, marks: Any, lags: Any, tokens: Any, place: Any) -> None:
    """One step of `PhraseModel.look_back`, in place.

    Args:
        looked_up: [B, 1 + K], the token of each row; behind it, out: the tokens that were seen, 0 for nothing.
        marks: [4], id of the token that begins a bar, first id and number of steps, V.
        lags: [K]. tokens, place: [B, ...], as in `Written`.
    """
    for b in range(len(looked_up)):
        _write(b, looked_up[b, 0], marks, tokens, place)
        for k in range(len(lags)):
            looked_up[b, 1 + k] = _read(b, lags[k], marks, tokens, place)


@compiled
def look_back_over(
    ids: Any, lengths: Any, resets: Any, marks: Any, lags: Any, tokens: Any, place: Any, found: Any
) -> None:
    """All steps of `PhraseModel.look_back`; tokens and place change in place.

    Args:
        ids: [T, B]. lengths: [B]. resets: [T, B], or without rows where no piece begins.
        marks, lags, tokens, place: as for a step.
        found: [T, B, K], out: the tokens that were seen.
    """
    T, B = ids.shape
    steps = marks[2]
    rows = tokens.shape[1] // ((steps + 1) * OFFSETS)
    for b in range(B):
        for t in range(T):
            if len(resets) and resets[t, b]:
                place[b, 1] += rows  # so far beyond the last piece's bars that none of them is found
                place[b, 0], place[b, 2], place[b, 3] = place[b, 1], 0, 0
            if t < lengths[b]:
                _write(b, ids[t, b], marks, tokens, place)
            for k in range(len(lags)):
                found[t, b, k] = _read(b, lags[k], marks, tokens, place)


@compiled
def point(earlier: Any, outputs: Any, size: int) -> None:
    """Add what tokens seen earlier [B, K] are worth, K columns of outputs from `size` on, to their logits before it."""
    for b in range(len(earlier)):
        for k in range(earlier.shape[1]):
            if earlier[b, k] > 0:
                outputs[b, earlier[b, k]] += outputs[b, size + k]
