"""The state goes on for ever, the gradient reaches back so far and no further."""

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

DRAWN_TOGETHER = 8  # windows a batch of lanes where borders are drawn; the ends of batches stay where they are


@dataclass(frozen=True)
class TruncatedBPTT(Strategy):
    """The state goes on through the whole sequence, the gradient reaches back a fixed number of steps.

    A window is `advance` steps (k1), and each step's loss is counted once, in its window. The gradient reaches back
    to the window's end less `reach` (k2). Where that is further than the window, the k2 / k1 - 1 windows before it
    are run again, with the weights of now, from a state that was kept: the graph they had is that of older weights.
    What the second run draws (dropout) is drawn anew. A batch's last window may be shorter, and counts as one.

    With a spread the border after n windows of a batch lies at n k1 + d, d uniform in -spread .. spread, drawn from
    (seed, epoch, batch, n); the learning rate of an update is scaled by its window's length, so that a step in a short
    window weighs as much as one in a long window. Give batches of `batch_steps`. After Merity et al. (2018).

    Memory does not depend on the length of the sequences. Source: Williams & Peng (1990), BPTT(h; h').

    Args:
        advance: k1, steps between two updates.
        reach: k2, a multiple of k1; None is k1.
        spread: steps by which a border moves at most, less than half a window; needs reach = advance.
        seed: of the borders.
        carry: False begins every window with the model's first state, as if the past before it had not been. Nothing
            is gained by it: it is there to be compared with.
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
                f"--spread {self.spread} beside --reach {self.reach}: windows of drawn lengths are not run again; "
                f"leave out --reach, or --spread"
            )
        if not self.carry and self.windows_run > 1:
            raise OptionError(
                f"--no-carry beside --reach {self.reach}: without a carried state nothing lies before the window; "
                f"leave out one of them"
            )

    @property
    def windows_run(self) -> int:
        """k2 / k1: windows that the gradient goes through, the newest included."""
        return 1 if self.reach is None else self.reach // self.advance

    @property
    def batch_steps(self) -> int:
        """How many steps a batch of lanes should have."""
        return DRAWN_TOGETHER * self.advance if self.spread else self.advance

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
        state, borders = before.state, [before.state]
        for earlier in before.again:
            _, _, state = model.loss(earlier, state)  # for the graph: its loss was counted when it was the newest
            borders.append(detach(state))
        total, count, state = model.loss(window, state)
        total.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        if not self.carry:
            return float(total.detach()), count, Carried(None)
        borders.append(detach(state))

        again = (*before.again, window)
        kept = min(len(again), self.windows_run - 1)
        return float(total.detach()), count, Carried(borders[len(again) - kept], again[len(again) - kept :])

    def rate_factor(self, window: Batch) -> float:
        return window.steps / self.advance if self.spread else 1.0
