"""How many epochs fit into the minutes that were given: the speed is measured on the first batches."""

from __future__ import annotations

import time
from types import TracebackType

from seqaudio.bptt.position import Position

MEASURED_BATCHES = 20
MEASURED_SHARE = 0.1  # of the time that is given: slow batches are measured for so long at most


class Pace:
    """Seconds of each batch; the first of a session, which loads kernels, is left out. `with pace:` measures a batch.

    Args:
        budget: seconds of the whole training.
    """

    def __init__(self, budget: float) -> None:
        self.budget = budget
        self.batches = -1
        self.seconds = 0.0
        self._since = 0.0

    def __enter__(self) -> None:
        self._since = time.monotonic()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.batches >= 0:
            self.seconds += time.monotonic() - self._since
        self.batches += 1

    @property
    def known(self) -> bool:
        """Enough batches were measured."""
        return self.batches >= MEASURED_BATCHES or (self.batches > 0 and self.seconds > MEASURED_SHARE * self.budget)

    @property
    def batch_seconds(self) -> float:
        """Of one batch, the mean."""
        return self.seconds / self.batches

    def settle(self, at: Position, batches: int, left: float, batch_seconds: float) -> str:
        """Fix the number of epochs, once; in words. left: seconds. batches: in an epoch."""
        at.epochs, at.rest = affordable(left, batch_seconds, at.validation_seconds, at.epoch, at.batch, batches)
        at.settled = True
        length = f"{at.epochs:,} epochs of {batches:,} batches" + f" and {at.rest:,} batches" * bool(at.rest)
        return f"--minutes {self.budget / 60:g} at {1000 * batch_seconds:.1f} ms a batch: {length}"


def affordable(
    left: float, batch_seconds: float, validation_seconds: float, epoch: int, batch: int, batches: int
) -> tuple[int, int]:
    """Whole epochs of a training, and the batches of a shorter one behind them, that end in time.

    left: seconds. epoch, batch: where the training stands. batches: in an epoch. Each epoch, a shorter one too, ends
    with a validation. One batch more than now there always is.

        affordable(100, 1, 5, epoch=0, batch=0, batches=20) == (4, 0)       25 s an epoch
        affordable(90, 1, 5, epoch=0, batch=0, batches=20) == (3, 10)      the fourth has 10 batches
    """
    this_epoch = (batches - batch) * batch_seconds + validation_seconds
    if left < this_epoch:
        more = int((left - validation_seconds) / batch_seconds)
        return epoch, min(batch + max(more, 1), batches)
    left -= this_epoch
    whole_epoch = batches * batch_seconds + validation_seconds
    whole = int(left / whole_epoch)
    rest = int((left - whole * whole_epoch - validation_seconds) / batch_seconds)
    return epoch + 1 + whole, max(rest, 0)
