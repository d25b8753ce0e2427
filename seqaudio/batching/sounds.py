"""Sounds of folders for made-up streams: other speech, noise and rooms, as energies of mel filters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from seqaudio.audio import is_audio_name, read_audio
from seqaudio.augmentation.acoustics import recorded_response
from seqaudio.augmentation.spectra import recorded_room
from seqaudio.batching.mixing import Sounds
from seqaudio.errors import AudioError, SourceError
from seqaudio.features.extraction import extract_frames
from seqaudio.features.settings import FeatureSettings
from seqaudio.ledger import Reason
from seqaudio.progress import progress


def read_sounds(
    settings: FeatureSettings,
    speech: Iterable[Path] = (),
    noises: Path | None = None,
    rooms: Path | None = None,
) -> Sounds:
    """Read folders of recordings, with all folders below them, into memory: about 30 MB an hour.

    Args:
        speech: recordings of speech without keywords, or folders of them.
        noises: a folder of noise. rooms: one of impulse responses.
    Raises:
        SourceError: a folder that is missing or has no sound files.
        AudioError: a recording that cannot be read, is too short for a frame, or is silent.
    """
    rate = settings.sample_rate
    return Sounds(
        speech=[_energies(file, settings) for folder in speech for file in _files(folder)],
        noises=[_energies(file, settings) for file in _files(noises)] if noises else (),
        rooms=[_room(file, rate, settings) for file in _files(rooms)] if rooms else (),
    )


def _files(folder: Path) -> Iterator[Path]:
    """The sound files of a folder, sorted, with a progress bar; a file by itself."""
    if folder.is_file():
        yield folder
        return
    if not folder.is_dir():
        raise SourceError(f"{folder}: no such folder; give one with sound files")
    files = sorted(path for path in folder.rglob("*") if is_audio_name(path) and path.is_file())
    if not files:
        raise SourceError(f"{folder}: has no sound files, expected WAV, FLAC, Ogg, MP3 or others")
    with progress(f"reading {folder.name}", len(files), "recordings") as advance:
        for file in files:
            yield file
            advance(1)


def _energies(file: Path, settings: FeatureSettings) -> np.ndarray:
    samples = read_audio(file, settings.sample_rate).samples
    if not np.any(samples):
        raise AudioError(file, Reason.EMPTY, "silence, expected sound; remove it from the folder")
    try:
        energies: np.ndarray = np.exp(extract_frames(samples, settings)).astype(np.float32)
    except ValueError as error:
        raise AudioError(file, Reason.TOO_SHORT, f"{error}; remove it from the folder") from None
    return energies


def _room(file: Path, rate: int, settings: FeatureSettings) -> np.ndarray:
    try:
        return recorded_room(recorded_response(read_audio(file, rate).samples), settings)
    except ValueError as error:
        raise AudioError(file, Reason.EMPTY, f"{error}; remove it from the folder") from None
