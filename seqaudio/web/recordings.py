"""What a model makes of a recording: the answer of `recognize` or `transcribe`, and what it rests on, for drawing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from seqaudio.audio import read_audio, require_full_scale, stream_audio
from seqaudio.decoding.keywords import Heard, KeywordRecognizer
from seqaudio.decoding.recognition import Recognition, StreamRecognizer
from seqaudio.decoding.spotting import Spotter, keywords_of
from seqaudio.decoding.torch_logits import state_after_quiet
from seqaudio.decoding.transcription import Transcriber
from seqaudio.errors import AudioError, RunError
from seqaudio.features import FeatureSettings
from seqaudio.features.extraction import extract_frames
from seqaudio.ledger import Reason
from seqaudio.models import Model
from seqaudio.probing.gates import gates_of
from seqaudio.rendering.sound import write_wav
from seqaudio.run_folder import RunFolder
from seqaudio.units import Seconds
from seqaudio.web.grids import grid, wave

KINDS = {"mfcc": "MFCC", "log_mel": "log-mel energies"}  # of features, as the page names them
GATED: Seconds = 20.0  # of a recording whose gates are shown: they take a Python step for each frame
SPEECH = ("keyword_recognition", "speech_recognition")  # recipes


class HeardNow(NamedTuple):
    """What the next samples of a stream have brought."""

    words: list[dict[str, Any]]  # as JSON: text, start, end, confidence
    levels: np.ndarray | None  # [C] the highest probability of each label; None without a complete frame


class Ear(Protocol):
    """One stream of a model."""

    def push(self, samples: np.ndarray) -> HeardNow:
        """Take the next samples [n] float32, n >= 0, at the rate of the features."""


class Listener(ABC):
    """A model that hears recordings.

    Attributes:
        settings: of its features.
        labels: keywords and reject classes, or units of text.
    """

    settings: FeatureSettings
    labels: tuple[str, ...]

    def __init__(self, run: RunFolder) -> None:
        self.run = run

    @property
    def live(self) -> bool:
        """Whether it hears streams as well."""
        return False

    def ear(self) -> Ear:
        """A new stream. Raises RunError for a model that needs whole recordings."""
        raise RunError(f"{self.run.path.name}: needs whole recordings")

    @abstractmethod
    def hear(self, file: Path, max_seconds: Seconds) -> dict[str, Any]:
        """The answer and its pictures. Raises AudioError with the reason."""

    @abstractmethod
    def about(self) -> dict[str, Any]:
        """What the page says of it."""

    def warm(self) -> None:
        """Hear a second of noise, for which kernels are compiled that a first recording would wait for."""
        rate = self.settings.sample_rate
        samples = 0.01 * np.random.default_rng(0).standard_normal(rate)
        with TemporaryDirectory() as folder:
            file = Path(folder) / "noise.wav"
            write_wav(file, samples.astype(np.float32), rate)
            self.hear(file, 2.0)

    def sound(self, samples: np.ndarray) -> dict[str, Any]:
        """The pictures of samples [N] that every model has: waveform and features."""
        settings, seconds = self.settings, len(samples) / self.settings.sample_rate
        frames = extract_frames(samples, settings) if len(samples) >= settings.min_samples else _no_frames(settings)
        features = grid(frames, self.span(0.0, len(frames))) | {"name": KINDS[settings.kind]}
        return {"seconds": round(seconds, 4), "wave": wave(samples), "features": features}

    def span(self, start: Seconds, frames: int) -> tuple[Seconds, Seconds]:
        """The time of frames that begin at `start`, each as long as the distance to the next, around its middle."""
        settings = self.settings
        length, shift = (count / settings.sample_rate for count in (settings.window_samples, settings.hop_samples))
        first = start + (length - shift) / 2
        return first, first + frames * shift

    def gates(self, model: Model, frames: np.ndarray, call: Any) -> list[dict[str, Any]]:
        """The gates of the model's cells over the first frames [T, F], by `call`(copy of the model, frames)."""
        most = frames[: round(GATED / self.settings.frame_shift)]
        if not len(most):
            return []
        given = torch.from_numpy(np.ascontiguousarray(most))
        found = []
        for gate in gates_of(model, lambda run: call(run, given)):
            span = self.span(0.0, len(most))
            found.append({"layer": gate.layer, "gate": gate.name, **grid(gate.values, span)})
        return found


class KeywordListener(Listener):
    """A model of keywords in streams, which tells each word with its time."""

    def __init__(self, run: RunFolder) -> None:
        super().__init__(run)
        self.recognizer = StreamRecognizer(run)
        spotter = self.recognizer.spotter
        self.settings, self.labels = spotter.settings, tuple(spotter.labels)
        self.model = run.model()
        self._stream = Spotter(run)  # for another thread: compiled steps of one model are not for two at once

    @property
    def live(self) -> bool:
        return True

    def ear(self) -> Ear:
        return _SpottingEar(self._stream.another())

    def about(self) -> dict[str, Any]:
        thresholds = self.recognizer.spotter.thresholds
        return {
            "task": "keywords",
            "labels": list(self.labels),
            "keywords": list(keywords_of(self.run.vocabulary)),
            "thresholds": {word: round(value, 4) for word, value in thresholds.items()},
        }

    def hear(self, file: Path, max_seconds: Seconds) -> dict[str, Any]:
        _, remark, parts = stream_audio(file, self.settings.sample_rate, max_seconds)
        blocks = list(parts)
        samples = np.concatenate([*blocks, np.zeros(0, dtype=np.float32)])
        kept: list[tuple[np.ndarray, np.ndarray]] = []
        spotter = self.recognizer.spotter
        spotter.tap = lambda probabilities, averages: kept.append((probabilities, averages))
        try:
            found = self.recognizer.recognize_samples(blocks)
        finally:
            spotter.tap = None
        # the quiet that is added behind a recording is not shown
        raw, averages = (np.concatenate(each)[: self.settings.frames(len(samples))] for each in zip(*kept, strict=True))
        shown = self.sound(samples)
        frames = extract_frames(samples, self.settings) if len(raw) else _no_frames(self.settings)
        span = self.span(0.0, len(raw))
        return {
            **_answer(found),
            **shown,
            "remark": remark,
            "posteriors": {
                "labels": list(self.labels),
                "raw": grid(raw, span, peak=True),
                "averaged": grid(averages, span, peak=True),
            },
            "gates": self.gates(self.model, frames, self._run),
        }

    def _run(self, model: Any, frames: Tensor) -> None:
        model(frames[:, None], state=state_after_quiet(model, self.settings, 1))


class ClipListener(Listener):
    """A model of keywords in whole clips, which gives an answer for each segment that sounds."""

    def __init__(self, run: RunFolder) -> None:
        super().__init__(run)
        self.recognizer = KeywordRecognizer(run)
        self.settings, self.labels = self.recognizer.settings, tuple(self.recognizer.labels)
        self.model = self.recognizer.model

    def about(self) -> dict[str, Any]:
        keywords = list(keywords_of(self.run.vocabulary))
        return {"task": "keywords", "labels": list(self.labels), "keywords": keywords, "thresholds": {}}

    def hear(self, file: Path, max_seconds: Seconds) -> dict[str, Any]:
        recording = read_audio(file, self.settings.sample_rate, max_seconds)
        require_full_scale(file, recording.samples)
        samples = recording.samples
        found, segments = self.recognizer.recognition(samples), self.recognizer.recognize_samples(samples)
        frames = extract_frames(samples, self.settings)
        raw = self._so_far(frames, segments)
        shown = None if raw is None else grid(raw, self.span(0.0, len(raw)), peak=True)
        return {
            **_answer(found),
            **self.sound(samples),
            "remark": recording.remark,
            "posteriors": None if shown is None else {"labels": list(self.labels), "raw": shown},
            "gates": self.gates(self.model, frames, _run_clip),
        }

    @torch.no_grad()
    def _so_far(self, frames: np.ndarray, heard: list[Heard]) -> np.ndarray | None:
        """The probabilities [T, C] of each segment up to each of its frames; None for a model that needs all of it."""
        if not self.model.layers.causal:
            return None
        found = np.zeros((len(frames), len(self.labels)))
        for one in heard:
            first, last = (round(time / self.settings.frame_shift) for time in (one.start, one.end))
            state = self.model.initial_state(1)
            for place in range(first, min(last, len(frames))):
                logits, state = self.model.step(torch.from_numpy(frames[place : place + 1]), state)  # type: ignore[assignment]
                found[place] = logits[0].softmax(dim=-1).numpy()
        return found


class TextListener(Listener):
    """A model that writes down what is said."""

    def __init__(self, run: RunFolder) -> None:
        super().__init__(run)
        self.transcriber, self._stream = Transcriber(run), Transcriber(run)  # the second for another thread
        self.settings = self.transcriber.settings
        self.labels = tuple(self.transcriber.spelling.vocabulary)
        self.model = run.model()

    @property
    def live(self) -> bool:
        return self.transcriber.incremental

    def ear(self) -> Ear:
        if not self.live:
            return super().ear()
        return _WritingEar(self._stream)

    def about(self) -> dict[str, Any]:
        return {"task": "text", "labels": list(self.labels)}

    def hear(self, file: Path, max_seconds: Seconds) -> dict[str, Any]:
        settings, transcriber = self.settings, self.transcriber
        _, remark, parts = stream_audio(file, settings.sample_rate, max_seconds)
        blocks = list(parts)
        samples = np.concatenate([*blocks, np.zeros(0, dtype=np.float32)])
        if len(samples) < settings.min_samples:
            detail = (
                f"{len(samples):,} samples at {settings.sample_rate:,} Hz, expected at least {settings.min_samples:,}"
            )
            raise AudioError(file, Reason.TOO_SHORT, detail)
        step = transcriber.step_seconds
        raw = np.zeros((round(len(samples) / settings.sample_rate / step) + 1, len(self.labels)))

        def keep(start: Seconds, found: np.ndarray) -> None:
            first = round(start / step)
            rows = np.exp(found[: len(raw) - first])
            raw[first : first + len(rows)] = rows

        transcriber.tap = keep
        try:
            utterances = list(transcriber.utterances(blocks))
        finally:
            transcriber.tap = None
        frames = extract_frames(samples, settings)
        return {
            "text": " ".join(one.text for one in utterances if one.words),
            "words": [word_object(*word) for one in utterances for word in one.words],
            **self.sound(samples),
            "remark": remark,
            "posteriors": {"labels": list(self.labels), "raw": grid(raw, (0.0, len(raw) * step), peak=True)},
            "gates": self.gates(self.model, frames, lambda model, given: model(given[:, None])),
        }


class _SpottingEar:
    def __init__(self, spotter: Spotter) -> None:
        self._spotter = spotter
        self._levels: list[np.ndarray] = []
        spotter.tap = lambda probabilities, averages: self._levels.append(averages)

    def push(self, samples: np.ndarray) -> HeardNow:
        self._levels.clear()
        hits = self._spotter.push(samples)
        levels = np.concatenate(self._levels).max(axis=0) if self._levels else None
        return HeardNow([word_object(hit.keyword, hit.start, hit.end, hit.confidence) for hit in hits], levels)


class _WritingEar:
    def __init__(self, transcriber: Transcriber) -> None:
        self._transcriber = transcriber
        self._words: list[dict[str, Any]] = []
        self._levels: list[np.ndarray] = []
        self._stream = transcriber.stream(lambda word: self._words.append(word_object(*word)))

    def push(self, samples: np.ndarray) -> HeardNow:
        self._words, self._levels = [], []
        self._transcriber.tap = lambda start, found: self._levels.append(np.exp(found))  # all ears are in one thread
        for _ in self._stream.push(samples):
            pass
        return HeardNow(self._words, np.concatenate(self._levels).max(axis=0) if self._levels else None)


def listener_of(run: RunFolder) -> Listener:
    """What hears by the model of a run of one of SPEECH. Raises RunError for a run whose parts do not fit."""
    if run.recipe == "speech_recognition":
        return TextListener(run)
    return KeywordListener(run) if run.config["model"]["name"] == "spotter" else ClipListener(run)


def word_object(text: str, start: Seconds, end: Seconds, confidence: float) -> dict[str, Any]:
    """A word as JSON."""
    return {"text": text, "start": round(start, 3), "end": round(end, 3), "confidence": round(confidence, 6)}


def _answer(found: Recognition) -> dict[str, Any]:
    return {
        "label": found.label,
        "probability": round(found.probability, 6),
        "is_clip": found.is_clip,
        "words": [word_object(hit.keyword, hit.start, hit.end, hit.confidence) for hit in found.hits],
    }


def _run_clip(model: Any, frames: Tensor) -> None:
    model(frames[:, None], torch.tensor([len(frames)]))


def _no_frames(settings: FeatureSettings) -> np.ndarray:
    return np.zeros((0, settings.size), dtype=np.float32)
