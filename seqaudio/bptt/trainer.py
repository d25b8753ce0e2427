"""Training loop for every model and strategy; a resumed training ends with the same weights, bit for bit."""

from __future__ import annotations

import math
import signal
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch

from seqaudio.batching import Batch, Source
from seqaudio.batching.ahead import made_ahead
from seqaudio.bptt.checkpoint import load_checkpoint, save_checkpoint
from seqaudio.bptt.logs import Log, epoch_line, logs
from seqaudio.bptt.pace import Pace
from seqaudio.bptt.position import Position, Selection, Sums
from seqaudio.bptt.precision import BFloat16Mixed
from seqaudio.bptt.processes import Processes
from seqaudio.bptt.schedules import Progress, rate_factor
from seqaudio.bptt.settings import TrainerSettings
from seqaudio.bptt.snapshot import put_back, take_snapshot
from seqaudio.bptt.strategies import Carried, Strategy
from seqaudio.bptt.updater import Outcome, Updater
from seqaudio.errors import RunError
from seqaudio.interruption import Interrupted, exit_status_of, interruptible
from seqaudio.models import Model
from seqaudio.probing import EpochProbe, Report
from seqaudio.progress import Advance, progress, say
from seqaudio.run_folder import RunFolder


class Trainer:
    """Trains a model into a run folder.

    Args:
        source: batches of an epoch; where it `continues`, the state is carried from batch to batch.
        validate: metrics of the model on the validation split; called after each epoch.
        select: the metric that chooses the best epoch, whether its "max" or "min" is best, and for equal values a
            metric that is better when it is less.
        device: where to train, unless `processes` is given.
        processes: those that train together, all with equal arguments; each has its device.
        probe_on: the rows that are probed every `settings.probe_every` epochs.
    """

    def __init__(
        self,
        model: Model,
        strategy: Strategy,
        source: Source,
        validate: Callable[[], dict[str, float]],
        run: RunFolder,
        settings: TrainerSettings,
        select: Selection,
        device: torch.device | str = "cpu",
        processes: Processes | None = None,
        probe_on: Batch | None = None,
    ) -> None:
        if settings.probe_every and probe_on is None:
            raise ValueError("settings.probe_every is set, but there are no rows to probe: give probe_on")
        strategy.check(model)
        self.processes = processes or Processes(device)
        self.device = self.processes.device
        self.model = model.to(self.device)
        self.strategy = strategy
        self.source = self.processes.rows_of(source)
        self.batches = len(source)  # of an epoch; kept, since some sources count slowly
        self.validate = validate
        self.run = run
        self.settings = settings
        self.select = select
        self.at = Position(epochs=settings.epochs_of(self.batches))
        self.carried: Carried | None = None
        self.updater = Updater(model, settings)
        self.probe = EpochProbe(probe_on, settings.probe_every) if probe_on and settings.probe_every else None
        self._pace = Pace(60 * settings.minutes) if settings.minutes else None
        self._in_precision = BFloat16Mixed(model, self.device) if settings.precision == "bf16-mixed" else model
        self._clock = self._last_checkpoint = time.monotonic()

    def fit(self) -> dict[str, float]:
        """Train to the end. Returns the validation metrics of the best epoch; the run holds the weights of that epoch.

        Raises DivergedError after 20 updates in a row with a gradient that is not finite, after an epoch in which no
        update counted, and where the metric was not finite in any epoch; Interrupted on Ctrl-C or SIGTERM, saved.
        """
        self._restore_or_begin()
        with self._logs() as log, interruptible() as interrupted:
            while not self._ended():
                self.model.train()
                if self._pace:
                    self._pace.begin()
                with self._bar() as advance, made_ahead(self.source.epoch(self.at.epoch, self.at.batch)) as batches:
                    for batch in batches:
                        if self.at.shorter_epoch_finished:
                            break
                        self._train_on(batch.to(self.device))
                        if self._pace:
                            self._pace.count_batch()
                        advance(1, f"loss {self.at.total / max(self.at.count, 1):.3f}")
                        self._between_batches(interrupted())
                self._update_leftover()
                self.at.check_epoch()

                self.model.eval()
                with self.updater.averaged() if self.at.step else nullcontext():
                    metrics, report = self._validated(), self._probed()
                    better = self.at.count_validation(metrics, self.select)
                    if better and self.processes.first:
                        self.run.save_weights(self.model)
                self._tick()
                log(epoch_line(self.at, metrics, better, self._learning_rate()), report)
                self.at.next_epoch(self.settings.plateau_patience if self.settings.schedule == "plateau" else None)
                self._save()
        self.at.check_best(self.select[0])
        return self.at.best_metrics

    # --- one batch, its windows, their updates ---

    def _train_on(self, batch: Batch) -> None:
        carried = self.carried if self.source.continues else None
        for window in self.strategy.windows(batch, (self.at.epoch, self.at.batch)):
            if not self.at.pending.windows:
                self.updater.optimiser.zero_grad(set_to_none=True)
            total, count = 0.0, 0
            if window.rows:  # none where there are more processes than rows
                total, count, carried = self.strategy.backward(self._in_precision, window, carried)
            self.at.pending.add(total, count, self.strategy.rate_factor(window))
            if self.at.pending.windows == self.settings.accumulate and not self._update():
                carried = None  # a state that is not finite would stay so in all later windows
        self.carried = carried if self.source.continues else None
        self.at.batch += 1

    def _update(self) -> bool:
        """One optimiser step: sum gradients and losses over processes, divide by the count once, clip, step.

        Returns False for a gradient that is not finite; the update is then skipped and no weight changes.
        """
        sums, self.at.pending = self.at.pending, Sums()
        self.processes.add([value for value in self.model.parameters() if value.requires_grad], sums)
        if not sums.count:
            return True
        self.at.updates += 1
        rate = self._learning_rate() * sums.rate / sums.windows
        finite = math.isfinite(sums.total)
        outcome = self.updater.update(sums.count, rate, self.at.step + 1) if finite else Outcome.NOT_FINITE
        if outcome is Outcome.NOT_FINITE:
            self.at.count_skipped(sums, self.updater.not_finite())
            return False
        self.at.count_update(sums, outcome is Outcome.CLIPPED)
        return True

    def _update_leftover(self) -> None:
        """Make the last update of an epoch, from the windows left over where they are fewer than --accumulate."""
        if self.at.pending.windows and not self._update():
            self.carried = None

    def _learning_rate(self) -> float:
        length = self.batches * self.at.epochs + self.at.batches_in_epoch
        now = Progress(self.at.done(self.batches), 1 / length, self.at.halved)
        return self.settings.learning_rate * rate_factor(self.settings.schedule, now, self.settings.warmup)

    # --- validation and probe of an epoch ---

    def _validated(self) -> dict[str, float]:
        """Metrics measured by the first process and shared with all, so that all decide alike."""
        metrics: dict[str, float] = self.processes.share(self.validate() if self.processes.first else None)
        return metrics

    def _probed(self) -> Report | None:
        return self.probe(self.model, self.at.epoch + 1) if self.probe and self.processes.first else None

    # --- around the loop: its end, progress, logs, checkpoints that are due ---

    def _ended(self) -> bool:
        if self.settings.patience and self.at.stale >= self.settings.patience:
            say(f"no improvement in {self.at.stale} epochs: training ends early")
            return True
        return self.at.finished and self.at.settled

    def _bar(self) -> AbstractContextManager[Advance]:
        what = f"epoch {self.at.epoch + 1}/{self.at.epochs + bool(self.at.batches_in_epoch)}"
        return progress(what, self.batches, "batches", self.at.batch)

    def _logs(self) -> AbstractContextManager[Log]:
        if not self.processes.first:
            return nullcontext(lambda line, report: None)
        return logs(self.run, self.at, self.settings.tensorboard)

    def _between_batches(self, interrupted: int) -> None:
        """In all processes: save if a checkpoint is due, stop after a signal, set the length by a measured speed."""
        due = time.monotonic() - self._last_checkpoint > self.settings.checkpoint_seconds
        known = self._pace is not None and not self.at.settled and self._pace.known
        stop, save, measured = self.processes.agree(bool(interrupted), due, known)
        if measured:
            self._set_length()
        if stop or save:
            self._save()
        if stop:
            message = f"saved; resume with --run {self.run.path} --resume"
            stopped = Interrupted(message, interrupted or signal.SIGINT)  # 0 where another process got the signal
            if not self.processes.first:  # the first one prints how to resume
                sys.exit(exit_status_of(stopped))
            raise stopped

    def _tick(self) -> None:
        """Add the time since the last call to the seconds of the training."""
        now = time.monotonic()
        self.at.seconds += now - self._clock
        self._clock = now

    # --- the length, with --minutes ---

    def _measure_validation(self) -> None:
        """Time the end of an epoch, validation and probe, with the untrained model."""
        self.model.eval()
        start = time.monotonic()
        self._validated()
        seconds = time.monotonic() - start
        if self.probe and self.processes.first:
            start = time.monotonic()
            self.probe.look(self.model)
            seconds += (time.monotonic() - start) / self.probe.every
        self.at.validation_seconds = self.processes.share(seconds)
        self.at.settled = False

    def _set_length(self) -> None:
        """Set the number of epochs from the measured speed, once."""
        self._tick()
        assert self._pace is not None
        left, batch_seconds = self.processes.share([self._pace.budget - self.at.seconds, self._pace.batch_seconds])
        say(self._pace.set_length(self.at, self.batches, left, batch_seconds))
        self._pace = None

    # --- checkpoints ---

    def _save(self) -> None:
        self._tick()
        waiting = bool(self.at.pending.windows)
        tensors = take_snapshot(self.model, self.updater, self.processes, self.carried, waiting)
        if self.processes.first:
            save_checkpoint(self.run.resume_folder, (self.at.epoch, self.at.batch), tensors, self.at.to_dict())
        self._last_checkpoint = time.monotonic()

    def _restore_or_begin(self) -> None:
        self._clock = time.monotonic()
        found = load_checkpoint(self.run.resume_folder, check=Position.from_dict)
        if found is not None:
            tensors, data = found
            self.at = Position.from_dict(data)
            try:
                self.carried = put_back(tensors, self.model, self.updater, self.processes)
            except (LookupError, TypeError, ValueError, RuntimeError) as error:
                reason = str(error).splitlines()[-1].strip()
                raise RunError(
                    f"{self.run.resume_folder}: a checkpoint of another training ({reason}); choose another --run"
                ) from None
            if self.at.settled:
                self._pace = None
            say(f"resuming in epoch {self.at.epoch + 1}, after step {self.at.step:,}")
            return
        if self._pace:
            self._measure_validation()
        if not self.processes.first:
            torch.manual_seed(torch.initial_seed() + self.processes.rank)  # dropout masks of its own in each process
