"""Settings of the Trainer: optimiser, schedule and length of a training. Recipes inherit them as options."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from seqaudio.bptt.schedules import SCHEDULES
from seqaudio.errors import OptionError
from seqaudio.registry import did_you_mean

ScheduleName = Literal["cosine", "constant", "one-cycle", "plateau"]
Precision = Literal["32-true", "bf16-mixed"]
TensorBoard = Literal["auto", "yes", "no"]


@dataclass(frozen=True)
class TrainerSettings:
    """The optimiser (Adam with decoupled weight decay), the learning-rate schedule, and when training ends.

    Raises OptionError for a number out of its range, or two that exclude each other.
    """

    GROUP: ClassVar[str] = "training"  # in --help

    USUAL_EPOCHS: ClassVar[int] = 1  # where --epochs is not given
    LEAST_UPDATES: ClassVar[int] = 0  # then there are more epochs, until they make this many updates

    epochs: int | None  # passes over the training split
    learning_rate: float = 1e-3  # of Adam, at the peak of the schedule
    schedule: ScheduleName = "cosine"  # of the learning rate; equations in bptt/schedules.py
    warmup: float | None = None  # share of the training over which the rate rises; default 0.02, or 0.3 for one-cycle
    weight_decay: float = 0.0  # decoupled from the gradient, Loshchilov & Hutter (2019)
    clip_norm: float = 1.0  # largest norm of the gradient of all parameters; 0 = off
    clip_value: float = 0.0  # largest absolute value of a gradient's element, after --clip-norm; 0 = off
    accumulate: int = 1  # batches for each update; windows, with truncated BPTT
    average: float = 0.0  # validate and keep a running average of the weights; 0.999 spans some 1,000 updates; 0 = off
    patience: int = 0  # end after this many epochs without improvement on validation; 0 = off
    plateau_patience: int = 2  # epochs without improvement after which schedule plateau halves the rate
    minutes: float | None = None  # time to train and validate; sets the number of epochs by the measured speed
    precision: Precision = "32-true"  # bf16-mixed: matrix products in bfloat16, weights and sums in float32
    checkpoint_seconds: float = 60.0  # between two checkpoints within an epoch
    probe_every: int = 0  # epochs between two measurements of how far gradients reach (docs/probe.md); 0 = off
    tensorboard: TensorBoard = "auto"  # write the curves for TensorBoard too; auto: where it is installed

    def __post_init__(self) -> None:
        if self.schedule not in SCHEDULES:
            raise OptionError(f"no schedule is called {self.schedule!r}; {did_you_mean(self.schedule, [*SCHEDULES])}")
        self._expect("epochs", self.epochs is None or self.epochs >= 1, "at least 1")
        self._expect("learning_rate", self.learning_rate > 0, "more than 0")
        self._expect("warmup", self.warmup is None or 0 <= self.warmup < 1, "a share of the training, under 1")
        self._expect("clip_norm", self.clip_norm >= 0, "0 (off) or more")
        self._expect("clip_value", self.clip_value >= 0, "0 (off) or more")
        self._expect("accumulate", self.accumulate >= 1, "at least 1")
        self._expect("average", 0 <= self.average < 1, "0 (off) or more and under 1, such as 0.999")
        self._expect("patience", self.patience >= 0, "0 (off) or more epochs")
        self._expect("plateau_patience", self.plateau_patience >= 1, "at least 1 epoch")
        self._expect("minutes", self.minutes is None or self.minutes > 0, "more than 0")
        self._expect("probe_every", self.probe_every >= 0, "0 (off) or more epochs")
        self._expect("precision", self.precision in ("32-true", "bf16-mixed"), "32-true or bf16-mixed")
        if self.schedule == "plateau" and 0 < self.patience <= self.plateau_patience:
            raise OptionError(
                f"--patience {self.patience} beside --plateau-patience {self.plateau_patience}: the training would end "
                f"before the rate is halved once; give a larger --patience"
            )

    def epochs_of(self, batches: int) -> int:
        """Number of epochs; where none are given, small data sets get more of them than the usual number.

        batches: of an epoch.
        """
        if self.epochs is not None:
            return self.epochs
        return max(self.USUAL_EPOCHS, math.ceil(self.LEAST_UPDATES * self.accumulate / batches))

    def _expect(self, name: str, fits: bool, what: str) -> None:
        if not fits:
            raise OptionError(f"--{name.replace('_', '-')} {getattr(self, name)}, expected {what}")
