"""The options of augmentation in a recipe, and the changes of frames and of samples that they ask for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from seqaudio.augmentation.frames import Augmentation, augment
from seqaudio.augmentation.waveforms import WaveformAugmentation, WaveformAugmenter
from seqaudio.errors import OptionError
from seqaudio.features.settings import FeatureSettings
from seqaudio.units import Decibels, Seconds

TIME_MASK: Seconds = 0.06  # longest

Change = Callable[[np.ndarray, int, str], np.ndarray]  # of a sequence, in an epoch, of a row by its id


@dataclass(frozen=True, kw_only=True)
class AugmentationOptions:
    """How clips are changed, drawn anew in each epoch; 0 turns a change off. In full: --augmentation.noise."""

    augment: bool = True  # --no-augment turns off all changes of features, whatever the next eight say
    time_stretch: float = 0.25  # largest change of pace
    vocal_tract_warp: float = 0.2  # largest shift of all frequencies, as by another speaker
    gain: Decibels = 12.0  # largest change of the level
    tilt: Decibels = 15.0  # largest change from the lowest to the highest frequency
    offset: float = 0.4  # deviation of a constant added to each feature
    noise: float = 0.4  # deviation of noise added to each value
    time_masks: int = 2  # stretches of up to 60 ms replaced by the clip's mean
    frequency_masks: int = 0  # bands of filters replaced by the clip's mean
    speed: float = 0.0  # of samples (prepare with --keep samples): largest change of speed and pitch
    time_shift: Seconds = 0.0  # of samples: largest shift to either side
    rooms: float = 0.0  # of samples: share of clips that are heard in a room
    room_folder: Path | None = None  # recorded impulse responses for --rooms; without it they are synthetic
    noisy: float = 0.0  # of samples: share of clips that get noise
    noise_folder: Path | None = None  # recordings for --noisy; without it noises are synthetic
    lowest_snr: Decibels = 0.0  # least signal-to-noise ratio of --noisy
    highest_snr: Decibels = 25.0  # greatest signal-to-noise ratio of --noisy
    telephone: float = 0.0  # of samples: share of clips limited to 300 to 3400 Hz

    def of_features(self, settings: FeatureSettings, seed: int) -> Change | None:
        """The changes of frames; None where they are off. Raises OptionError where the features cannot be changed."""
        if not self.augment:
            return None
        if settings.normalise != "none":
            raise OptionError(
                f"features with normalise={settings.normalise} cannot be augmented: they no longer tell the spectrum; "
                f"give --no-augment, and augment samples instead (prepare with --keep samples)"
            )
        augmentation = Augmentation(
            time_stretch=self.time_stretch,
            vocal_tract_warp=self.vocal_tract_warp,
            gain=self.gain,
            tilt=self.tilt,
            offset=self.offset,
            noise=self.noise,
            time_masks=self.time_masks,
            time_mask_frames=round(TIME_MASK / settings.frame_shift),
            frequency_masks=self.frequency_masks,
        )
        return lambda frames, epoch, name: augment(frames, settings, augmentation, (seed, epoch, name))

    def of_samples(self, settings: FeatureSettings, seed: int) -> Change | None:
        """The changes of samples; None where all of them are off."""
        if not (self.speed or self.time_shift or self.rooms or self.noisy or self.telephone):
            return None
        augmentation = WaveformAugmentation(
            speed=self.speed,
            time_shift=self.time_shift,
            room=self.rooms,
            room_folder=self.room_folder,
            noise=self.noisy,
            noise_folder=self.noise_folder,
            snr=(self.lowest_snr, self.highest_snr),
            telephone=self.telephone,
            gain=0.0,  # --gain changes the level of the features
        )
        return WaveformAugmenter(augmentation, settings.sample_rate, seed)
