"""Number of epochs that fit into `--minutes`, from the speed measured on the first batches."""

from __future__ import annotations

import time

from seqaudio.bptt.position import Position

MEASURED_BATCHES = 20
MEASURED_SHARE = 0.1  # of --minutes: where batches are slow, the measurement ends after this share of the time


class Pace:
    """Mean time of a batch, made and trained on. The first of a session is left out, since it loads kernels.

    Args:
        budget: seconds for the whole training.
    """

    def __init__(self, budget: float) -> None:
        self.budget = budget
        self.batches = -1
        self.seconds = 0.0
        self._since = 0.0

    def begin(self) -> None:
        """Begin a stretch of batches: the next one takes the time from now on."""
        self._since = time.monotonic()

    def count_batch(self) -> None:
        """Count the batch that has just ended."""
        now = time.monotonic()
        if self.batches >= 0:
            self.seconds += now - self._since
        self.batches += 1
        self._since = now

    @property
    def known(self) -> bool:
        """Whether enough batches were measured."""
        return self.batches >= MEASURED_BATCHES or (self.batches > 0 and self.seconds > MEASURED_SHARE * self.budget)

    @property
    def batch_seconds(self) -> float:
        """Mean seconds of a batch."""
        return self.seconds / self.batches

    def set_length(self, at: Position, batches: int, left: float, batch_seconds: float) -> str:
        """Set the final number of epochs in `at`; returns it as a message.

        batches: of a whole epoch. left: seconds for the rest of the training. batch_seconds: of one batch.
        """
        at.epochs, at.batches_in_epoch = affordable(
            left, batch_seconds, at.validation_seconds, at.epoch, at.batch, batches
        )
        at.settled = True
        shorter = f" and a shorter one of {at.batches_in_epoch:,}" * bool(at.batches_in_epoch)
        return (
            f"--minutes {self.budget / 60:g} at {1000 * batch_seconds:.1f} ms a batch: "
            f"{at.epochs:,} epochs of {batches:,} batches{shorter}"
        )


def affordable(
    left: float, batch_seconds: float, validation_seconds: float, epoch: int, batch: int, batches: int
) -> tuple[int, int]:
    """Number of whole epochs of the training, and of batches in a shorter last epoch, so that it ends in time.

    left: seconds until the end. epoch, batch: those that are finished. batches: of a whole epoch. Every epoch ends with
    a validation, the shorter one too. At least one more batch is trained on, even if no time is left.

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
