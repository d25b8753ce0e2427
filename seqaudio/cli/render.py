"""Render a MIDI file as sound (WAV) and as a piano roll (PNG).

Example: seqaudio render tune.mid --wav tune.wav --png tune.png
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from seqaudio.cli.outputs import PICTURES, check_output, written
from seqaudio.errors import OptionError


@dataclass(frozen=True)
class Config:
    """The file to render, and the files to write: --wav, --png, or both."""

    file: tyro.conf.Positional[Path]  # MIDI file
    wav: Path | None = None  # sound to write, 16-bit stereo
    png: Path | None = None  # piano roll to write
    soundfont: Path | None = None  # instruments (.sf2); by default a small General MIDI SoundFont
    sample_rate: int = 44100  # hertz, of the sound
    force: bool = False  # replace existing files


def main(config: Config) -> None:
    """Read the file through the guarded parser, write sound and picture."""
    check(config)

    from seqaudio.midi import read_midi

    notes = read_midi(config.file, controls=config.wav is not None)
    if config.wav is not None:
        from seqaudio.rendering.sound import render, write_wav

        samples = render(notes, config.sample_rate, config.soundfont)
        with written(config.wav):
            write_wav(config.wav, samples, config.sample_rate)
        print(f"{config.wav}: {len(samples) / config.sample_rate:.1f} s, {len(notes):,} notes")
    if config.png is not None:
        from seqaudio.rendering.piano_roll import draw_piano_roll

        with written(config.png):
            draw_piano_roll(notes, config.png, title=config.file.stem)
        print(f"{config.png}: piano roll, {len(notes):,} notes")


def check(config: Config) -> None:
    """Raise OptionError for invalid options, before anything is read."""
    if config.wav is None and config.png is None:
        raise OptionError(f"nothing to write; give --wav {config.file.stem}.wav, --png {config.file.stem}.png, or both")
    for option, path, suffixes in (("--wav", config.wav, ".wav"), ("--png", config.png, PICTURES)):
        if path is not None:
            check_output(option, path, suffixes, config.force)
