"""Measure a step on the validation split of a store, as it is and with weights of 8 bits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from seqaudio.audio.recording import from_int16
from seqaudio.decoding.spotting import FLUSH, Averages, clip_probabilities
from seqaudio.decoding.torch_logits import quiet_value
from seqaudio.errors import StoreError
from seqaudio.export.checking import OnnxRunner, Runner
from seqaudio.export.onnx_file import onnx_bytes
from seqaudio.export.steps import ExportStep
from seqaudio.features.extraction import extract_frames
from seqaudio.features.settings import FeatureSettings
from seqaudio.models import SpotterModel
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


def compare_int8(step: ExportStep, store: Store) -> str:
    """How much 8 bits change on the validation split, in words. Raises StoreError where there is none."""
    if "valid" not in store.counts:
        raise StoreError(f"{store.path} has no validation split, on which 8 bits are checked; give another --store")
    frames = of_frames(step)
    graph = frames.graph()
    runners = [OnnxRunner(onnx_bytes(frames, graph, int8)) for int8 in (False, True)]
    sequences = _sequences(step, frames, store)
    answers = [[_outputs(runner, frames, inputs) for inputs in sequences] for runner in runners]
    if step.about.kind == "keywords":
        labels = Vocabulary(step.about.labels)
        truth = [store["valid"].labels[row] for row in chosen_rows(store)]
        shares = [
            np.mean([_label(step, labels, found) == name for found, name in zip(outputs, truth, strict=False)])
            for outputs in answers
        ]
        return (
            f"accuracy {100 * shares[0]:.2f} % in float, {100 * shares[1]:.2f} % in int8, of {len(sequences):,} clips"
        )
    if step.about.kind == "tokens":
        nats = [
            float(np.mean(np.concatenate([_nats(found, ids) for found, ids in zip(outputs, sequences, strict=True)])))
            for outputs in answers
        ]
        return f"{nats[0]:.4f} nats a token in float, {nats[1]:.4f} in int8, of {len(sequences):,} sequences"
    one, other = (np.concatenate(outputs) for outputs in answers)
    if step.about.kind == "text":
        same = float(np.mean(one.argmax(axis=-1) == other.argmax(axis=-1)))
        return f"the likeliest unit of {100 * same:.2f} % of {len(one):,} steps is the same in int8"
    apart = float(np.sqrt(np.mean((one - other) ** 2)) / max(float(one.std()), 1e-12))
    return f"forecasts in int8 differ by {100 * apart:.2f} % of their deviation, over {len(one):,} steps"


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


def _label(step: ExportStep, labels: Vocabulary, logits: np.ndarray) -> str:
    if not isinstance(step.model, SpotterModel):
        return labels[int(logits[-1].argmax())]
    probabilities = torch.from_numpy(logits).double().softmax(dim=-1).numpy()
    averages = Averages(_settings(step).frame_shift, labels).push(probabilities)
    return labels[int(clip_probabilities(averages, labels).argmax())]


def _nats(logits: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """-ln p of the token after each; the end mark after the last."""
    targets = np.append(ids[1:, 0], EOS)
    logits = logits.astype(np.float64)
    total = np.log(np.exp(logits - logits.max(axis=1, keepdims=True)).sum(axis=1)) + logits.max(axis=1)
    nats: np.ndarray = total - logits[np.arange(len(targets)), targets]
    return nats
