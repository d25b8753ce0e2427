"""A recording as a picture: its waveform above its features.

Example: seqaudio show hello.wav --png hello.png
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from seqaudio.cli.outputs import check_output, written
from seqaudio.errors import AudioError
from seqaudio.ledger import Reason


@dataclass(frozen=True)
class Config:
    """What to show, and how."""

    file: tyro.conf.Positional[Path]  # recording: anything soundfile reads
    png: Path  # picture to write
    features: str = "default"  # preset of the features: default (13 cepstra), log_mel
    sample_rate: int = 16000  # hertz; the recording is resampled to it, as a preparation would
    force: bool = False  # replace a file that is there


def main(config: Config) -> None:
    """Decode the recording, compute its features as a preparation does, draw both."""
    check_output("--png", config.png, ".png", config.force)

    from seqaudio.audio import read_audio
    from seqaudio.features import feature_settings

    settings = feature_settings(config.features, config.sample_rate)
    recording = read_audio(config.file, config.sample_rate)
    frames = settings.frames(len(recording.samples))
    if not frames:
        detail = f"{len(recording.samples)} samples at {config.sample_rate} Hz, one frame has {settings.window_samples}"
        raise AudioError(config.file, Reason.TOO_SHORT, detail)

    from seqaudio.features.drawing import draw_recording

    with written(config.png):
        draw_recording(recording, settings, config.png, title=config.file.name)
    print(f"{config.png}: {recording.seconds:.2f} s, {frames:,} frames of {settings.size} {settings.kind} values")
