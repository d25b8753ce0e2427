"""False alarms as recordings, to listen to and to train on as negatives."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from seqaudio.audio import read_audio
from seqaudio.augmentation.acoustics import unclipped
from seqaudio.evaluation.alarms.material import RATE
from seqaudio.evaluation.alarms.scoring import Alarms
from seqaudio.evaluation.alarms.track import BackgroundTrack
from seqaudio.rendering.sound import write_wav
from seqaudio.units import Seconds

BEFORE: Seconds = 1.6  # an alarm, which comes at the end of what sounds like the word
AFTER: Seconds = 0.4


def cut(found: Alarms, track: BackgroundTrack, folder: Path, most: int) -> int:
    """Write the highest alarms of a track as WAVs, 2 s each, named by score, file and time; how many there are.

    The sound is that of the file, without the low-pass of the card.
    Raises OSError where the folder may not be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    places = [track.place(float(time)) for time in found.times[:most]]
    count = 0
    for file in dict.fromkeys(file for file, _ in places):  # each is read once
        samples = read_audio(file, RATE).samples
        for score, (source, time) in zip(found.scores.tolist(), places, strict=False):
            if source == file:
                first = max(0, round((time - BEFORE) * RATE))
                part = samples[first : round((time + AFTER) * RATE)]
                name = f"{score:06.3f}_{file.parent.name[:40]}_{file.stem[:80]}_{time:.2f}s.wav"
                write_wav(folder / name, unclipped(np.asarray(part, dtype=np.float32)), RATE)
                count += 1
    return count
