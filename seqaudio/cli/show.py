"""A recording as a picture: its waveform above its features, before and after an augmentation where one is asked.

Example: seqaudio show hello.wav --png hello.png
         seqaudio show hello.wav --augment speed,noise,room --seed 3 --png hello.png
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from seqaudio.cli.outputs import check_output, written
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
    """What to show, and how."""

    file: tyro.conf.Positional[Path]  # recording: anything soundfile reads, or with the extra media m4a, videos ...
    png: Path  # picture to write
    features: str = "default"  # preset of the features, and changes of it: default, log_mel, asr+deltas=2 ...
    sample_rate: int = 16000  # hertz; the recording is resampled to it, as a preparation would
    augment: str = ""  # what to change, by commas: speed, shift, room, noise, telephone, gain, masks (SpecAugment)
    seed: int = 1  # of the changes
    noise_folder: Path | None = None  # recordings of noise; without one, noises are synthetic
    room_folder: Path | None = None  # recorded impulse responses; without one, rooms are synthetic
    force: bool = False  # replace a file that is there


def main(config: Config) -> None:
    """Decode the recording, compute its features as a preparation does, draw both."""
    check_output("--png", config.png, ".png", config.force)
    changes = _changes(config)

    from seqaudio.audio import read_audio
    from seqaudio.features import feature_settings

    settings = feature_settings(config.features, config.sample_rate)
    recording = read_audio(config.file, config.sample_rate)
    frames = settings.frames(len(recording.samples))
    if not frames:
        detail = f"{len(recording.samples)} samples at {config.sample_rate} Hz, one frame has {settings.min_samples}"
        raise AudioError(config.file, Reason.TOO_SHORT, detail)

    from seqaudio.features.drawing import draw_recording
    from seqaudio.pictures import save_png

    if not changes:
        with written(config.png):
            draw_recording(recording, settings, config.png, title=config.file.name)
        print(f"{config.png}: {recording.seconds:.2f} s, {frames:,} frames of {settings.size} {settings.kind} values")
        return
    figure, change = _augmented(config, changes, recording, settings)
    with written(config.png):
        save_png(figure, config.png)
    print(f"{config.png}: {change}")


def _changes(config: Config) -> list[str]:
    """The names of `--augment`. Raises OptionError for an unknown one, no name, or a folder that none of them uses."""
    names = [name.strip() for name in config.augment.split(",") if name.strip()]
    if config.augment and not names:
        raise OptionError(f"--augment {config.augment!r} names no change; expected some of {', '.join(CHANGES)}")
    for name in names:
        if name not in CHANGES:
            raise OptionError(f"--augment {name}: {did_you_mean(name, list(CHANGES))}")
    for name, folder in (("noise", config.noise_folder), ("room", config.room_folder)):
        if folder is not None and name not in names:
            raise OptionError(f"--{name}-folder {folder} without --augment {name}; add it, or leave the folder out")
    return names


def _augmented(
    config: Config, changes: list[str], recording: Recording, settings: FeatureSettings
) -> tuple[Figure, str]:
    """The picture of before and after, and what was done in words."""
    from seqaudio.audio import Recording
    from seqaudio.augmentation import Augmentation, WaveformAugmenter, augment
    from seqaudio.features.drawing import RecordingFeatures, augmentation_figure, recording_features

    augmenter = WaveformAugmenter(_certain(config, changes), config.sample_rate, config.seed)
    name = config.file.name
    samples, done = augmenter.apply(augmenter.draw(0, name), recording.samples, (config.seed, 0, name))
    changed = Recording(samples, config.sample_rate)
    if not settings.frames(len(samples)):
        raise AudioError(config.file, Reason.TOO_SHORT, f"{done} leaves less than one frame; leave out speed")
    after, words = recording_features(changed, settings), [str(done)]
    if "masks" in changes:
        masks = Augmentation(0, 0, 0, 0, 0, 0, time_masks=2, time_mask_frames=12, frequency_masks=2)
        after = RecordingFeatures(changed, augment(after.features, settings, masks, (config.seed, 0, name)))
        words.append("masks over time and frequency")
    change = ", ".join(word for word in words if word) or "nothing changes"
    return augmentation_figure(recording_features(recording, settings), after, settings, name, change), change


def _certain(config: Config, changes: list[str]) -> WaveformAugmentation:
    """The changes of waveforms that were asked for, each for certain; the others off."""
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
