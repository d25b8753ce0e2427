"""Changes of training data that leave its meaning alone, each drawn by (seed, epoch, row id).

waveforms.py      changes of samples: pace, rooms, noise, telephone
frames.py         changes of features: pace, voice, microphone, masks
acoustics.py      what lies between a mouth and a microphone: rooms, noises, levels
sound_folder.py   recorded noises and rooms
draws.py          random numbers that depend on (seed, epoch, row id) alone
"""

from seqaudio.augmentation.frames import Augmentation, augment
from seqaudio.augmentation.waveforms import WaveformAugmentation, WaveformAugmenter, WaveformChange

__all__ = ["Augmentation", "WaveformAugmentation", "WaveformAugmenter", "WaveformChange", "augment"]
