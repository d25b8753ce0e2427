"""Draw a recording: its waveform above its features, with --augment before and after the augmentation.

Example: seqaudio show hello.wav --png hello.png
         seqaudio show hello.wav --augment speed,noise,room --seed 3 --png hello.png
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from seqaudio.cli.outputs import PICTURES, check_output, written
from seqaudio.errors import AudioError, OptionError
from seqaudio.ledger import Reason
from seqaudio.registry import did_you_mean

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from seqaudio.audio import Recording
    from seqaudio.augmentation import WaveformAugmentation
    from seqaudio.features import FeatureSettings

CHANGES = ("speed", "shift", "room", "noise", "telephone", "gain", "masks")


@dataclass(frozen=True)
class Config:
    """The recording to show, and how."""

    file: tyro.conf.Positional[Path]  # recording: WAV, FLAC, OGG, MP3 ...; with the extra media also m4a, video ...
    png: Path  # picture to write
    features: str = "default"  # feature preset, with changes: default, log_mel, asr+deltas=2 ...
    sample_rate: int = 16000  # hertz; the recording is resampled to it, as in a preparation
    augment: str = ""  # augmentations, with commas: speed, shift, room, noise, telephone, gain, masks (SpecAugment)
    seed: int = 1  # of the augmentation
    noise_folder: Path | None = None  # recordings of noise; by default noise is synthetic
    room_folder: Path | None = None  # recorded impulse responses; by default rooms are synthetic
    force: bool = False  # replace an existing picture


def main(config: Config) -> None:
    """Decode the recording, compute its features as in a preparation, draw both."""
    check_output("--png", config.png, PICTURES, config.force)
    changes = _changes(config)

    from seqaudio.audio import read_audio
    from seqaudio.features import feature_settings

    settings = feature_settings(config.features, config.sample_rate)
    recording = read_audio(config.file, config.sample_rate)
    frames = settings.frames(len(recording.samples))
    if not frames:
        detail = f"{len(recording.samples)} samples at {config.sample_rate} Hz, a frame needs {settings.min_samples}"
        raise AudioError(config.file, Reason.TOO_SHORT, detail)

    from seqaudio.features.drawing import draw_recording
    from seqaudio.pictures import save_figure

    if not changes:
        with written(config.png):
            draw_recording(recording, settings, config.png, title=config.file.name)
        print(f"{config.png}: {recording.seconds:.2f} s, {frames:,} frames of {settings.size} {settings.kind} values")
        return
    figure, change = _augmented(config, changes, recording, settings)
    with written(config.png):
        save_figure(figure, config.png)
    print(f"{config.png}: {change}")


def _changes(config: Config) -> list[str]:
    """The names in `--augment`. Raises OptionError for an unknown name, no name, or a folder that none of them uses."""
    names = [name.strip() for name in config.augment.split(",") if name.strip()]
    if config.augment and not names:
        raise OptionError(f"--augment {config.augment!r} names no augmentation; expected some of {', '.join(CHANGES)}")
    for name in names:
        if name not in CHANGES:
            raise OptionError(f"--augment {name}: {did_you_mean(name, list(CHANGES))}")
    for name, folder in (("noise", config.noise_folder), ("room", config.room_folder)):
        if folder is not None and name not in names:
            raise OptionError(f"--{name}-folder {folder} needs --augment {name}; add that, or leave out the folder")
    return names


def _augmented(
    config: Config, changes: list[str], recording: Recording, settings: FeatureSettings
) -> tuple[Figure, str]:
    """The picture of the recording before and after, and the augmentations in words."""
    from seqaudio.audio import Recording
    from seqaudio.augmentation import Augmentation, WaveformAugmenter, augment
    from seqaudio.features.drawing import RecordingFeatures, augmentation_figure, recording_features

    augmenter = WaveformAugmenter(_certain(config, changes), config.sample_rate, config.seed)
    name = config.file.name
    samples, done = augmenter.apply(augmenter.draw(0, name), recording.samples, (config.seed, 0, name))
    changed = Recording(samples, config.sample_rate)
    if not settings.frames(len(samples)):
        raise AudioError(config.file, Reason.TOO_SHORT, f"less than one frame is left after {done}; leave out speed")
    after, words = recording_features(changed, settings), [str(done)]
    if "masks" in changes:
        masks = Augmentation(0, 0, 0, 0, 0, 0, time_masks=2, time_mask_frames=12, frequency_masks=2)
        after = RecordingFeatures(changed, augment(after.features, settings, masks, (config.seed, 0, name)))
        words.append("masks over time and frequency")
    change = ", ".join(word for word in words if word) or "no change"
    return augmentation_figure(recording_features(recording, settings), after, settings, name, change), change


def _certain(config: Config, changes: list[str]) -> WaveformAugmentation:
    """The chosen augmentations of waveforms, each with probability 1, the others off."""
    from seqaudio.augmentation import WaveformAugmentation

    usual = WaveformAugmentation()
    return WaveformAugmentation(
        speed=usual.speed if "speed" in changes else 0.0,
        time_shift=usual.time_shift if "shift" in changes else 0.0,
        room=1.0 if "room" in changes else 0.0,
        room_folder=config.room_folder,
        noise=1.0 if "noise" in changes else 0.0,
        noise_folder=config.noise_folder,
        telephone=1.0 if "telephone" in changes else 0.0,
        gain=usual.gain if "gain" in changes else 0.0,
    )
