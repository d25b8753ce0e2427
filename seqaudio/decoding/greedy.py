"""Greedy decoding of CTC: the likeliest unit of each step, equal neighbours as one, blanks left out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

BLANK_ID = 0


class Placed(NamedTuple):
    """A unit of a path, and the steps that it takes."""

    unit: int
    first: int
    last: int  # exclusive
    log_probability: float = 0.0  # of the unit, at the step where it is likeliest


def best_path(log_probabilities: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    """The likeliest id of each step, [J] int64, from log-probabilities [J, V]."""
    path: npt.NDArray[np.int64] = log_probabilities.argmax(axis=1).astype(np.int64)
    return path


def collapse(path: npt.NDArray[np.int64], first: int = 0) -> list[Placed]:
    """The units of a path [J] with their steps, counted from `first`: runs of equal ids as one, without blanks.

    Source: Graves et al. (2006), the map B and best path decoding.
    """
    starts = np.flatnonzero(np.diff(path, prepend=-1))
    ends = np.append(starts[1:], len(path))[: len(starts)]
    return [
        Placed(unit, first + start, first + end)
        for unit, start, end in zip(path[starts].tolist(), starts.tolist(), ends.tolist(), strict=True)
        if unit != BLANK_ID
    ]


def with_probabilities(log_probabilities: npt.NDArray[np.floating], units: Iterable[Placed]) -> list[Placed]:
    """Units with their log-probabilities, each at its likeliest step. log_probabilities: [J, V]."""
    return [
        placed._replace(log_probability=float(log_probabilities[placed.first : placed.last, placed.unit].max()))
        for placed in units
    ]


class PathCollapser:
    """Collapses a path that comes in parts; a unit goes out when the next step has another one."""

    def __init__(self) -> None:
        self._run = Placed(BLANK_ID, 0, 0)  # equal ids at the end of the path so far

    def push(self, log_probabilities: npt.NDArray[np.floating]) -> list[Placed]:
        """Take the log-probabilities [J, V] of the next steps; returns the units that are complete."""
        done: list[Placed] = []
        steps = zip(best_path(log_probabilities).tolist(), log_probabilities.max(axis=1).tolist(), strict=True)
        for unit, probability in steps:
            run = self._run
            if unit == run.unit:
                self._run = Placed(unit, run.first, run.last + 1, max(run.log_probability, probability))
                continue
            done += self.finish()
            self._run = Placed(unit, run.last, run.last + 1, probability)
        return done

    def finish(self) -> list[Placed]:
        """The unit at the end of the path, if there is one."""
        return [self._run] if self._run.unit != BLANK_ID else []
