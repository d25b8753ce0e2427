"""The one training loop: any model, any strategy, resumable to the bit."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from seqaudio.batching import Batch, Source
from seqaudio.bptt.checkpoint import load_checkpoint, save_checkpoint
from seqaudio.bptt.interruption import Interrupted, interruptible
from seqaudio.bptt.logs import Log, logs
from seqaudio.bptt.pace import Pace, affordable
from seqaudio.bptt.position import Position, Sums
from seqaudio.bptt.precision import BFloat16Mixed
from seqaudio.bptt.processes import Processes
from seqaudio.bptt.schedules import Progress, rate_factor
from seqaudio.bptt.settings import TrainerSettings
from seqaudio.bptt.strategies import Carried, Strategy
from seqaudio.bptt.updater import Outcome, Updater
from seqaudio.errors import RunError
from seqaudio.models import Model
from seqaudio.probing import EpochProbe
from seqaudio.progress import progress, say
from seqaudio.run_folder import RunFolder

NON_FINITE_LIMIT = 20  # updates in a row without a finite gradient before the training gives up
INTERRUPTED = 130  # exit status of a process beside the first; the first tells how to go on


class Trainer:
    """Trains a model into a run folder.

    Args:
        source: batches of an epoch; where it `continues`, what the strategy carries goes from batch to batch.
        validate: metrics of the model on the validation split; called after each epoch.
        select: the metric that chooses the best epoch, and whether "max" or "min" of it is best.
        processes: those that train together, all of them with equal arguments; they tell the device.
        probe_on: the rows that `settings.probe_every` looks at.
    """

    def __init__(
        self,
        model: Model,
        strategy: Strategy,
        source: Source,
        validate: Callable[[], dict[str, float]],
        run: RunFolder,
        settings: TrainerSettings,
        select: tuple[str, str],
        device: torch.device | str = "cpu",
        processes: Processes | None = None,
        probe_on: Batch | None = None,
    ) -> None:
        if settings.probe_every and probe_on is None:
            raise ValueError("settings.probe_every is given, but no rows to look at: give probe_on")
        strategy.check(model)
        self.processes = processes or Processes(device)
        self.device = self.processes.device
        self.model = model.to(self.device)
        self.strategy = strategy
        self.source = self.processes.rows_of(source)
        self.batches = len(source)  # an epoch; of some sources slow to count
        self.validate = validate
        self.run = run
        self.settings = settings
        self.select = select
        self.at = Position(epochs=settings.epochs)
        self.carried: Carried | None = None
        self.updater = Updater(model, settings)
        self.probe = EpochProbe(probe_on, settings.probe_every) if probe_on and settings.probe_every else None
        self._pace = Pace(60 * settings.minutes) if settings.minutes else None
        self._in_precision = BFloat16Mixed(model, self.device) if settings.precision == "bf16-mixed" else model
        self._clock = self._last_checkpoint = time.monotonic()

    def fit(self) -> dict[str, float]:
        """Train to the end; the validation metrics of the best epoch, whose weights the run then holds.

        Raises RunError where the gradient is not finite many times in a row; Interrupted on Ctrl-C, after saving.
        """
        self._clock = time.monotonic()
        self._restore_or_begin()
        with self._logs() as log, interruptible() as interrupted:
            while not self._ended():
                self.model.train()
                what = f"epoch {self.at.epoch + 1}/{self.at.epochs + bool(self.at.rest)}"
                with progress(what, self.batches, "batches", self.at.batch) as advance:
                    for batch in self.source.epoch(self.at.epoch, self.at.batch):
                        if self.at.rest_done:
                            break
                        self._train_on(batch.to(self.device))
                        advance(1, f"loss {self.at.total / max(self.at.count, 1):.3f}")
                        stop, save, settle = self.processes.agree(
                            interrupted(), self._checkpoint_due(), self._speed_known()
                        )
                        if settle:
                            self._settle_length()
                        if stop or save:
                            self._save()
                        if stop:
                            self._leave()
                self._finish_epoch(log)
        return self.at.best_metrics

    def _ended(self) -> bool:
        if self.settings.patience and self.at.stale >= self.settings.patience:
            say(f"no better epoch in {self.at.stale}: the training ends early")
            return True
        return self.at.finished and self.at.settled

    def _leave(self) -> None:
        if not self.processes.first:
            sys.exit(INTERRUPTED)
        raise Interrupted(f"saved; go on with --run {self.run.path} --resume")

    # --- one batch, one update ---

    def _train_on(self, batch: Batch) -> None:
        if self._pace:
            self._pace.start()
        carried = self.carried if self.source.continues else None
        for window in self.strategy.windows(batch, (self.at.epoch, self.at.batch)):
            if not self.at.pending.windows:
                self.updater.optimiser.zero_grad(set_to_none=True)
            total, count = 0.0, 0
            if window.rows:  # none where there are more processes than rows
                total, count, carried = self.strategy.backward(self._in_precision, window, carried)
            self.at.pending.add(total, count, self.strategy.rate_factor(window))
            if self.at.pending.windows == self.settings.accumulate and not self._update():
                carried = None  # what is not finite would be carried on for ever
        self.carried = carried if self.source.continues else None
        self.at.batch += 1
        if self._pace:
            self._pace.stop()

    def _update(self) -> bool:
        """One optimiser step on gradients of summed losses: sum over processes, divide once, clip, step.

        False where the gradient is not finite: then nothing is changed.
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
            self._skip(sums)
            return False
        self.at.skipped_in_a_row = 0
        self.at.clipped += outcome is Outcome.CLIPPED
        self.at.step += 1
        self.at.total += sums.total
        self.at.count += sums.count
        return True

    def _skip(self, sums: Sums) -> None:
        self.at.skipped += 1
        self.at.skipped_in_a_row += 1
        if self.at.skipped_in_a_row == 1:
            names = self.updater.not_finite()
            others = f" and {len(names) - 1} more" if len(names) > 1 else ""
            self.at.trouble = (
                f"at step {self.at.step}, batch {self.at.batch + 1} of epoch {self.at.epoch + 1}, with a loss of "
                f"{sums.total / sums.count:.4g}, in {names[0] if names else 'the norm alone'}{others}"
            )
        if self.at.skipped_in_a_row >= NON_FINITE_LIMIT:
            raise RunError(
                f"the gradient was not finite in {NON_FINITE_LIMIT} updates in a row, the first {self.at.trouble}; "
                f"lower --learning-rate or --clip-norm"
            )

    def _learning_rate(self) -> float:
        now = Progress(self.at.done(self.batches), 1 / (self.batches * self.at.epochs + self.at.rest), self.at.halved)
        return self.settings.learning_rate * rate_factor(self.settings.schedule, now, self.settings.warmup)

    # --- one epoch ---

    def _finish_epoch(self, log: Log) -> None:
        if self.at.pending.windows and not self._update():  # fewer windows than --accumulate were left
            self.carried = None
        self.model.eval()
        average = self.updater.average
        with average.in_place() if average and self.at.step else nullcontext():
            metrics = self._validated()
            report = self.probe(self.model, self.at.epoch + 1) if self.probe and self.processes.first else None
            better = self._is_better(metrics)
            if better and self.processes.first:
                self.run.save_weights(self.model)
        rate = self._learning_rate()  # before the plateau counts this epoch
        if better:
            self.at.best, self.at.best_metrics, self.at.stale = metrics[self.select[0]], metrics, 0
        else:
            self.at.stale += 1
            halve = self.settings.schedule == "plateau" and self.at.stale % self.settings.plateau_patience == 0
            self.at.halved += int(halve)
        self._tick()
        log(
            {
                "epoch": self.at.epoch + 1,
                "step": self.at.step,
                "train_loss": self.at.total / max(self.at.count, 1),
                "valid": metrics,
                "best": better,
                "learning_rate": rate,
                "clipped": self.at.clipped / max(self.at.updates, 1),
                "skipped": self.at.skipped,
                "seconds": round(self.at.seconds, 3),
            },
            report,
        )
        self.at.epoch += 1
        self.at.batch = self.at.count = self.at.updates = self.at.clipped = 0
        self.at.total = 0.0
        self._save()

    def _validated(self) -> dict[str, float]:
        """The metrics that the first process measures, in all of them: what follows from them is one decision."""
        metrics: dict[str, float] = self.processes.share(self.validate() if self.processes.first else None)
        return metrics

    def _is_better(self, metrics: dict[str, float]) -> bool:
        name, direction = self.select
        if self.at.best is None or math.isnan(self.at.best):
            return True
        return metrics[name] > self.at.best if direction == "max" else metrics[name] < self.at.best

    def _logs(self) -> AbstractContextManager[Log]:
        return logs(self.run, self.at) if self.processes.first else nullcontext(lambda line, report: None)

    # --- how long it lasts ---

    def _tick(self) -> None:
        now = time.monotonic()
        self.at.seconds += now - self._clock
        self._clock = now

    def _measure_validation(self) -> None:
        """For --minutes: the seconds that an epoch's end takes, validation and probe, on the untrained model."""
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

    def _speed_known(self) -> bool:
        return self._pace is not None and not self.at.settled and self._pace.known

    def _settle_length(self) -> None:
        """For --minutes: from the measured speed to the number of epochs, once."""
        self._tick()
        assert self._pace is not None
        left, batch_seconds = self.processes.share([self._pace.budget - self.at.seconds, self._pace.batch_seconds])
        self.at.epochs, self.at.rest = affordable(
            left, batch_seconds, self.at.validation_seconds, self.at.epoch, self.at.batch, self.batches
        )
        self.at.settled, self._pace = True, None
        say(
            f"--minutes {self.settings.minutes:g} at {1000 * batch_seconds:.1f} ms a batch: {self.at.epochs:,} epochs "
            f"of {self.batches:,} batches" + f" and {self.at.rest:,} batches" * bool(self.at.rest)
        )

    # --- checkpoints ---

    def _checkpoint_due(self) -> bool:
        return time.monotonic() - self._last_checkpoint > self.settings.checkpoint_seconds

    def _save(self) -> None:
        self._tick()
        tensors: dict[str, Tensor] = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        tensors |= self.updater.tensors()
        tensors |= self.processes.gather(self._own())
        if self.processes.first:
            place = (self.at.epoch, self.at.batch)
            save_checkpoint(self.run.resume_folder, place, tensors, self.at.to_dict())
        self._last_checkpoint = time.monotonic()

    def _own(self) -> dict[str, Tensor]:
        """What differs from process to process: generators, carried states, gradients that wait for an update."""
        own = {"generator.cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            own["generator.cuda"] = torch.cuda.get_rng_state(self.device)
        if self.carried is not None:
            own |= {f"carried.{name}": value for name, value in self.carried.tensors().items()}
        if self.at.pending.windows:
            for name, value in self.model.named_parameters():
                own[f"gradient.{name}"] = torch.zeros_like(value) if value.grad is None else value.grad
            # alike in all processes, so that they can be gathered
            own["has_gradient"] = torch.tensor([value.grad is not None for value in self.model.parameters()])
        return own

    def _restore_or_begin(self) -> None:
        found = load_checkpoint(self.run.resume_folder)
        if found is not None:
            self._restore(*found)
            say(f"going on in epoch {self.at.epoch + 1}, after step {self.at.step:,}")
            return
        if self._pace:
            self._measure_validation()
        if not self.processes.first:
            torch.manual_seed(torch.initial_seed() + self.processes.rank)  # other units are dropped in other rows

    def _restore(self, tensors: dict[str, Tensor], data: dict[str, Any]) -> None:
        self.at = Position.from_dict(data)
        self.model.load_state_dict(_part(tensors, "model."))
        self.updater.load(tensors)
        if self.at.settled:
            self._pace = None
        own = self.processes.own(tensors)
        if carried := _part(own, "carried."):
            self.carried = Carried.from_tensors(self.model, carried, self.device)
        if waiting := _part(own, "gradient."):
            for (name, value), present in zip(self.model.named_parameters(), own["has_gradient"], strict=True):
                value.grad = waiting[name].to(self.device) if present else None
        # after all else: a first state may draw
        torch.set_rng_state(own["generator.cpu"])
        if "generator.cuda" in own and self.device.type == "cuda":
            torch.cuda.set_rng_state(own["generator.cuda"], self.device)


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
