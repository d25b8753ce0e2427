"""Augment training data: random changes that keep its meaning, each a function of (seed, epoch, row id).

waveforms.py      changes of samples: speed, rooms, noise, telephone
frames.py         changes of features: pace, voice, microphone, masks
acoustics.py      building blocks: rooms, noises, levels
sound_folder.py   recorded noises and rooms
draws.py          random generators that depend on (seed, epoch, row id) alone
"""

from seqaudio.augmentation.frames import Augmentation, augment
from seqaudio.augmentation.waveforms import WaveformAugmentation, WaveformAugmenter, WaveformChange

__all__ = ["Augmentation", "WaveformAugmentation", "WaveformAugmenter", "WaveformChange", "augment"]
