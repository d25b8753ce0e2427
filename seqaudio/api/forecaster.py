"""Forecasters: the next steps of a series."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from seqaudio.api.arguments import typed
from seqaudio.api.asked import names_of_python
from seqaudio.api.base import Loaded
from seqaudio.errors import OptionError, RunError

if TYPE_CHECKING:
    from seqaudio.evaluation.forecasts.beyond import Continuation
    from seqaudio.models import ForecastModel


class Forecaster(Loaded):
    """A model that continues series of the kind that it was trained on."""

    @property
    def horizon(self) -> int:
        """Steps that it forecasts at once; beyond them forecasts are fed back."""
        return int(self.run.settings["horizon"])

    @property
    def window(self) -> int:
        """Steps that it reads before a forecast; 0 for a net that carries its state through the whole series."""
        return int(self.run.settings["window"])

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the channels that it reads."""
        return tuple(self.run.input["settings"]["series"]["inputs"])

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the channels that it forecasts."""
        return tuple(self.run.input["settings"]["series"]["targets"])

    @typed
    def forecast(self, series: npt.ArrayLike, steps: int | None = None) -> npt.NDArray[np.float64]:
        """The next steps [S, K] of a series, in its units.

        Args:
            series: values so far, [T, F] with a column for each of `inputs`, or [T] where there is one; no gaps.
            steps: to forecast, by default the horizon.
        Raises:
            OptionError: a series of another shape, with gaps or shorter than the window, or steps out of range.
        """
        import torch

        values = np.atleast_1d(np.asarray(series, dtype=np.float32))
        values = values[:, None] if values.ndim == 1 else values
        model, steps = self._model, self.horizon if steps is None else steps
        if values.ndim != 2 or values.shape[1] != model.input_size:
            raise OptionError(
                f"a series of shape {list(values.shape)}, expected [T, {model.input_size}] of {', '.join(self.inputs)}"
            )
        if not np.isfinite(values).all():
            raise OptionError("the series holds NaN or infinity; fill its gaps first")
        if len(values) < max(self.window, 1):
            raise OptionError(f"a series of {len(values):,} steps, expected at least {max(self.window, 1):,}")
        if steps < 1:
            raise OptionError(f"{steps} steps, expected at least 1")
        known = values[-self.window :] if self.window else values
        with torch.no_grad(), names_of_python():
            found = model.forecast(torch.from_numpy(np.ascontiguousarray(known))[:, None], steps)[0]
            return (found * model.target_std + model.target_mean).double().numpy()

    @typed
    def continue_store(
        self,
        steps: int | None = None,
        *,
        until: Literal["train", "valid", "test"] = "test",
        series: str | None = None,
        store: str | Path | None = None,
    ) -> Continuation:
        """As `seqaudio forecast`: the steps after the end of the store of the training, with intervals and times.

        Args:
            until: forecast from the end of this part. series: which one, in a store of several.
            store: that of the training, if it was moved.
        Raises:
            RunError, StoreError: the store is missing or another one. OptionError: as in `forecast`.
        """
        from seqaudio.evaluation.finishing import open_run
        from seqaudio.evaluation.forecasts.beyond import continue_series

        place = None if store is None else Path(store)
        folder, found = open_run(self.path, "forecasting", "series", place, exact=True)
        with names_of_python():
            steps = self.horizon if steps is None else steps
            return continue_series(self._model, found, folder.settings["window"], steps, until, series)

    @cached_property
    def _model(self) -> ForecastModel:
        from seqaudio.models import ForecastModel

        model = self.run.model()
        if not isinstance(model, ForecastModel):
            raise RunError(f"{self.path}: holds a {type(model).__name__}, expected a forecaster")
        return model
