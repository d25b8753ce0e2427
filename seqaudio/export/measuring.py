"""Measure a step on the validation split of a store: what it costs to write it in 8 bits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from seqaudio.audio.recording import from_int16
from seqaudio.decoding.greedy import best_path, collapse
from seqaudio.decoding.spotting import FLUSH, Averages, clip_probabilities
from seqaudio.decoding.torch_logits import quiet_value
from seqaudio.decoding.transcription import spelling_of
from seqaudio.errors import StoreError
from seqaudio.evaluation.edits import error_rate
from seqaudio.export.checking import OnnxRunner, Runner
from seqaudio.export.onnx_file import onnx_bytes
from seqaudio.export.steps import ExportStep
from seqaudio.features.extraction import extract_frames
from seqaudio.features.settings import FeatureSettings
from seqaudio.models import ForecastModel, SpotterModel
from seqaudio.run_folder import RunFolder
from seqaudio.store import Store
from seqaudio.vocabulary import BOS, EOS, Vocabulary

ROWS = 400  # of validation, at most, spread evenly
STEPS = 20_000  # in all of these, at most


def of_frames(step: ExportStep) -> ExportStep:
    """The step without its front end, from frames: stores have these, and 8 bits do not change the front end."""
    if step.front_end is None:
        return step
    width = step.front_end.count * step.front_end.settings.size
    about = replace(step.about, hop=0, warm_up=0)
    return ExportStep(step.model, about, torch.zeros(1, width), step.model_start)


class Validation:
    """The validation split of a store as inputs of a step, and the figure by which a run of its kind is judged.

        keywords    accuracy of clips, %                     text      units wrong, %
        tokens      nats a token                             forecast  root mean square error in training deviations

    Attributes:
        step: without its front end, see `of_frames`.
        sequences: inputs of each row [calls, 1, F] float32 or [calls, 1] int64.
        things: what they are.

    Raises StoreError where the store has no such split.
    """

    def __init__(self, step: ExportStep, run: RunFolder, store: Store) -> None:
        if "valid" not in store.counts:
            raise StoreError(f"{store.path} has no validation split, on which 8 bits are checked; give another --store")
        self.step = of_frames(step)
        self.sequences = _sequences(step, self.step, store)
        kind, rows, split = step.about.kind, chosen_rows(store), store["valid"]
        self.things = {"keywords": "clips", "text": "recordings"}.get(kind, "sequences")
        self._labels = Vocabulary(step.about.labels)
        self._settings = None if step.front_end is None else _settings(step)
        self._truth: list[Any] = []
        if kind == "keywords":
            self._truth = [split.labels[row] for row in rows]
        elif kind == "text":
            spelling, texts = spelling_of(run, with_lexicon=True), split.column("text")
            self._truth = [spelling.units(texts[row]) for row in rows]

    def score(self, outputs: Sequence[np.ndarray]) -> float:
        """The figure of the outputs [calls, ...] of each sequence."""
        kind = self.step.about.kind
        if kind == "keywords":
            named = [self._label(found) for found in outputs]
            return 100 * float(np.mean([name == true for name, true in zip(named, self._truth, strict=False)]))
        if kind == "text":
            heard = [[self._labels[placed.unit] for placed in collapse(best_path(found))] for found in outputs]
            return 100 * error_rate(self._truth[: len(heard)], heard)
        both = zip(outputs, self.sequences, strict=True)
        if kind == "tokens":
            return float(np.mean(np.concatenate([_nats(found, ids) for found, ids in both])))
        return float(np.sqrt(np.mean(np.concatenate([self._squares(*pair) for pair in both]))))

    def told(self, figures: Sequence[float], names: Sequence[str]) -> str:
        """Figures in words, each with the name of what gave it."""
        before, form, after = {
            "keywords": ("accuracy ", "{:.2f} %", ""),
            "text": ("", "{:.2f} %", " of the units wrong"),
            "tokens": ("", "{:.4f}", " nats a token"),
            "forecast": ("error of ", "{:.4f}", " deviations"),
        }[self.step.about.kind]
        one, *others = (form.format(figure) for figure in figures)
        parts = [f"{one}{after}", *others]
        said = ", ".join(f"{part} in {name}" for part, name in zip(parts, names, strict=True))
        return f"{before}{said}, of {len(self.sequences):,} {self.things}"

    def _label(self, logits: np.ndarray) -> str:
        if not isinstance(self.step.model, SpotterModel):
            return self._labels[int(logits[-1].argmax())]
        assert self._settings is not None
        probabilities = torch.from_numpy(logits).double().softmax(dim=-1).numpy()
        averages = Averages(self._settings.frame_shift, self._labels).push(probabilities)
        return self._labels[int(clip_probabilities(averages, self._labels).argmax())]

    def _squares(self, forecasts: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        """Squared errors of forecasts [T, H, K] of targets that are inputs too, from the first whole window on."""
        model = self.step.model
        assert isinstance(model, ForecastModel)
        if not model.places:
            raise StoreError("the targets are not among the inputs of the step, so forecasts cannot be compared")
        targets = inputs[:, 0, model.places]  # [T, K]
        first, last = max(0, model.window - 1), len(inputs) - model.horizon
        truth = [targets[now + 1 : now + 1 + model.horizon] for now in range(first, last)]
        if not truth:
            return np.zeros(0)
        errors: np.ndarray = (forecasts[first:last] - np.stack(truth)) / model.target_std.numpy()
        return errors.ravel() ** 2


def compare_int8(step: ExportStep, run: RunFolder, store: Store) -> str:
    """How much 8 bits change on the validation split, in words. Raises StoreError as `Validation`."""
    valid = Validation(step, run, store)
    graph = valid.step.graph()
    runners = [OnnxRunner(onnx_bytes(valid.step, graph, int8)) for int8 in (False, True)]
    figures = [valid.score([_outputs(runner, valid.step, one) for one in valid.sequences]) for runner in runners]
    return valid.told(figures, ("float", "int8"))


def _settings(step: ExportStep) -> FeatureSettings:
    assert step.front_end is not None
    return step.front_end.settings


def chosen_rows(store: Store) -> list[int]:
    """Rows of the validation split that are measured on."""
    count = len(store["valid"])
    return sorted({int(row) for row in np.linspace(0, count - 1, min(count, ROWS))})


def _sequences(step: ExportStep, frames: ExportStep, store: Store) -> list[np.ndarray]:
    """Inputs [calls, 1, F] float32 or [calls, 1] int64 of rows of the validation split, for the step of frames."""
    split, found, total = store["valid"], [], 0
    shape, size = tuple(frames.example.shape), frames.example.numel()
    for row in chosen_rows(store):
        values = split.sequence(row)
        if step.about.kind == "tokens":
            inputs = np.concatenate([[BOS], values]).astype(np.int64)[:, None]
        else:
            if store.kind == "audio":
                values = extract_frames(from_int16(values), _settings(step))
            values = np.asarray(values, dtype=np.float32)
            if isinstance(step.model, SpotterModel):
                settings = _settings(step)
                count = round(FLUSH / settings.frame_shift)
                quiet = np.full((count, settings.size), quiet_value(settings), dtype=np.float32)
                values = np.concatenate([values, quiet])
            calls = values.size // size
            inputs = values.ravel()[: calls * size].reshape(calls, *shape)
        inputs = inputs[: STEPS - total]
        total += len(inputs)
        if len(inputs):
            found.append(inputs)
    return found


def _outputs(runner: Runner, step: ExportStep, inputs: np.ndarray) -> np.ndarray:
    state, outputs = step.initial.numpy(), []
    for part in inputs:
        output, state = runner(part, state)
        outputs.append(output[0])
    return np.stack(outputs)


def _nats(logits: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """-ln p of the token after each; the end mark after the last."""
    targets = np.append(ids[1:, 0], EOS)
    logits = logits.astype(np.float64)
    total = np.log(np.exp(logits - logits.max(axis=1, keepdims=True)).sum(axis=1)) + logits.max(axis=1)
    nats: np.ndarray = total - logits[np.arange(len(targets)), targets]
    return nats
