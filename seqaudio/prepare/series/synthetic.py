"""Generate series by rules whose dependence on the past is known."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from seqaudio.augmentation.draws import check_seed
from seqaudio.errors import OptionError
from seqaudio.prepare.engine import Item, Row
from seqaudio.prepare.series.rows import Parts, series_row
from seqaudio.registry import Registry

NUMBERS = 10  # to recall, as many as in the copy problem of `batching.memory_tasks`
WARM_UP = 1_000  # first steps that are discarded, so that the initial values have no effect
Frames = npt.NDArray[np.float64]  # [T, C]


@dataclass(frozen=True)
class SyntheticSeries(ABC):
    """A rule that generates a series. Frame t + 1 is to be forecast from the frames up to t.

    Args:
        length: total number of steps.
        delay: how far the rule looks back; each rule says in what sense.
        noise: standard deviation of the added noise; 0 for a rule without noise.
        seed: of all random numbers.
    Raises OptionError for numbers that the rule cannot use.
    """

    channels: ClassVar[tuple[str, ...]]
    inputs: ClassVar[tuple[str, ...]]
    targets: ClassVar[tuple[str, ...]]
    one_series: ClassVar[bool] = True  # False: many short, independent ones
    default_delay: ClassVar[int]
    default_noise: ClassVar[float] = 0.0  # 0: the rule takes no noise
    min_delay: ClassVar[int] = 1

    length: int = 20_000
    delay: int = 0
    noise: float = 0.0
    seed: int = 1

    def __post_init__(self) -> None:
        check_seed(self.seed)
        if self.delay < self.min_delay:
            raise OptionError(f"--delay {self.delay} of this series, expected at least {self.min_delay}")
        if self.length < 1 or self.noise < 0:
            raise OptionError(f"--length {self.length} and --noise {self.noise:g}, expected at least 1 and at least 0")
        if self.noise and not self.default_noise:
            raise OptionError(f"--noise {self.noise:g}, but this series has no noise; leave it out")

    @property
    def period(self) -> int:
        """Steps of its season; 0 without one."""
        return 0

    @abstractmethod
    def frames(self) -> list[Frames]:
        """One series of `length` steps, or as many short ones as fit into so many steps."""

    def generator(self) -> np.random.Generator:
        return np.random.default_rng(self.seed)


SERIES: Registry[type[SyntheticSeries]] = Registry("synthetic series")


@SERIES.register("mackey_glass")
@dataclass(frozen=True)
class MackeyGlass(SyntheticSeries):
    """The Mackey-Glass equation, chaotic from a delay of about 17 on.

        dx/dt = 0.2 x(t - delay) / (1 + x(t - delay)^10) - 0.1 x(t)

    Ten Euler steps a step. Source: Mackey & Glass (1977).
    """

    channels = inputs = targets = ("x",)
    default_delay = 17
    substeps: ClassVar[int] = 10

    def frames(self) -> list[Frames]:
        lag, step = self.delay * self.substeps, 1 / self.substeps
        total = (WARM_UP + self.length) * self.substeps
        x = np.empty(lag + total)
        x[:lag] = 1.2 + 0.1 * self.generator().standard_normal(lag)
        for t in range(lag, lag + total):
            past = x[t - lag]
            x[t] = x[t - 1] + step * (0.2 * past / (1 + past**10) - 0.1 * x[t - 1])
        return [x[lag + WARM_UP * self.substeps :: self.substeps, None]]


@SERIES.register("sines")
@dataclass(frozen=True)
class Sines(SyntheticSeries):
    """Three sines with periods delay, delay / 4 and 2.6 delay and random phases, plus noise."""

    channels = inputs = targets = ("x",)
    default_delay = 24
    default_noise = 0.1
    min_delay = 4

    @property
    def period(self) -> int:
        return self.delay

    def frames(self) -> list[Frames]:
        draw, time = self.generator(), np.arange(self.length)
        phases = draw.uniform(0, 2 * np.pi, 3)
        parts = ((1.0, self.delay), (0.4, self.delay / 4), (0.7, 2.6 * self.delay))
        clean = sum(a * np.sin(2 * np.pi * time / p + phase) for (a, p), phase in zip(parts, phases, strict=True))
        return [(clean + self.noise * draw.standard_normal(self.length))[:, None]]


@SERIES.register("narma10")
@dataclass(frozen=True)
class Narma10(SyntheticSeries):
    """A driven non-linear system of order 10: y is to be forecast from the drive u alone.

        y_{t+1} = 0.3 y_t + 0.05 y_t (y_t + .. + y_{t-9}) + 1.5 u_{t-9} u_t + 0.1,   u uniform in 0..0.5

    Source: Atiya & Parlos (2000). The rule fixes the delay. A drive that makes y diverge is replaced by another one.
    """

    channels = ("u", "y")
    inputs = ("u",)
    targets = ("y",)
    default_delay = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.delay != self.default_delay:
            raise OptionError(f"--delay {self.delay} of narma10, expected {self.default_delay}, which its rule fixes")

    def frames(self) -> list[Frames]:
        draw = self.generator()
        while True:
            u = draw.uniform(0, 0.5, WARM_UP + self.length)
            y = np.zeros(WARM_UP + self.length)
            for t in range(9, len(y) - 1):
                y[t + 1] = 0.3 * y[t] + 0.05 * y[t] * y[t - 9 : t + 1].sum() + 1.5 * u[t - 9] * u[t] + 0.1
                if y[t + 1] > 1:
                    break
            else:
                return [np.stack([u, y], axis=1)[WARM_UP:]]


@SERIES.register("echo")
@dataclass(frozen=True)
class Echo(SyntheticSeries):
    """An echo: a marked sound comes back `delay` steps later. Only the echoes are targets.

        sound_t uniform in -1..1,  mark_t = 1 where a sound is marked, 0 elsewhere
        echo_{t + delay} = sound_t + noise where mark_t = 1, NaN elsewhere

    The next mark comes 1 .. delay / 2 steps after an echo, so only one sound has to be remembered at a time. The marked
    sound is the oldest of the `delay` frames before its echo. So from fewer frames the best forecast is 0, with a mean
    squared error of 1/3.
    """

    channels = ("sound", "mark", "echo")
    inputs = ("sound", "mark")
    targets = ("echo",)
    default_delay = 50
    default_noise = 0.1

    def frames(self) -> list[Frames]:
        draw = self.generator()
        frames = np.zeros((self.length, 3))
        frames[:, 0] = draw.uniform(-1, 1, self.length)
        frames[:, 2] = np.nan
        longest = max(1, self.delay // 2)
        t = int(draw.integers(longest))
        while t + self.delay < self.length:
            frames[t, 1] = 1
            frames[t + self.delay, 2] = frames[t, 0] + self.noise * draw.standard_normal()
            t += self.delay + int(draw.integers(1, longest, endpoint=True))
        return [frames]


@SERIES.register("adding")
@dataclass(frozen=True)
class Adding(SyntheticSeries):
    """The adding problem as many short series: after `delay` frames, the target is the sum of two marked numbers.

    There is one mark in each half; only the frame after the last has a target. The best constant is 1, with a mean
    squared error of 1/6. Source: Hochreiter & Schmidhuber (1997).
    """

    channels = ("number", "mark", "sum")
    inputs = ("number", "mark")
    targets = ("sum",)
    one_series = False
    default_delay = 50
    min_delay = 2

    def frames(self) -> list[Frames]:
        return [self._one(draw) for draw in _draws(self)]

    def _one(self, draw: np.random.Generator) -> Frames:
        frames = np.zeros((self.delay + 1, 3))
        frames[:-1, 0] = draw.random(self.delay)
        half = self.delay // 2
        marked = [int(draw.integers(half)), int(draw.integers(half, self.delay))]
        frames[marked, 1] = 1
        frames[:, 2] = np.nan
        frames[-1, 2] = frames[marked, 0].sum()
        return frames


@SERIES.register("copy")
@dataclass(frozen=True)
class Copy(SyntheticSeries):
    """The copy problem with numbers, as many short series: ten numbers, a pause of `delay` steps, the ten as targets.

    Numbers are uniform in -1..1. `go` is 1 at the last step of the pause; the targets of the frames after it are the
    numbers in their order. The best constant is 0, with a mean squared error of 1/3. After Hochreiter & Schmidhuber
    (1997).
    """

    channels = ("number", "go", "answer")
    inputs = ("number", "go")
    targets = ("answer",)
    one_series = False
    default_delay = 50

    def frames(self) -> list[Frames]:
        return [self._one(draw) for draw in _draws(self)]

    def _one(self, draw: np.random.Generator) -> Frames:
        frames = np.zeros((2 * NUMBERS + self.delay, 3))
        frames[:NUMBERS, 0] = draw.uniform(-1, 1, NUMBERS)
        frames[-NUMBERS - 1, 1] = 1
        frames[:, 2] = np.nan
        frames[-NUMBERS:, 2] = frames[:NUMBERS, 0]
        return frames


def _draws(rule: SyntheticSeries) -> list[np.random.Generator]:
    """A random generator for each short series, so that a longer data set begins with the shorter one."""
    steps = rule.delay + (2 * NUMBERS if isinstance(rule, Copy) else 1)
    return [np.random.default_rng((rule.seed, number)) for number in range(max(1, rule.length // steps))]


@dataclass(frozen=True)
class SyntheticPreparation:
    """A `Process` of `build_store`: the series of a rule becomes a row in each split, short series become many rows."""

    rule: SyntheticSeries
    parts: Parts

    def __call__(self, item: Item) -> list[Row]:
        series = self.rule.frames()
        if self.rule.one_series:
            return [series_row(f"{item.id}#{split}", part, split) for split, part in self.parts.cut(series[0]).items()]
        numbers = np.arange(len(series), dtype=np.float64)
        return [
            series_row(f"{item.id}#{int(number)}", series[int(number)], split)
            for split, part in self.parts.cut(numbers).items()
            for number in part
        ]
