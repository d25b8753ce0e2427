"""Forecasts from a feed-forward net that sees a window of the past and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from seqaudio.errors import OptionError
from seqaudio.models.base import MODELS
from seqaudio.models.forecaster_base import ForecastModel, WindowNormalisation
from seqaudio.state import State


@MODELS.register("window_mlp")
class WindowMLP(ForecastModel):
    """The frames of a window side by side, hidden layers with ReLU, the next H values.

        v = (x_{t-N+1}, .., x_t)                                  N F numbers
        (y_{t+1}, .., y_{t+H}) = V relu(W_n .. relu(W_1 v + b_1) .. + b_n) + c

    The number of its weights grows with the window, and nothing older than N frames can reach a forecast.

    Args:
        input_size, output_size, horizon, level, apart, targets: as `ForecastModel` takes them.
        window: N, at least 1.
        hidden_size: units of a hidden layer. layers: hidden layers; 0 leaves a linear map.
        dropout: probability, after each hidden layer.
    """

    def __init__(
        self,
        input_size: int,
        output_size: int = 1,
        horizon: int = 1,
        window: int = 24,
        level: WindowNormalisation = "none",
        apart: bool = False,
        targets: Sequence[int] | None = None,
        hidden_size: int = 128,
        layers: int = 1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(input_size, output_size, horizon, window, level, apart, targets)
        if window < 1:
            raise OptionError(f"window {window} of a window_mlp, expected at least 1: it has no other memory")
        if hidden_size < 1 or layers < 0:
            raise OptionError(f"hidden_size {hidden_size} and layers {layers}, expected at least 1 and at least 0")
        modules: list[nn.Module] = []
        width = window * self.channels
        for _ in range(layers):
            modules += [nn.Linear(width, hidden_size), nn.ReLU(), nn.Dropout(dropout)]
            width = hidden_size
        self.hidden = nn.Sequential(*modules)
        self.readout = nn.Linear(width, self.values)

    def read(
        self, rows: Tensor, state: State | None, lengths: Tensor | None, resets: Tensor | None
    ) -> tuple[Tensor, State]:
        del state, lengths, resets  # windows are whole and independent
        flat = rows.transpose(0, 1).flatten(start_dim=1)
        return self.readout(self.hidden(flat))[None], ()
