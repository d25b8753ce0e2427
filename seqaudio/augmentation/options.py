"""Options of augmentation in a recipe, and the functions that augment frames and samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from seqaudio.augmentation.frames import Augmentation, FeatureAugmenter
from seqaudio.augmentation.waveforms import WaveformAugmentation, WaveformAugmenter
from seqaudio.errors import OptionError
from seqaudio.features.settings import FeatureSettings
from seqaudio.units import Decibels, Seconds

Change = Callable[[np.ndarray, int, str], np.ndarray]  # (frames or samples, epoch, id of the row) -> the same augmented


@dataclass(frozen=True, kw_only=True)
class AugmentationOptions:
    """Random changes of the training clips, new ones in each epoch; 0 turns one off. Full name: --augmentation.noise"""

    augment: bool = True  # change features, by the next ten options; --no-augment turns them all off
    time_stretch: float = 0.25  # largest change of the tempo, as a share
    vocal_tract_warp: float = 0.2  # largest scaling of all frequencies, as a share: another speaker
    gain: Decibels = 12.0  # largest change of the level
    tilt: Decibels = 15.0  # largest change of the spectral slope, from the lowest to the highest frequency
    offset: float = 0.4  # standard deviation of a constant added to each feature
    noise: float = 0.4  # standard deviation of noise added to each value
    time_masks: int = 2  # number of masks over neighbouring frames, filled with the clip's mean
    time_mask: Seconds = 0.06  # longest of them
    frequency_masks: int = 0  # number of masks over neighbouring filters, filled with the clip's mean
    frequency_mask: int = 8  # widest of them, in filters
    speed: float = 0.0  # samples (prepare with --keep samples): largest change of speed and pitch, as a share
    time_shift: Seconds = 0.0  # samples: largest shift, earlier or later
    rooms: float = 0.0  # samples: share of clips with the reverberation of a room
    room_folder: Path | None = None  # recorded impulse responses for --rooms and streams; made up by default
    noisy: float = 0.0  # samples: share of clips with added noise
    noise_folder: Path | None = None  # recordings of noise for --noisy and for streams; made up by default
    lowest_snr: Decibels = 0.0  # lowest signal-to-noise ratio of --noisy, and of streams with noise
    highest_snr: Decibels = 25.0  # highest of them
    telephone: float = 0.0  # samples: share of clips limited to 300 to 3400 Hz

    def of_features(self, settings: FeatureSettings, seed: int) -> FeatureAugmenter | None:
        """The augmentation of frames, None with --no-augment. Raises OptionError for normalised features."""
        if not self.augment:
            return None
        if settings.normalise != "none":
            raise OptionError(
                f"features with normalise={settings.normalise} cannot be augmented: the spectrum cannot be computed "
                f"from them; give --no-augment, and augment samples instead (prepare with --keep samples)"
            )
        augmentation = Augmentation(
            time_stretch=self.time_stretch,
            vocal_tract_warp=self.vocal_tract_warp,
            gain=self.gain,
            tilt=self.tilt,
            offset=self.offset,
            noise=self.noise,
            time_masks=self.time_masks,
            time_mask_frames=round(self.time_mask / settings.frame_shift),
            frequency_masks=self.frequency_masks,
            frequency_mask_filters=self.frequency_mask,
        )
        return FeatureAugmenter(settings, augmentation, seed)

    def of_samples(self, settings: FeatureSettings, seed: int) -> Change | None:
        """The augmentation of samples [N]; None where all changes of samples are off."""
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
