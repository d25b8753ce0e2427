"""Recognise the keyword in a recording, with the features and labels of a trained run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from seqaudio.audio import read_audio
from seqaudio.errors import AudioError, RunError
from seqaudio.features import FeatureExtractor, FeatureSettings
from seqaudio.ledger import Reason
from seqaudio.models import KeywordModel
from seqaudio.run_folder import RunFolder


class KeywordRecognizer:
    """The model of a keyword run, with its features and labels. Raises RunError for a run of another recipe."""

    def __init__(self, run: RunFolder) -> None:
        run.require("keyword_recognition", "recognising keywords")
        model = run.model()
        assert isinstance(model, KeywordModel)
        self.model = model
        self.labels = run.vocabulary
        self.settings = FeatureSettings.from_dict(run.input_setting("features", dict[str, Any]))
        if self.settings.size != model.layers.input_size:
            raise RunError(
                f"{run.path}: its features have {self.settings.size} values a frame, its model reads "
                f"{model.layers.input_size}; train it again"
            )
        self.extractor = FeatureExtractor(self.settings)

    @torch.no_grad()
    def recognize(self, file: Path) -> tuple[str, float]:
        """The most probable label of a whole recording, and its probability. Raises AudioError with the reason."""
        recording = read_audio(file, self.settings.sample_rate)
        try:
            frames = self.extractor(torch.from_numpy(recording.samples))
        except ValueError as error:
            raise AudioError(file, Reason.TOO_SHORT, str(error)) from None
        logits, _ = self.model(frames[:, None], torch.tensor([len(frames)]))
        probabilities = logits[0].softmax(dim=-1)
        best = int(probabilities.argmax())
        return self.labels[best], float(probabilities[best])
