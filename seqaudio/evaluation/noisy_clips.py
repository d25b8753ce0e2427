"""Add noise to the clips of a split, at one ratio for all: to samples where a store keeps them, else to energies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from seqaudio.augmentation.draws import keyed_generator
from seqaudio.augmentation.spectra import at_snr, check_energies, made_up_noise, word_level
from seqaudio.augmentation.waveforms import WaveformAugmentation, WaveformAugmenter
from seqaudio.batching import Clips
from seqaudio.batching.clips import LabelledRecordings
from seqaudio.batching.sounds import read_sounds
from seqaudio.errors import OptionError
from seqaudio.evaluation.ratios import CLEAN
from seqaudio.features.settings import FeatureSettings
from seqaudio.units import Decibels

SEED = 0  # so that each reading, and each ratio, has the same noise


def noisy_clips(clips: Clips, settings: FeatureSettings, snr: Decibels, noise_folder: Path | None = None) -> Clips:
    """The same clips with noise `snr` decibels below the mean of their words; noise is made up without a folder.

    Raises:
        OptionError: features without samples that are no plain log-mel energies.
        SourceError, AudioError: a folder that has no sound, or a recording that cannot be read.
    """
    if snr == CLEAN:
        return clips
    if isinstance(clips, LabelledRecordings):
        noise = WaveformAugmentation(
            speed=0.0, time_shift=0.0, room=0.0, noise=1.0, noise_folder=noise_folder, snr=(snr, snr), telephone=0.0,
            gain=0.0,
        )  # fmt: skip
        return replace(clips, waveform_augment=WaveformAugmenter(noise, settings.sample_rate, SEED))
    try:
        check_energies(settings)
    except OptionError:
        raise OptionError(
            "--snr adds noise to samples or to plain log-mel energies, the store has neither; prepare it with "
            "--keep samples"
        ) from None
    noises = read_sounds(settings, noises=noise_folder).noises
    return replace(clips, feature_augment=_MelNoise(settings, snr, noises))


class _MelNoise:
    """Adds noise to log-mel frames [T, M]."""

    def __init__(self, settings: FeatureSettings, snr: Decibels, noises: Sequence[np.ndarray]) -> None:
        self.settings = settings
        self.snr = snr
        self.noises = noises

    def __call__(self, frames: np.ndarray, epoch: int, row: str) -> np.ndarray:
        draw = keyed_generator((SEED, epoch, row))
        power = np.exp(frames.astype(np.float64))
        speech = word_level(frames, self.settings)
        noisy: np.ndarray = np.log(power + at_snr(self.snr, speech, self._noise(len(frames), draw))).astype(np.float32)
        return noisy

    def _noise(self, frames: int, draw: np.random.Generator) -> np.ndarray:
        if not self.noises:
            return made_up_noise(frames, self.settings.mels, draw)
        noise = self.noises[int(draw.integers(len(self.noises)))]
        if len(noise) < frames:
            noise = np.resize(noise, (frames, noise.shape[1]))
        start = int(draw.integers(len(noise) - frames + 1))
        return noise[start : start + frames]
