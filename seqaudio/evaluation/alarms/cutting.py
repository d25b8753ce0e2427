"""Cut false alarms out as recordings, to listen to and to train on as negatives."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from seqaudio.audio import read_audio
from seqaudio.augmentation.acoustics import unclipped
from seqaudio.evaluation.alarms.detectors import SpotterDetector, record
from seqaudio.evaluation.alarms.material import RATE, Reader
from seqaudio.evaluation.alarms.scoring import Alarms, alarms
from seqaudio.evaluation.alarms.track import BackgroundTrack, followed
from seqaudio.folders import written_whole
from seqaudio.progress import progress
from seqaudio.rendering.sound import write_wav
from seqaudio.run_folder import RunFolder
from seqaudio.units import Seconds

BEFORE: Seconds = 1.6  # an alarm, which comes at the end of what sounds like the word
AFTER: Seconds = 0.4
PER_HOUR = 60  # cuts out of sound that may be trained on


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


def mine(run: RunFolder, words: Sequence[str], files: Sequence[Path], folder: Path, seed: int) -> int:
    """Cut out what a run takes most for each of its words in recordings without them: negatives for more training.

    Writes FOLDER/WORD/*.wav, `PER_HOUR` of them for each hour and word. Returns how many there are.
    Raises SourceError where no recording can be read; RunError, OptionError as `SpotterDetector`.
    """
    detectors = [SpotterDetector(run, word) for word in words]
    track = BackgroundTrack(files, Reader(), seed)
    with progress("false alarms", len(files), "files") as advance:
        recorded = record(detectors, followed(track, advance))
    most, count = cuts(track), 0
    with written_whole(folder) as partial:
        for word, scores in zip(words, recorded, strict=True):
            count += cut(alarms(scores), track, partial / word, most)
    return count


def cuts(track: BackgroundTrack) -> int:
    """How many alarms are worth cutting out of a track that may be trained on."""
    return max(1, round(PER_HOUR * track.seconds / 3600))
