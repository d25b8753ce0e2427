"""The probe beside a training: the same rows after every N-th epoch."""

from __future__ import annotations

from seqaudio.batching import Batch
from seqaudio.errors import OptionError
from seqaudio.models import Model
from seqaudio.probing.measure import probe
from seqaudio.probing.report import Report


class EpochProbe:
    """Called after each epoch; probes after every N-th.

    The report goes into the epoch's line of the metrics by `numbers()` and to TensorBoard by `write(board, step)`. It
    depends on the weights and the batch alone, so that a resumed training writes the same.

    Args:
        batch: the rows to look at, of the validation split. every: N, epochs.
        anchors, lags, jacobians: as `probe` takes them; few, since this is done again and again.
    """

    def __init__(self, batch: Batch, every: int, anchors: int = 8, lags: int | None = None, jacobians: int = 1) -> None:
        if every < 1:
            raise OptionError(f"--probe-every {every}, expected at least 1 epoch; leave it out for no probe")
        self.batch = batch
        self.every = every
        self.anchors = anchors
        self.lags = lags
        self.jacobians = jacobians

    def __call__(self, model: Model, epoch: int) -> Report | None:
        """The report on a model after `epoch` epochs (counted from 1), None where it is not the turn of one."""
        return self.look(model) if epoch % self.every == 0 else None

    def look(self, model: Model) -> Report:
        """The report on a model, now."""
        device = next(model.parameters()).device
        return probe(model, self.batch.to(device), anchors=self.anchors, lags=self.lags, jacobians=self.jacobians)
