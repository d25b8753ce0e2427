"""Write a keyword run for ESPHome's `micro_wake_word`: a `.tflite` file and its manifest, checked in an interpreter."""

from __future__ import annotations

import math
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seqaudio.audio.recording import from_int16
from seqaudio.decoding.spotting import FLUSH, MOST_ODDS, SMOOTHING, spotting_of
from seqaudio.decoding.torch_logits import quiet_value, state_after_quiet
from seqaudio.errors import EXTRAS, RunError, StoreError, how_to_install
from seqaudio.export.measuring import chosen_rows
from seqaudio.export.micro_net import INPUT, PER_UNIT, MicroNet, write_net
from seqaudio.export.steps import unrolled
from seqaudio.features import FeatureSettings
from seqaudio.features.extraction import extract_frames
from seqaudio.files import write_bytes, write_json
from seqaudio.json_files import read_json
from seqaudio.models import SpotterModel
from seqaudio.models.pcan import noise_reduced
from seqaudio.run_folder import RunFolder
from seqaudio.store import Store
from seqaudio.version import __version__

PACKAGE = "pymicro_wakeword"
FRAMES = 20_000  # of the validation split, from which ranges are taken
CHECKED = 3_000  # of these, on which the file is compared with the model
MOST_APART = 1.0  # mean difference of log odds from the model, above which nothing is written
EARLIEST = "2024.7.0"  # version of ESPHome that knows manifests of version 2


def micro_net(run: RunFolder) -> MicroNet:
    """The net of a run. Raises RunError where it cannot be written for microcontrollers."""
    run.require("keyword_recognition", "exporting a wake word for microcontrollers")
    model = run.model()
    if not isinstance(model, SpotterModel):
        raise RunError(f"{run.path}: was trained on whole clips, microcontrollers hear streams; train it on streams")
    settings = FeatureSettings.from_dict(run.input_setting("features", dict[str, Any]))
    copied = unrolled(model)
    assert isinstance(copied, SpotterModel)
    return MicroNet(copied, run.vocabulary, settings, str(run.path))


def check_package() -> None:
    """Raise RunError where flatbuffers, in which such files are written, are missing."""
    if find_spec("flatbuffers") is None:
        raise RunError(f"--tflite needs the package flatbuffers; {how_to_install('export')}")


def write_micro(run: RunFolder, store: Store, path: Path) -> str:
    """Write PATH and the manifest beside it; what was written, in words.

    Raises RunError where the file's answers are not those of the model, StoreError without a validation split. Nothing
    is written then.
    """
    net = micro_net(run)
    frames = device_frames(net, store)
    begun = state_after_quiet(net.model, net.settings, 1)
    content, arena = write_net(net, net.ranges(frames, begun), begun, f"seqaudio {__version__}")
    described = manifest(net, spotting_of(run).threshold_of(net.word), arena, path.name)
    if find_spec(PACKAGE) is None:
        told = (
            f"not checked: the package of its interpreter is not installed; pip install {EXTRAS['rivals'].split()[0]}"
        )
    else:
        with tempfile.TemporaryDirectory() as folder:
            trial = Path(folder) / path.name
            write_bytes(trial, content)
            write_json(trial.with_suffix(".json"), described)
            apart = np.abs(answers(trial.with_suffix(".json"), net, frames[:CHECKED]) - expected(net, begun, frames))
        if not apart.mean() <= MOST_APART:
            raise RunError(
                f"{path}: its log odds differ from the model's by {apart.mean():.2f} on average, expected at most "
                f"{MOST_APART:g}; nothing was written"
            )
        told = f"log odds differ from the model's by {apart.mean():.2f} on average, {apart.max():.1f} at most"
    write_bytes(path, content)
    write_json(path.with_suffix(".json"), described)
    return f"{told}; {len(content):,} bytes, an arena of {arena:,}; manifest in {path.with_suffix('.json')}"


def manifest(net: MicroNet, threshold: float, arena: int, file: str) -> dict[str, Any]:
    """The manifest, version 2. Probabilities are log odds from -15 to 15 as 0 to 1, and so is the threshold."""
    held = min(max(threshold, 1e-6), 1 - 1e-6)
    odds = math.log(held) - math.log1p(-held)
    return {
        "type": "micro",
        "wake_word": net.word,
        "author": "seqaudio",
        "model": file,
        "trained_languages": [],
        "version": 2,
        "micro": {
            "probability_cutoff": round((odds + MOST_ODDS) / (2 * MOST_ODDS), 3),
            "sliding_window_size": round(SMOOTHING / net.settings.frame_shift),
            "feature_step_size": 10,
            "tensor_arena_size": arena,
            "minimum_esphome_version": EARLIEST,
        },
    }


@torch.no_grad()
def device_frames(net: MicroNet, store: Store) -> Tensor:
    """Frames [T, F] of the validation split as the device has them, rounded to its integers."""
    if "valid" not in store.counts:
        raise StoreError(f"{store.path} has no validation split, from which ranges are taken; give another --store")
    split, settings = store["valid"], net.settings
    quiet = np.full((round(FLUSH / settings.frame_shift), settings.size), quiet_value(settings), dtype=np.float32)
    parts: list[np.ndarray] = []
    for row in chosen_rows(store):
        values = split.sequence(row)
        if store.kind == "audio":
            values = extract_frames(from_int16(values), settings)
        parts += [np.asarray(values, dtype=np.float32), quiet]
    energies = torch.from_numpy(np.concatenate(parts)[:FRAMES])[:, None]
    frames = noise_reduced(energies, net.model.pcan, energies.new_zeros(1, settings.size))[0][:, 0]
    scale, zero = INPUT
    return ((frames * PER_UNIT / scale).round() + zero).clamp(-128, 127).sub(zero) * (scale / PER_UNIT)


def expected(net: MicroNet, begun: Any, frames: Tensor) -> np.ndarray:
    """Log odds of the model after each of the first CHECKED frames, in the bounds of the file's."""
    state, logits = net.start(begun), []
    for frame in frames[:CHECKED]:
        output, state = net.step(frame[None], state)
        logits.append(output[0].numpy())
    odds: np.ndarray = net.odds(np.stack(logits)).clip(-MOST_ODDS, MOST_ODDS)
    return odds


def answers(manifest_file: Path, net: MicroNet, frames: Tensor) -> np.ndarray:
    """Log odds of a file after each frame, by the interpreter of the package pymicro_wakeword."""
    from pymicro_wakeword import MicroWakeWord

    described = read_json(manifest_file)
    single = manifest_file.with_name("single.json")  # of each call by itself, not of a window
    write_json(single, described | {"micro": described["micro"] | {"sliding_window_size": 1}})
    model = MicroWakeWord.from_config(single)
    found = []
    for frame in frames:
        given = (frame * PER_UNIT).numpy()[None, None]
        found.append([model.process_streaming_prob(given) for _ in range(net.stride)][-1])
    return np.array(found) * 2 * MOST_ODDS - MOST_ODDS
