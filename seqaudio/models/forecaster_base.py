"""The base class of forecasters: scaling, normalisation of a window, separate channels, the loss, feeding back."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Literal, NamedTuple, cast

import torch
from torch import Tensor

from seqaudio.batching.batch import Batch
from seqaudio.errors import OptionError
from seqaudio.models.base import Model
from seqaudio.state import State

WindowNormalisation = Literal["none", "last", "mean", "standard"]
WINDOW_NORMALISATIONS: tuple[WindowNormalisation, ...] = ("none", "last", "mean", "standard")

ADDED_VARIANCE = 1e-5  # added to the variance of a window, which is 0 where the window is constant


class WindowState(NamedTuple):
    """The state of a stream for a model that sees a window: the last N frames."""

    frames: Tensor  # [B, N, F], the newest last; before N frames have arrived, the training mean fills the rest


class ForecastModel(Model):
    """The next H values of K channels, from frames of F channels up to now.

        z = (x - mean) / std                     statistics of the training rows, buffers of the model
        u = (z - m) / s                          m, s: statistics of the window itself, see `level`
        y_{t+1} .. y_{t+H} = s read(u) + m       what was taken from the window is put back
        L = sum over known targets of (y - (target - mean) / std)^2

    Inputs and targets of a batch are in the units of the series, forecasts and errors in standard deviations of the
    training rows. Targets are [S, B, H, K]: the values after each of the last S steps of the inputs; NaN is unknown
    and does not count. A weight [T, B] of a step multiplies its squared errors, and 0 leaves them out. The counts of
    `loss` and `evaluate` are numbers of values.

    Args:
        input_size, output_size: F and K, channels.
        horizon: H, steps of one forecast.
        window: N, frames that a forecast sees; 0 for a net that carries its state from the first frame on.
        level: the window normalisation (`level` in runs and options): what is subtracted from each channel of a window
            and added to its forecast. "none"; "last", its last value; "mean"; "standard", its mean, after which it is
            divided by its deviation too (Kim et al. 2022, without the learned part). Needs a window.
        apart: the net sees each channel alone, as a row of its own, with the same weights.
        targets: the index of each target among the inputs; None where one is not among them.
    Raises:
        OptionError: numbers out of range; a `level` or `apart` that the targets or the window do not allow.
    """

    mean: Tensor
    std: Tensor
    target_mean: Tensor
    target_std: Tensor

    def __init__(
        self,
        input_size: int,
        output_size: int,
        horizon: int,
        window: int,
        level: WindowNormalisation = "none",
        apart: bool = False,
        targets: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        if horizon < 1 or window < 0:
            raise OptionError(f"horizon {horizon} and window {window}, expected at least 1 and at least 0 steps")
        if level not in WINDOW_NORMALISATIONS:
            raise OptionError(f"level {level!r}, expected one of {', '.join(WINDOW_NORMALISATIONS)}")
        if level != "none" and (targets is None or not window):
            raise OptionError(f"level {level!r} needs a window that holds the targets' own past; use --level none")
        # whether targets are all inputs, so that a forecast can be fed back as input
        self.feeds_itself = targets is not None and sorted(targets) == list(range(input_size))
        if apart and not self.feeds_itself:
            raise OptionError("channels apart need all inputs as targets; leave --apart out, or forecast all channels")
        self.input_size, self.output_size = input_size, output_size
        self.horizon, self.window = horizon, window
        self.window_normalisation, self.apart = level, apart
        self.windowed = window == 0  # whether BPTT may cut a sequence into windows
        self.places = list(targets or ())  # index of each target among the inputs
        self.channels = 1 if apart else input_size  # in a row that the net reads
        self.values = horizon * (1 if apart else output_size)  # in a forecast for one such row
        self.register_buffer("mean", torch.zeros(input_size))
        self.register_buffer("std", torch.ones(input_size))
        self.register_buffer("target_mean", torch.zeros(output_size))
        self.register_buffer("target_std", torch.ones(output_size))

    def set_normalisation(self, mean: Tensor, std: Tensor, target_mean: Tensor, target_std: Tensor) -> None:
        """Set the statistics of the training rows, [F] and [K]; they are buffers and saved with the weights."""
        self.mean.copy_(mean)
        self.std.copy_(std)
        self.target_mean.copy_(target_mean)
        self.target_std.copy_(target_std)

    @abstractmethod
    def read(
        self, rows: Tensor, state: State | None, lengths: Tensor | None, resets: Tensor | None
    ) -> tuple[Tensor, State]:
        """The net: rows [T, R, C] -> forecasts [S, R, H K'] after the last S steps, and the state.

        S is 1 with a window, else T. With `apart` R is B F and C and K' are 1, else R is B, C is F and K' is K.
        """

    def forward(
        self,
        inputs: Tensor,
        state: State | None = None,
        lengths: Tensor | None = None,
        resets: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Inputs [T, B, F] in the series' units -> forecasts [S, B, H, K] in training deviations, and the state.

        Raises ValueError for a window of another length than the model's.
        """
        if self.window and len(inputs) != self.window:
            raise ValueError(f"got a window of {len(inputs)} frames, expected {self.window}")
        scaled = (inputs - self.mean) / self.std
        if self.window_normalisation == "none":
            return self._read_channels(scaled, state, lengths, resets)
        middle, spread = self._window_statistics(scaled)
        forecasts, state = self._read_channels((scaled - middle) / spread, state, lengths, resets)
        return forecasts * spread[:, None, self.places] + middle[:, None, self.places], state

    def _window_statistics(self, scaled: Tensor) -> tuple[Tensor, Tensor]:
        """m and s [B, F] of windows [N, B, F]."""
        if self.window_normalisation == "last":
            return scaled[-1], torch.ones_like(scaled[-1])
        middle = scaled.mean(dim=0)
        if self.window_normalisation == "mean":
            return middle, torch.ones_like(middle)
        return middle, (scaled.var(dim=0, unbiased=False) + ADDED_VARIANCE).sqrt()

    def _read_channels(
        self, scaled: Tensor, state: State | None, lengths: Tensor | None, resets: Tensor | None
    ) -> tuple[Tensor, State]:
        T, B, F = scaled.shape
        if not self.apart:
            values, state = self.read(scaled, state, lengths, resets)
            return values.reshape(len(values), B, self.horizon, self.output_size), state
        lengths = None if lengths is None else lengths.repeat_interleave(F)
        resets = None if resets is None else resets.repeat_interleave(F, dim=1)
        values, state = self.read(scaled.reshape(T, B * F, 1), state, lengths, resets)
        return values.reshape(len(values), B, F, self.horizon).transpose(2, 3)[..., self.places], state

    def rows_of(self, batch_size: int) -> int:
        """R, the rows that the net reads for a batch of B: B, or B F where channels are apart."""
        return batch_size * (self.input_size if self.apart else 1)

    def initial_state(self, batch_size: int) -> State:
        return WindowState(self.mean.expand(batch_size, self.window, -1))

    def step(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """One frame [B, F] -> forecasts [B, H, K] of the steps after it, and the window that ends with it."""
        frames = torch.cat([cast(WindowState, state).frames[:, 1:], inputs[:, None]], dim=1)
        forecasts, _ = self(frames.transpose(0, 1))
        return forecasts[-1], WindowState(frames)

    @torch.no_grad()
    def forecast(self, inputs: Tensor, steps: int) -> Tensor:
        """Forecasts [B, steps, K] after the frames [T, B, F]; beyond the horizon, forecasts are fed back as inputs.

        Raises OptionError for a model whose forecasts cannot be its inputs.
        """
        values, state = self(inputs)
        blocks = [values[-1]]
        while len(blocks) * self.horizon < steps:
            if not self.feeds_itself:
                self.check_feeds_itself(steps)
            block = (blocks[-1] * self.target_std + self.target_mean).transpose(0, 1)
            following = torch.empty_like(block)
            following[..., self.places] = block
            if self.window:
                inputs = torch.cat([inputs, following])[-len(inputs) :]
                blocks.append(self(inputs)[0][-1])
            else:  # the state already holds all that came before
                values, state = self(following, state)
                blocks.append(values[-1])
        return torch.cat(blocks, dim=1)[:, :steps]

    def check_feeds_itself(self, steps: int) -> None:
        """Raise OptionError unless the model can forecast `steps` steps, feeding back its forecasts where necessary."""
        if steps > self.horizon and not (self.feeds_itself and self.window):
            raise OptionError(
                f"got {steps} steps, expected at most the model's horizon of {self.horizon}: forecasts are fed back "
                f"only with a window and with all inputs as targets; train it with --horizon {steps}"
            )

    def loss(self, batch: Batch, state: State | None = None) -> tuple[Tensor, int, State]:
        errors, weights, state = self._errors(batch, state)
        squares = errors.square()
        return (squares if weights is None else squares * weights).sum(), errors.numel(), state

    def _errors(self, batch: Batch, state: State | None) -> tuple[Tensor, Tensor | None, State]:
        """Errors [N] of the values that count, their weights where there are some, and the state."""
        if batch.targets is None:
            raise ValueError(f"a forecasting batch needs targets [S, B, {self.horizon}, {self.output_size}]")
        steps = batch.targets.shape[2]
        if steps > self.horizon:
            forecasts, after = self.forecast(batch.inputs, steps)[None], self.initial_state(0)
        else:
            forecasts, after = self(batch.inputs, state, batch.lengths, batch.resets)
        targets = (batch.targets - self.target_mean) / self.target_std
        counted = ~targets.isnan()
        weights = None
        if batch.weights is not None:
            weights = batch.weights[-len(targets) :, :, None, None].expand_as(targets)
            counted = counted & (weights != 0)
            weights = weights[counted]
        # selecting before the difference keeps unknown values out of the loss and of the gradient
        return forecasts[:, :, :steps][counted] - targets[counted], weights, after

    @torch.no_grad()
    def evaluate(self, batch: Batch, state: State | None = None) -> dict[str, tuple[float, int]]:
        errors, _, _ = self._errors(batch, state)
        wide = errors.double()
        return {"mse": (float(wide.square().sum()), len(errors)), "mae": (float(wide.abs().sum()), len(errors))}
