"""Forecasts from a recurrent net, which keeps the past in its state."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from seqaudio.layers import build_stack
from seqaudio.layers.dropout import Dropout
from seqaudio.models.base import MODELS
from seqaudio.models.forecaster_base import ForecastModel, WindowNormalisation
from seqaudio.state import State


@MODELS.register("forecaster")
class Forecaster(ForecastModel):
    """Recurrent stack over the frames, linear read-out of the next H values.

        h_t = stack(x_t, h_{t-1}),   (y_{t+1}, .., y_{t+H}) = V h_t + c

    With a window the state is reset before its first frame, and there is one forecast, after its last. Without one
    (window 0) the state is carried and there is a forecast after every frame. The number of weights is the same.

    Args:
        input_size, output_size, horizon, window, level, apart, targets: as `ForecastModel` takes them.
        cell, hidden_size, layers, initialisation, learned_state: of the recurrent stack, as
            `seqaudio.layers.build.build_stack` takes them.
        dropout: probability, between the layers and before the read-out.
    """

    def __init__(
        self,
        input_size: int,
        output_size: int = 1,
        horizon: int = 1,
        window: int = 0,
        level: WindowNormalisation = "none",
        apart: bool = False,
        targets: Sequence[int] | None = None,
        cell: str = "gru",
        hidden_size: int = 64,
        layers: int = 1,
        dropout: float = 0.0,
        initialisation: str = "",
        learned_state: bool = False,
    ) -> None:
        super().__init__(input_size, output_size, horizon, window, level, apart, targets)
        self.layers = build_stack(
            cell,
            self.channels,
            hidden_size,
            layers=layers,
            dropout=dropout,
            initialisation=initialisation,
            learned_state=learned_state,
        )
        self.dropout = Dropout(dropout)
        self.readout = nn.Linear(self.layers.output_size, self.values)

    def read(
        self, rows: Tensor, state: State | None, lengths: Tensor | None, resets: Tensor | None
    ) -> tuple[Tensor, State]:
        outputs, state = self.layers(rows, state, lengths=lengths, resets=resets)
        return self.readout(self.dropout(outputs[-1:] if self.window else outputs)), state

    def initial_state(self, batch_size: int) -> State:
        return super().initial_state(batch_size) if self.window else self.layers.initial_state(self.rows_of(batch_size))

    def step(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        if self.window:
            return super().step(inputs, state)
        forecasts, state = self(inputs[None], state)
        return forecasts[-1], state
