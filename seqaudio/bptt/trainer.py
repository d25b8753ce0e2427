"""The one training loop: any model, any strategy, resumable to the bit."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from seqaudio.batching import Batch, Source
from seqaudio.bptt.checkpoint import load_checkpoint, save_checkpoint
from seqaudio.bptt.run_folder import RunFolder
from seqaudio.bptt.strategies import Strategy
from seqaudio.errors import OptionError, RunError
from seqaudio.models import Model
from seqaudio.progress import progress, say
from seqaudio.state import State, flatten, unflatten

NON_FINITE_LIMIT = 20  # updates in a row without a finite gradient before the training gives up


@dataclass(frozen=True)
class TrainerSettings:
    """The optimiser (Adam with decoupled weight decay) and its schedule."""

    epochs: int
    learning_rate: float = 1e-3  # highest, reached after the warm-up, then half a cosine down to zero
    warmup: float = 0.02  # share of the training over which the rate rises from zero
    weight_decay: float = 0.0  # Loshchilov & Hutter (2019)
    clip_norm: float = 1.0  # largest norm of the whole gradient; 0 = off
    checkpoint_seconds: float = 60.0  # between two checkpoints inside an epoch

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise OptionError(f"--epochs {self.epochs}, expected at least 1")


@dataclass
class Position:
    """Where a training stands; all of it goes into the checkpoint."""

    epoch: int = 0
    batch: int = 0  # batches of this epoch that are done
    step: int = 0  # optimiser steps since the start
    seconds: float = 0.0  # of training, validation included, over all sessions
    total: float = 0.0  # loss of this epoch so far, in nats
    count: int = 0
    updates: int = 0  # of this epoch
    clipped: int = 0
    skipped: int = 0  # updates without a finite gradient, since the start
    skipped_in_a_row: int = 0
    best: float | None = None
    metrics_bytes: int = 0  # length of metrics.jsonl
    best_metrics: dict[str, float] = field(default_factory=dict)


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, after the checkpoint is written."""


class Trainer:
    """Trains a model into a run folder.

    Args:
        source: batches of an epoch; where it `continues`, the state is carried from batch to batch.
        validate: metrics of the model on the validation split; called after each epoch.
        select: the metric that chooses the best epoch, and whether "max" or "min" of it is best.
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
    ) -> None:
        strategy.check(model)
        self.model = model.to(device)
        self.strategy = strategy
        self.source = source
        self.validate = validate
        self.run = run
        self.settings = settings
        self.select = select
        self.device = torch.device(device)
        self.at = Position()
        self.carried: State | None = None
        self.optimiser = torch.optim.AdamW(
            model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self._last_checkpoint = time.monotonic()

    def fit(self) -> dict[str, float]:
        """Train to the last epoch; the validation metrics of the best one, whose weights the run then holds.

        Raises RunError where the gradient is not finite many times in a row; Interrupted on Ctrl-C, after saving.
        """
        if self._restore():
            say(f"going on in epoch {self.at.epoch + 1}, after step {self.at.step:,}")
        with self._logs() as log, _interruptible() as interrupted:
            for epoch in range(self.at.epoch, self.settings.epochs):
                started = time.monotonic()
                self.model.train()
                what = f"epoch {epoch + 1}/{self.settings.epochs}"
                with progress(what, len(self.source), "batches", self.at.batch) as advance:
                    for batch in self.source.epoch(epoch, self.at.batch):
                        self._train_on(batch.to(self.device))
                        advance(1, f"loss {self.at.total / max(self.at.count, 1):.3f}")
                        if interrupted() or self._checkpoint_due():
                            self.at.seconds += time.monotonic() - started
                            started = time.monotonic()
                            self._save()
                        if interrupted():
                            raise Interrupted(f"saved; go on with --run {self.run.path} --resume")
                self._finish_epoch(started, log)
        return self.at.best_metrics

    def _train_on(self, batch: Batch) -> None:
        carried = self.carried if self.source.continues else None
        for window in self.strategy.windows(batch):
            self.optimiser.zero_grad(set_to_none=True)
            total, count, carried = self.strategy.backward(self.model, window, carried)
            self._update(total, count)
        self.carried = carried if self.source.continues else None
        self.at.batch += 1

    def _update(self, total: float, count: int) -> None:
        """One optimiser step on gradients of a summed loss: divide once, clip, step."""
        if not count:
            return
        parameters = [parameter for parameter in self.model.parameters() if parameter.grad is not None]
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        torch._foreach_div_(gradients, count)
        norm = torch.nn.utils.get_total_norm(gradients)
        finite = math.isfinite(float(norm)) and math.isfinite(total)
        self.at.updates += 1
        if not finite:
            self._skip()
            return
        self.at.skipped_in_a_row = 0
        if self.settings.clip_norm:
            torch.nn.utils.clip_grads_with_norm_(parameters, self.settings.clip_norm, norm)
            self.at.clipped += int(float(norm) > self.settings.clip_norm)
        for group in self.optimiser.param_groups:
            group["lr"] = self._learning_rate()
        self.optimiser.step()
        self.at.step += 1
        self.at.total += total
        self.at.count += count

    def _skip(self) -> None:
        self.at.skipped += 1
        self.at.skipped_in_a_row += 1
        if self.at.skipped_in_a_row >= NON_FINITE_LIMIT:
            raise RunError(
                f"the gradient was not finite in {NON_FINITE_LIMIT} updates in a row, the first at step "
                f"{self.at.step} of epoch {self.at.epoch + 1}; lower --learning-rate or --clip-norm"
            )

    def _learning_rate(self) -> float:
        done = (self.at.epoch + self.at.batch / len(self.source)) / self.settings.epochs
        peak, warmup = self.settings.learning_rate, self.settings.warmup
        if done < warmup:
            # the first update has a rate above zero
            return peak * (done + 1 / (len(self.source) * self.settings.epochs)) / warmup if warmup else peak
        return peak * 0.5 * (1 + math.cos(math.pi * (done - warmup) / (1 - warmup)))

    def _finish_epoch(self, started: float, log: Callable[[dict[str, Any]], None]) -> None:
        self.model.eval()
        metrics = self.validate()
        name, direction = self.select
        score = metrics[name]
        better = self.at.best is None or (score > self.at.best if direction == "max" else score < self.at.best)
        if better:
            self.at.best, self.at.best_metrics = score, metrics
            self.run.save_weights(self.model)
        self.at.seconds += time.monotonic() - started
        log(
            {
                "epoch": self.at.epoch + 1,
                "step": self.at.step,
                "train_loss": self.at.total / max(self.at.count, 1),
                "valid": metrics,
                "best": better,
                "learning_rate": self._learning_rate(),
                "clipped": self.at.clipped / max(self.at.updates, 1),
                "skipped": self.at.skipped,
                "seconds": round(self.at.seconds, 3),
            }
        )
        self.at.epoch += 1
        self.at.batch = self.at.count = self.at.updates = self.at.clipped = 0
        self.at.total = 0.0
        self._save()

    # --- checkpoints ---

    def _checkpoint_due(self) -> bool:
        return time.monotonic() - self._last_checkpoint > self.settings.checkpoint_seconds

    def _save(self) -> None:
        tensors: dict[str, Tensor] = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        for number, values in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{number}.{name}": value for name, value in values.items()}
        tensors["generator.cpu"] = torch.get_rng_state()
        if self.device.type == "cuda":
            tensors["generator.cuda"] = torch.cuda.get_rng_state(self.device)
        if self.carried is not None:
            tensors |= flatten(self.carried, "carried")
        save_checkpoint(self.run.resume_folder, self.at.step, tensors, dataclasses.asdict(self.at))
        self._last_checkpoint = time.monotonic()

    def _restore(self) -> bool:
        found = load_checkpoint(self.run.resume_folder)
        if found is None:
            return False
        tensors, data = found
        self.at = Position(**data)
        self.model.load_state_dict(_part(tensors, "model."))
        state = self.optimiser.state_dict()
        for name, value in _part(tensors, "optimiser.").items():
            number, key = name.split(".", 1)
            state["state"].setdefault(int(number), {})[key] = value
        self.optimiser.load_state_dict(state)
        carried = {name: value.to(self.device) for name, value in tensors.items() if name.startswith("carried")}
        if carried:
            rows = next(iter(carried.values())).shape[0]
            self.carried = unflatten(self.model.initial_state(rows), carried, "carried")
        torch.set_rng_state(tensors["generator.cpu"])
        if "generator.cuda" in tensors and self.device.type == "cuda":
            torch.cuda.set_rng_state(tensors["generator.cuda"], self.device)
        return True

    # --- logs ---

    @contextmanager
    def _logs(self) -> Iterator[Callable[[dict[str, Any]], None]]:
        """Yields what writes an epoch's line to metrics.jsonl, to TensorBoard and to the terminal."""
        from torch.utils.tensorboard import SummaryWriter

        with self.run.metrics_file.open("ab") as file:
            file.truncate(self.at.metrics_bytes)  # lines after the checkpoint are written again
            purge = self.at.step + 1 if self.at.step else None
            board = SummaryWriter(str(self.run.path / "tensorboard"), purge_step=purge)

            def log(line: dict[str, Any]) -> None:
                file.write((json.dumps(line) + "\n").encode())
                file.flush()
                os.fsync(file.fileno())
                self.at.metrics_bytes = file.tell()
                for name, value in _scalars(line):
                    board.add_scalar(name, value, self.at.step)
                board.flush()
                say(_describe(line, self.settings.epochs))

            try:
                yield log
            finally:
                board.close()


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _scalars(line: dict[str, Any]) -> Iterator[tuple[str, float]]:
    for name in ("train_loss", "learning_rate", "clipped"):
        yield f"train/{name.removeprefix('train_')}", line[name]
    for name, value in line["valid"].items():
        yield f"valid/{name}", value


def _describe(line: dict[str, Any], epochs: int) -> str:
    valid = ", ".join(f"{name} {value:.4f}" for name, value in line["valid"].items() if name != "count")
    mark = " *" if line["best"] else ""
    return f"epoch {line['epoch']}/{epochs}: train loss {line['train_loss']:.4f}, valid {valid}{mark}"


@contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """Yields whether Ctrl-C was pressed, so that a training stops between two batches; a second one stops at once."""
    pressed = False

    def note(number: int, frame: object) -> None:
        nonlocal pressed
        del number, frame
        if pressed:
            raise KeyboardInterrupt
        pressed = True

    try:
        before = signal.signal(signal.SIGINT, note)
    except ValueError:  # not the main thread, which alone receives signals
        yield lambda: False
        return
    try:
        yield lambda: pressed
    finally:
        signal.signal(signal.SIGINT, before)
