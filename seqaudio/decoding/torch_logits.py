"""The logits of a spotter's stream, computed by torch; `spotting.py` decodes them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from seqaudio.errors import RunError
from seqaudio.features import FeatureSettings, StreamingExtractor
from seqaudio.models import Model, SpotterModel
from seqaudio.models.spotter import SpotterState
from seqaudio.run_folder import RunFolder
from seqaudio.units import Seconds

LEAD: Seconds = 0.2  # of quiet before a stream, since a word at its very start is recognised less well


class TorchLogits:
    """A stream through a spotter's model: `spotting.LogitSource`."""

    def __init__(self, model: Model, settings: FeatureSettings) -> None:
        self._model, self._settings = model, settings
        self._extractor = StreamingExtractor(settings)
        self.reset()

    @classmethod
    def of(cls, run: RunFolder) -> TorchLogits:
        """Of a spotter run. Raises RunError where its model, features and vocabulary do not fit each other."""
        model = run.model()
        if not isinstance(model, SpotterModel):
            raise RunError(f"{run.path}: was trained on whole clips, spotting needs --examples streams; train it again")
        settings = FeatureSettings.from_dict(run.input_setting("features", dict[str, Any]))
        sizes, expected = (model.input_size, model.output.out_features), (settings.size, len(run.vocabulary))
        if sizes != expected:
            raise RunError(
                f"{run.path}: its model reads {sizes[0]} values a frame and tells {sizes[1]} labels, its features and "
                f"vocabulary have {expected[0]} and {expected[1]}; train it again"
            )
        return cls(model.eval().for_streams(), settings)

    def reset(self) -> None:
        """As in `LogitSource`."""
        self._extractor.reset()
        self._state = state_after_quiet(self._model, self._settings, 1)

    def another(self) -> TorchLogits:
        """As in `LogitSource`; the model is not loaded again."""
        return TorchLogits(self._model, self._settings)

    @torch.no_grad()
    def push(self, samples: np.ndarray) -> np.ndarray:
        """As in `LogitSource`."""
        frames = self._extractor.push(samples)
        if not len(frames):
            return np.zeros((0, 0))
        logits, self._state = self._model(frames[:, None], state=self._state)
        found: np.ndarray = logits[:, 0].double().numpy()
        return found


def quiet_value(settings: FeatureSettings) -> float:
    """The log-mel energy of digital silence."""
    return float(np.log(settings.floor))


@torch.no_grad()
def state_after_quiet(model: Model, settings: FeatureSettings, batch_size: int) -> SpotterState:
    """The state in which streams begin: that after LEAD seconds of digital silence."""
    parameter = next(model.parameters())
    quiet = parameter.new_full((round(LEAD / settings.frame_shift), batch_size, settings.size), quiet_value(settings))
    state: SpotterState = model(quiet)[1]
    return state
