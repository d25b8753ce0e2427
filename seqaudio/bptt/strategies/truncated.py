"""Truncated BPTT: the state is carried on without end, the gradient reaches back a fixed number of steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from seqaudio.batching import Batch
from seqaudio.bptt.strategies.base import Strategy
from seqaudio.bptt.strategies.carried import Carried
from seqaudio.errors import OptionError
from seqaudio.models import Model
from seqaudio.state import detach

RANDOM_WINDOWS = 8  # windows in a batch of lanes with random borders; more than one, since a batch ends at a fixed one


@dataclass(frozen=True)
class TruncatedBPTT(Strategy):
    """The state is carried through the whole sequence, the gradient reaches back a fixed number of steps.

    A window is `advance` steps (k1), and each step's loss is counted once, in its window. The gradient reaches back
    `reach` steps (k2) from the window's end. Where k2 is more than k1, the k2 / k1 - 1 windows before it are run again
    from a kept state, with the current weights, since the graph of their first run belongs to older weights. The second
    run draws new dropout masks. A batch's last window may be shorter, and counts as one window of the reach.

    With a spread the border after n windows of a batch lies at n k1 + d, d uniform in -spread .. spread, drawn from
    (seed, epoch, batch, n); the learning rate of an update is scaled by its window's length, so that a step in a short
    window weighs as much as one in a long window. Use batches of `batch_steps`. After Merity et al. (2018).

    Memory does not depend on the length of the sequences. Source: Williams & Peng (1990), BPTT(h; h').

    Args:
        advance: k1, steps between two updates.
        reach: k2, a multiple of k1; None is k1.
        spread: largest shift of a border in steps, less than half a window; needs reach = advance.
        seed: of the random borders.
        carry: False starts every window from the initial state, for comparison only.
    Raises:
        OptionError: a number is out of its range, or two do not go together.
    """

    advance: int = 128
    reach: int | None = None
    spread: int = 0
    seed: int = 0
    carry: bool = True

    def __post_init__(self) -> None:
        if self.advance < 1:
            raise OptionError(f"--advance {self.advance}, expected at least 1 step")
        if self.reach is not None and (self.reach < self.advance or self.reach % self.advance):
            raise OptionError(
                f"--reach {self.reach} beside --advance {self.advance}, expected a multiple of it; "
                f"try --reach {self.advance * max(1, -(-self.reach // self.advance))}"
            )
        if self.spread < 0 or 2 * self.spread >= self.advance:
            raise OptionError(
                f"--spread {self.spread} beside --advance {self.advance}, expected 0 or more and less than half of it"
            )
        if self.spread and self.windows_run > 1:
            raise OptionError(
                f"--spread {self.spread} beside --reach {self.reach}: windows of random lengths are not run again; "
                f"leave out --reach, or --spread"
            )
        if not self.carry and self.windows_run > 1:
            raise OptionError(
                f"--no-carry beside --reach {self.reach}: without a carried state the gradient ends with the window; "
                f"leave out one of them"
            )

    @property
    def windows_run(self) -> int:
        """k2 / k1: the number of windows that the gradient reaches through, the newest included."""
        return 1 if self.reach is None else self.reach // self.advance

    @property
    def batch_steps(self) -> int:
        """The number of steps that a batch of lanes should have."""
        return RANDOM_WINDOWS * self.advance if self.spread else self.advance

    def check(self, model: Model) -> None:
        if not model.windowed:
            raise OptionError(
                f"{type(model).__name__} has one loss for a whole sequence, so its gradient cannot be cut into "
                f"windows; use --bptt full"
            )

    def windows(self, batch: Batch, place: tuple[int, int] = (0, 0)) -> Iterator[Batch]:
        borders = np.arange(self.advance, batch.steps, self.advance)
        if self.spread:
            draw = np.random.default_rng((self.seed, *place))
            borders = borders + draw.integers(-self.spread, self.spread, len(borders), endpoint=True)
        inside = borders[borders < batch.steps].tolist()
        for start, end in pairwise([0, *inside, batch.steps]):
            yield batch.slice_time(start, end)

    def backward(self, model: Model, window: Batch, carried: Carried | None) -> tuple[float, int, Carried]:
        before = carried if carried and self.carry else Carried(None)
        state, borders = before.state, [before.state]  # borders: the state before each window, and after the last
        for earlier in before.rerun_windows:
            _, _, state = model.loss(earlier, state)  # only its graph is needed: its loss was counted in its own window
            borders.append(detach(state))
        total, count, state = model.loss(window, state)
        total.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        if not self.carry:
            return float(total.detach()), count, Carried(None)
        borders.append(detach(state))

        windows = (*before.rerun_windows, window)
        first = max(len(windows) - (self.windows_run - 1), 0)  # the first that is run again for the next window
        return float(total.detach()), count, Carried(borders[first], windows[first:])

    def rate_factor(self, window: Batch) -> float:
        return window.steps / self.advance if self.spread else 1.0
