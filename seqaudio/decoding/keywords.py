"""Recognise the keyword in a recording by a model of whole clips; `recognition.py` serves those of streams."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from seqaudio.audio import read_audio, require_full_scale
from seqaudio.audio.recording import MAX_SECONDS
from seqaudio.decoding.clip_lengths import SLACK, clip_seconds_of
from seqaudio.decoding.recognition import Recognition
from seqaudio.decoding.segments import windows
from seqaudio.decoding.spotting import Hit
from seqaudio.errors import AudioError, RunError
from seqaudio.features import FeatureExtractor, FeatureSettings
from seqaudio.ledger import Reason
from seqaudio.models import KeywordModel
from seqaudio.run_folder import RunFolder
from seqaudio.units import Seconds
from seqaudio.vocabulary import SILENCE, UNKNOWN

SURE = 0.5  # probability from which on a keyword goes before other sounds of the recording


class Heard(NamedTuple):
    """A label, its probability, and the segment of the recording in which it was heard."""

    label: str
    probability: float
    start: Seconds
    end: Seconds


class KeywordRecognizer:
    """The model of a keyword run, with its features and labels.

    Raises RunError for a run of another recipe, or one that was trained on streams.
    """

    def __init__(self, run: RunFolder) -> None:
        run.require("keyword_recognition", "recognising keywords")
        model = run.model()
        if not isinstance(model, KeywordModel):
            raise RunError(f"{run.path}: was trained on streams; decoding.recognition.StreamRecognizer takes it")
        self.model = model
        self.labels = run.vocabulary
        self.settings = FeatureSettings.from_dict(run.input_setting("features", dict[str, Any]))
        if self.settings.size != model.layers.input_size:
            raise RunError(
                f"{run.path}: its features have {self.settings.size} values a frame, its model reads "
                f"{model.layers.input_size}; train it again"
            )
        self.extractor = FeatureExtractor(self.settings)
        self.clip = clip_seconds_of(run)

    def recognize(self, file: Path, max_seconds: Seconds = MAX_SECONDS) -> list[Heard]:
        """The labels recognised in a recording, the most probable first. Raises AudioError with the reason.

        A recording as long as the clips of the training gives one label for the whole. The model takes the mean over
        all frames, so a longer recording is cut into the segments that sound, and each gives a label.
        """
        recording = read_audio(file, self.settings.sample_rate, max_seconds)
        require_full_scale(file, recording.samples)
        return self.recognize_samples(recording.samples, file)

    def recognize_samples(self, samples: np.ndarray, name: Path | str = "the samples") -> list[Heard]:
        """As `recognize`, of samples [N] float32 at the rate of the features; `name` stands in errors."""
        if len(samples) <= SLACK * self.clip.longest * self.settings.sample_rate:
            return [self._heard(name, samples, 0, len(samples))]
        heard = [
            max((self._heard(name, samples, *window) for window in choices), key=self._weight)
            for choices in windows(samples, self.settings.sample_rate, self.clip)
        ]
        return sorted(heard, key=self._weight, reverse=True)

    def recognition(self, samples: np.ndarray) -> Recognition:
        """The surest label of samples [N] float32 at the rate of the features, and the sure keywords among segments."""
        heard = self.recognize_samples(samples)
        seconds = len(samples) / self.settings.sample_rate
        hits = [Hit(one.label, one.start, one.end, one.probability, one.end) for one in heard if self._weight(one)[0]]
        hits.sort(key=lambda hit: (hit.start, hit.end))
        is_clip = seconds <= SLACK * self.clip.longest
        return Recognition(heard[0].label, heard[0].probability, tuple(hits), seconds, is_clip)

    def _weight(self, heard: Heard) -> tuple[bool, bool, float]:
        """Order: sure keywords before other sounds, and these before silence; then by probability."""
        keyword = heard.label not in (UNKNOWN, SILENCE) and heard.probability >= SURE
        return keyword, heard.label != SILENCE, heard.probability

    @torch.no_grad()
    def _heard(self, file: Path | str, samples: np.ndarray, first: int, last: int) -> Heard:
        """The most probable label of a segment of the samples [N], padded where it is shorter than a frame."""
        part = samples[first:last]
        if len(samples) >= self.settings.min_samples > len(part):
            part = np.pad(part, (0, self.settings.min_samples - len(part)))
        try:
            frames = self.extractor(torch.from_numpy(part))
        except ValueError as error:
            raise AudioError(file, Reason.TOO_SHORT, str(error)) from None
        logits, _ = self.model(frames[:, None], torch.tensor([len(frames)]))
        probabilities = logits[0].softmax(dim=-1)
        best = int(probabilities.argmax())
        rate = self.settings.sample_rate
        return Heard(self.labels[best], float(probabilities[best]), first / rate, last / rate)
